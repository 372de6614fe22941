"""The endpoint engine against a local HTTP server with a small model behind it that misbehaves on demand.

Faults that a real model server does not produce on request are injected by the words of the prompt; a real vLLM
server is in test_engines_large.py.
"""

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from phi4r_lib.models.engine import BudgetSpent, EngineError, SamplingSettings, open_engine
from phi4r_lib.models.engines.transformers_engine import TransformersEngine
from phi4r_lib.models.store import read_samples, sample_to_store

SETTINGS = SamplingSettings(n=2, max_tokens=6, seed=1)


class Server(ThreadingHTTPServer):
    """Chat completions from `engine`; `seen` counts requests per prompt, `busiest` the most at one time."""

    daemon_threads = True

    def __init__(self, engine):
        super().__init__(("127.0.0.1", 0), Handler)
        self.engine, self.lock, self.seen, self.requests = engine, threading.Lock(), Counter(), []
        self.now, self.busiest, self.end = 0, 0, threading.Event()
        threading.Thread(target=self.serve_forever, args=[0.02], daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, body, kind="application/json", **headers):
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.headers.get("Authorization") == "Bearer wrong":
            return self.reply(401, {"error": {"message": "bad key"}})
        self.reply(200, {"object": "list", "data": []})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = request["messages"][-1]["content"]
        with self.server.lock:
            self.server.requests.append(request)
            self.server.seen[text] += 1
            self.server.now += 1
            self.server.busiest = max(self.server.busiest, self.server.now)
            tries = self.server.seen[text]
        try:
            self.answer(request, text, tries)
        finally:
            with self.server.lock:
                self.server.now -= 1

    def answer(self, request, text, tries):
        if request["model"] != "tiny":
            return self.reply(404, {"error": {"message": f"no model {request['model']}"}})
        if text.startswith("limit") and tries <= 3:
            return self.reply(429, {"error": {"message": "slow down"}}, Retry_After="0.01")
        if text.startswith("broken"):
            return self.reply(500, {"error": {"message": "out of order"}}, Retry_After="0.01")
        if text.startswith("garbage"):
            return self.reply(200, "<html>welcome to the proxy</html>", "text/html")
        if text.startswith("refused"):
            return self.reply(400, {"error": {"message": "prompt too long"}})
        if text.startswith("slow"):
            return self.server.end.wait(600)  # longer than anybody waits for it
        if text.startswith("crowd"):
            time.sleep(0.05)
        self.reply(200, self.completion(request))

    def completion(self, request):
        settings = SamplingSettings(max_tokens=request["max_tokens"], temperature=request["temperature"], seed=None)
        with self.server.lock:
            sample = self.server.engine.sample([request["messages"]], settings)[0][0]
        message = {"role": "assistant", "content": sample.text}
        if request["messages"][-1]["content"].startswith("think"):
            message["reasoning_content"] = "1 + 1"
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "tiny",
            "choices": [{"index": 0, "message": message, "finish_reason": "length" if sample.truncated else "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": sample.tokens, "total_tokens": 10 + sample.tokens},
        }


@pytest.fixture
def server(base_dir):
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base_dir), AutoTokenizer.from_pretrained(base_dir)
    server = Server(TransformersEngine.from_model(model, tokenizer, name="tiny"))
    yield server
    server.end.set()
    server.shutdown()
    server.server_close()


def connect(server, model="tiny", system=None, **options):
    options = {"base_url": server.url, "retries": 4, "concurrency": 4} | options
    return open_engine({"kind": "openai", "model": model, "system": system, "options": options})


def test_samples_through_an_endpoint(server):
    calls = []
    engine = connect(server, system="you are helpful")
    rows = engine.sample(["what is 1 ?", "think 2"], SETTINGS, lambda *call: calls.append(call))
    assert [[s.index for s in row] for row in rows] == [[0, 1], [0, 1]] and calls[-1] == (4, 4)
    assert all(s.error is None and 1 <= s.tokens <= 6 and s.seconds > 0 for row in rows for s in row)
    assert rows[1][0].text.startswith("<think>1 + 1</think>") and "<think>" not in rows[0][0].text
    assert {m["role"] for m in server.requests[0]["messages"]} == {"system", "user"}
    assert all(s.truncated == (s.tokens == 6) or s.tokens == 6 for row in rows for s in row)
    assert engine.name.startswith("openai:tiny+") and not engine.seedable and "seed" not in server.requests[0]


def test_seed_and_top_k_are_sent_when_asked_for(server):
    engine = connect(server, send_seed=True)
    engine.sample(["3"], SETTINGS.model_copy(update={"top_k": 7}))
    assert len({request["seed"] for request in server.requests}) == 2 and server.requests[0]["top_k"] == 7


