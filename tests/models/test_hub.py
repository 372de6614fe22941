"""A hub is asked shortly whether it has a model; the client asks a small server of ours, or a port where nobody listens."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from phi4r_lib.models import hub
from phi4r_lib.models.engine import EngineError, EngineSpec, open_engine

ANSWERS = {
    "mine/there": (200, None),
    "mine/absent": (404, "RepoNotFound"),
    "mine/closed": (403, "GatedRepo"),
    "mine/bare": (404, "EntryNotFound"),
    "mine/mirror": (404, None),
    "mine/ill": (500, None),
}


class Hub(BaseHTTPRequestHandler):
    """Answers HEAD /OWNER/NAME/resolve/main/config.json as the table says."""

    def do_HEAD(self):
        name = "/".join(self.path.split("/")[1:3])
        if name == "mine/late":
            self.server.awake.wait()
        code, error = ANSWERS.get(name, (200, None))
        self.send_response(code)
        for key, value in {"X-Error-Code": error, "X-Repo-Commit": "0" * 40, "ETag": '"1"'}.items():
            if value:
                self.send_header(key, value)
        self.send_header("Content-Length", "2")
        self.end_headers()

    def log_message(self, *_):
        """No word on the terminal."""


def goes_to(monkeypatch, port):
    """As HF_ENDPOINT, which the client reads once, would have it."""
    endpoint = f"http://127.0.0.1:{port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """The client asks our server, and remembers nothing of before."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.awake = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    goes_to(monkeypatch, server.server_port)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    yield server
    server.awake.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mine/absent", "has none of this name, or keeps it private"),
        ("mine/closed", "open only to those whom its owner lets in"),
        ("mine/bare", "has no config.json"),
        ("mine/mirror", "has none of this name"),
        ("mine/a/b", "a name that a hub can have"),
        ("a b", "a name that a hub can have"),
        ("", "a name that a hub can have"),
    ],
)
def test_a_model_that_the_hub_lacks_is_named(asked, name, says):
    assert says in hub.fault_of_name(name) and f"'{name}'" in hub.fault_of_name(name)


def test_a_slow_hub_and_an_ill_one_are_left_to_the_client(asked, monkeypatch):
    assert hub.fault_of_name("mine/there") is None and hub.fault_of_name("mine/ill") is None
    monkeypatch.setattr(hub, "PATIENCE", 0.2)
    assert hub.fault_of_name("mine/late") is None


def test_without_a_network_the_word_comes_before_the_client_tries_again(asked, monkeypatch):
    goes_to(monkeypatch, 9)
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    assert "http://127.0.0.1:9 cannot be reached" in hub.fault_of_name("mine/there")
    with pytest.raises(EngineError, match="cannot load model 'mine/there' is no folder"):
        open_engine(EngineSpec(kind="transformers", model="mine/there"))
    assert not slept  # the client waits between its tries


def test_offline_is_offline(asked, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in hub.fault_of_name("mine/there")
