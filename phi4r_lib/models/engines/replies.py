"""What an endpoint answered, read with care: text, thought, end, and a token count that can be true.

Servers differ: content as a string or in parts, the thought apart, no usage or an impossible one, an error with status
200. Whatever cannot be read is a ValueError in one line. Not here: HTTP (connection.py), what a fault leads to
(openai_engine.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BYTES_A_TOKEN = 4  # for counts that nobody reports; ours, near the mean of English text
APART = 200_000  # tokens that a hidden thought may have beyond the limit that was asked for; ours


@dataclass(frozen=True)
class Reply:
    """One completion as it came; `error` are the endpoint's own words about it, `usage` its unchecked numbers."""

    text: str
    thought: str
    truncated: bool
    error: str | None
    model: str
    usage: Mapping[str, Any]


class ErrorReply(ValueError):
    """An error object where the completion should be; `status` is the code it names, else 502."""

    def __init__(self, words: str, status: int):
        super().__init__(words)
        self.status = status


def read_json(data: bytes) -> Any:
    """The JSON of a body; raises ValueError for anything else, deeply nested or over-long numbers included."""
    try:
        return json.loads(data.decode("utf-8-sig", "replace"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        start = " ".join(data[:120].decode("utf-8", "replace").split())
        raise ValueError(f"no JSON ({str(error)[:80]}): {start!r}") from None


def error_words(body: Any) -> str:
    """The words of an error body: {"error": {"message": ...}}, {"error": "..."}, {"detail": ...}, {"message": ...}."""
    if isinstance(body, Mapping):
        for key in ("error", "detail", "message", "msg"):
            if body.get(key):
                return error_words(body[key])
    if isinstance(body, list) and body:
        return error_words(body[0])
    return body if isinstance(body, str) else json.dumps(body)[:300]


def read_reply(data: bytes) -> Reply:
    """The first choice of a chat completion. Raises ErrorReply for an error with status 200, ValueError for the rest."""
    body = read_json(data)
    if not isinstance(body, Mapping):
        raise ValueError(f"a chat completion is an object, found {str(body)[:60]!r}")
    choices = body.get("choices")
    if not choices and body.get("error"):
        code = body["error"].get("code") if isinstance(body["error"], Mapping) else None
        raise ErrorReply(error_words(body), code if isinstance(code, int) and 400 <= code < 600 else 502)
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise ValueError(f"no choices in {str(body)[:120]!r}")
    choice = choices[0]
    message = choice.get("message")
    if not isinstance(message, Mapping):
        message = {"content": choice.get("text")}
    text, inner = _parts(message.get("content"))
    thought = next((_parts(message[k])[0] for k in ("reasoning_content", "reasoning") if message.get(k)), "")
    usage = body.get("usage")
    return Reply(
        text=text or (message.get("refusal") if isinstance(message.get("refusal"), str) else "") or "",
        thought=thought or inner,
        truncated=choice.get("finish_reason") in ("length", "max_tokens"),
        error=_end(choice),
        model=str(body.get("model") or ""),
        usage=usage if isinstance(usage, Mapping) else {},
    )


def _end(choice: Mapping[str, Any]) -> str | None:
    if choice.get("error"):
        return f"the endpoint's error: {error_words(choice['error'])}"[:300]
    reason = choice.get("finish_reason")
    return {
        "content_filter": "stopped by the endpoint's content filter",
        "error": "the endpoint ended it with an error",
    }.get(reason if isinstance(reason, str) else "")


def _parts(content: Any) -> tuple[str, str]:
    """(text, thought) of a message's content: a string, or a list of typed parts."""
    if isinstance(content, str):
        return content, ""
    if isinstance(content, Mapping):
        content = [content]
    text, thought = "", ""
    for part in content if isinstance(content, list) else []:
        if isinstance(part, str):
            text += part
        elif isinstance(part, Mapping):
            kind = str(part.get("type", "text"))
            inner = "".join(_parts(part[k])[0] for k in ("thinking", "reasoning", "text", "summary") if part.get(k))
            if "think" in kind or "reason" in kind:
                thought += inner
            else:
                text += inner
    return text, thought


def believed(reply: Reply, prompt: int, limit: int) -> tuple[int, int, bool]:
    """(prompt tokens, completion tokens, True) as reported, or an estimate and False where the report cannot be true.

    `prompt` is the caller's estimate, `limit` the completion tokens asked for. A completion count below the words of
    the text by far, or above what was asked for and what was written, is not believed; nor is zero for a text, or a
    negative number. Some endpoints leave the thought out of completion_tokens: then total - prompt counts. Bounds: ours.
    """
    written = reply.text + reply.thought
    size, words = len(written.encode("utf-8", "replace")), len(written.split())
    details = reply.usage.get("completion_tokens_details")
    apart = bool(reply.thought) or bool(isinstance(details, Mapping) and details.get("reasoning_tokens"))
    most = max(limit, size) + (APART if apart else 64)

    def count(value: Any) -> int:
        return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else 0

    asked, told, total = (count(reply.usage.get(f"{key}_tokens")) for key in ("prompt", "completion", "total"))
    for tokens in sorted({told, total - asked if asked else 0}, reverse=True):
        if 0 < tokens <= most and words <= 4 * tokens + 16 and size <= 64 * tokens + 256:
            return asked if 0 < asked <= 16 * prompt + 4096 else prompt, tokens, True
    return asked if 0 < asked <= 16 * prompt + 4096 else prompt, max(words, -(-size // BYTES_A_TOKEN)), False