def test_rate_limits_are_waited_out(server):
    (row,) = connect(server).sample(["limit 1"], SamplingSettings(max_tokens=4))
    assert row[0].error is None and server.seen["limit 1"] == 4


def test_faults_stay_with_their_rows_and_are_retried_alone(server, tmp_path):
    engine = connect(server, retries=1)
    prompts = [(w, f"{w} 1") for w in ("broken", "garbage", "refused", "fine")]
    rows = sample_to_store(engine, prompts, SamplingSettings(max_tokens=4), tmp_path).set_index("key")["error"]
    assert rows["fine"] is None or rows.isna()["fine"]
    for word, reason in [
        ("broken", "status 500 Internal Server Error: out of order"),
        ("garbage", "not a chat"),
        ("refused", "too long"),
    ]:
        assert reason in rows[word]
    assert server.seen["broken 1"] == 2 and server.seen["refused 1"] == 1  # one retry, none for a bad request
    before = Counter(server.seen)
    sample_to_store(engine, prompts, SamplingSettings(max_tokens=4), tmp_path)
    assert server.seen["fine 1"] == before["fine 1"] and server.seen["refused 1"] == before["refused 1"] + 1


def test_a_reply_that_takes_too_long_is_a_fault(server):
    (row,) = connect(server, retries=0, timeout_s=0.5).sample(["slow 1"], SamplingSettings(max_tokens=4))
    assert "Timeout" in row[0].error


def test_requests_run_side_by_side_but_not_more_than_asked(server):
    connect(server, concurrency=3).sample([f"crowd {i}" for i in range(12)], SamplingSettings(max_tokens=2))
    assert 2 <= server.busiest <= 3


def test_token_budget_holds_and_a_larger_one_continues(server, tmp_path):
    prompts = [(f"p{i}", f"what is {i} ?") for i in range(40)]
    settings = SamplingSettings(max_tokens=6)
    engine = connect(server, budget_tokens=200)
    with pytest.raises(BudgetSpent, match="budget of 200 tokens reached"):
        sample_to_store(engine, prompts, settings, tmp_path, shard_samples=5)
    kept = read_samples(tmp_path)
    assert 0 < len(kept) < 40 and kept["error"].isna().all()
    assert (kept["tokens"] + 10).sum() == engine.budget.spent[0] <= 200
    rows = sample_to_store(connect(server, budget_tokens=5000), prompts, settings, tmp_path)
    assert len(rows) == 40 and rows["error"].isna().all() and max(server.seen.values()) == 1


def test_money_budget_marks_what_was_not_sent(server):
    engine = connect(server, budget_money=0.001, price_in=10.0, price_out=40.0, concurrency=1)
    rows = engine.sample([f"what is {i} ?" for i in range(20)], SamplingSettings(max_tokens=4))
    unsent = [row[0] for row in rows if row[0].error]
    assert 0 < len(unsent) < 20 and "budget of 0.001 money" in unsent[0].error
    assert engine.budget.spent[0] <= 0.001
    with pytest.raises(BudgetSpent):
        engine.sample(["what is 1 ?"], SamplingSettings(max_tokens=4))
    with pytest.raises(EngineError, match="needs price_in and price_out"):
        connect(server, budget_money=1.0)


def test_wrong_key_model_address_and_options_say_what_to_do(server, monkeypatch):
    with pytest.raises(EngineError, match="knows no model 'other'"):
        connect(server, model="other").sample(["3"], SETTINGS)
    monkeypatch.setenv("SOME_KEY", "wrong")
    with pytest.raises(EngineError, match=r"refused the key from \$SOME_KEY"):
        connect(server, key_env="SOME_KEY")
    with pytest.raises(EngineError, match="set the environment variable NO_SUCH_KEY"):
        connect(server, key_env="NO_SUCH_KEY")
    with pytest.raises(EngineError, match=r"no answer from .*check base_url"):
        connect(server, base_url="http://127.0.0.1:9/v1")
    with pytest.raises(EngineError, match="unknown options"):
        connect(server, concurency=4)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(EngineError, match="OPENAI_API_KEY"):
        open_engine({"kind": "openai", "model": "tiny"})


def test_an_endpoint_that_stays_down_ends_the_run_and_keeps_the_answers(server, tmp_path):
    prompts = [("fine", "what is 1 ?")] + [(f"b{i}", f"broken {i}") for i in range(60)]
    with pytest.raises(EngineError, match="requests in a row failed"):
        sample_to_store(connect(server, retries=0), prompts, SamplingSettings(max_tokens=4), tmp_path)
    kept = read_samples(tmp_path)
    assert 1 <= len(kept) < 61 and kept.set_index("key").loc["fine", "tokens"] > 0
    assert len(server.requests) < 61
