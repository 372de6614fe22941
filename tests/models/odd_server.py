"""A real HTTP server on this machine that answers as odd endpoints do; `WAYS` names them, each with its reply."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USAGE = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}
GOOD = {"content": "<think>two and three</think> \\boxed{5}"}
WAYS = {  # way: (message, usage)
    "good": (GOOD, USAGE),
    "prefilled": ({"content": "two and three </think> \\boxed{5}"}, USAGE),
    "prefilled and apart": (
        {"content": "two and three</think> \\boxed{5}", "reasoning_content": "two and three"},
        USAGE,
    ),
    "apart": ({"content": "\\boxed{5}", "reasoning": "two and three"}, USAGE),
    "tag in the thought": ({"content": "\\boxed{5}", "reasoning_content": "<think>two and three</think>"}, USAGE),
    "doubled": ({"content": "<think>\n<think>two and three</think></think> \\boxed{5}"}, USAGE),
    "opened and apart": ({"content": "<think>\\boxed{5}", "reasoning_content": "two and three"}, USAGE),
    "parts": (
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "two and three"}]},
                {"type": "text", "text": "\\boxed{5}"},
            ]
        },
        USAGE,
    ),
    "surrogate": ({"content": "<think>two and three \ud835</think> \\boxed{5}"}, USAGE),
    "no usage": (GOOD, None),
    "usage is text": (GOOD, "twelve"),
    "zero usage": (GOOD, dict.fromkeys(USAGE, 0)),
    "negative usage": (GOOD, {"prompt_tokens": -900, "completion_tokens": -900, "total_tokens": -1800}),
    "huge usage": (GOOD, {"prompt_tokens": 9, "completion_tokens": 10**12, "total_tokens": 10**12 + 9}),
    "tiny usage": ({"content": "word " * 505}, {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}),
    "thought not counted": (
        {"content": "\\boxed{5}", "reasoning_content": "two and three"},
        {
            "prompt_tokens": 9,
            "completion_tokens": 2,
            "total_tokens": 411,
            "completion_tokens_details": {"reasoning_tokens": 400},
        },
    ),
    "other model": (GOOD, USAGE),
}


class OddServer(ThreadingHTTPServer):
    """Answers in `way`; the last user message may name another one. `requests` are the bodies that came."""

    daemon_threads = True

    def __init__(self, way="good"):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.way, self.requests, self.end = way, [], threading.Event()
        threading.Thread(target=self.serve_forever, args=[0.02], daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def stop(self):
        self.end.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def reply(self, status, body, length=None, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(length or len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.reply(200, {"object": "list", "data": []})

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(sent)
        text = sent["messages"][-1]["content"]
        way = text if text in WAYS or hasattr(self, "way_" + text.replace(" ", "_")) else self.server.way
        special = getattr(self, "way_" + way.replace(" ", "_"), None)
        if special:
            special(sent)
        else:
            self.reply(200, completion(*WAYS[way], model="gpt-other" if way == "other model" else sent["model"]))

    def way_error_200(self, sent):
        self.reply(200, {"error": {"message": "the provider behind me is overloaded", "code": 502}})

    def way_one_of_two(self, sent):
        if {"temperature", "top_p"} <= set(sent):
            self.reply(400, {"error": {"message": "give temperature or top_p, not both"}})
        else:
            self.reply(200, completion(*WAYS["good"]))

    def way_brackets(self, sent):
        self.reply(200, b"[" * 200_000)

    def way_list(self, sent):
        self.reply(200, [1, 2])

    def way_no_choices(self, sent):
        self.reply(200, {"id": "x", "choices": []})

    def way_echo(self, sent):
        words = f"you sent {self.headers['Authorization']}"
        self.reply(200, completion({"content": words}, USAGE))

    def way_echo_in_error(self, sent):
        self.reply(400, {"error": {"message": f"refused: {dict(self.headers)}"}})

    def way_cut(self, sent):
        body = json.dumps(completion(*WAYS["good"])).encode()
        self.reply(200, body[: len(body) // 2], length=len(body))

    def way_half_json(self, sent):
        self.reply(200, json.dumps(completion(*WAYS["good"])).encode()[:60])

    def way_hour(self, sent):
        self.reply(429, {"error": {"message": "later"}}, Retry_After="3600")

    def way_endless(self, sent):
        self.send_response(200)
        self.end_headers()
        try:
            while not self.server.end.is_set():
                self.wfile.write(b" " * (1 << 20))
        except OSError:
            pass

    def way_drip(self, sent):
        self.send_response(200)
        self.end_headers()
        try:
            while not self.server.end.wait(0.05):
                self.wfile.write(b" ")
                self.wfile.flush()
        except OSError:
            pass

    def way_redirect(self, sent):
        self.reply(301, b"", Location="https://elsewhere.invalid/v1")


def completion(message, usage, model="m"):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
    return body if usage is None else body | {"usage": usage}
