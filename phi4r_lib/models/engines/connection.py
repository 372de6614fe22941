"""HTTP to an OpenAI-compatible endpoint: one request with a deadline and a size limit, and the key in no message.

On httpx alone: the usual client hides its own retries, which a budget has to count, and reads a body without end. Not
here: which faults stop a run, and retries (openai_engine.py).
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpcore
import httpx

from phi4r_lib.models.engine import EngineError
from phi4r_lib.models.engines.replies import error_words, read_json
from phi4r_lib.models.hidden import hide
from phi4r_lib.models.options import OpenAIOptions

HOSTED = "https://api.openai.com/v1"
MOST_BYTES = 16 << 20  # of one reply: a hundred times what the longest answers have; ours
AGAIN = {408, 409, 425, 429}  # and 5xx


class Fault(Exception):
    """A request without a usable answer, in one line; `cost` says that the endpoint may have worked (and charge) for it.

    `status` is 0 when no answer came at all, `wait` the seconds that the endpoint asks to wait.
    """

    def __init__(self, words: str, status: int = 0, *, cost: bool = False, wait: float | None = None):
        super().__init__(" ".join(words.split())[:300])
        self.status, self.cost, self.wait = status, cost, wait

    @property
    def again(self) -> bool:
        """Whether the same request may work a little later."""
        return self.status in AGAIN or self.status == 0 or self.status >= 500


class Connection:
    """An endpoint with its key; raises EngineError when the key or the address cannot be used at all."""

    def __init__(self, options: OpenAIOptions):
        self.timeout = options.timeout_s
        self.url, self.key = address_and_key(options)
        headers = {"Accept-Encoding": "identity"}  # what is limited is then what arrives
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        for header, name in (("OpenAI-Organization", "OPENAI_ORG_ID"), ("OpenAI-Project", "OPENAI_PROJECT_ID")):
            if os.environ.get(name):
                headers[header] = os.environ[name]
        limits = httpx.Limits(max_connections=options.concurrency, max_keepalive_connections=options.concurrency)
        self.client = httpx.Client(headers=headers, limits=limits, timeout=options.timeout_s)
        self.clock = threading.local()  # a request stays in its thread, so its deadline does, too
        _bound(self.client, self.clock)

    @property
    def shown(self) -> str:
        """The address as a message may show it."""
        return hide(self.url, self.key)

    def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """The body of the answer to a JSON request; raises Fault."""
        return self._ask("POST", path, self.timeout, json=body)

    def get(self, path: str, timeout_s: float) -> bytes:
        """The body of an answer; raises Fault."""
        return self._ask("GET", path, timeout_s)

    def close(self) -> None:
        """Closes the connections."""
        self.client.close()

    def _ask(self, method: str, path: str, timeout_s: float, **content: Any) -> bytes:
        deadline, status = time.monotonic() + timeout_s, 0
        self.clock.deadline = deadline
        try:
            with self.client.stream(method, f"{self.url}/{path}", timeout=timeout_s, **content) as response:
                status = response.status_code
                data = _read(response, deadline, timeout_s)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            raise Fault(self._words(error, "no connection")) from None
        except httpx.TimeoutException as error:
            raise Fault(
                self._words(error, f"no whole answer within {timeout_s:g} s"), cost=status in (0, 200)
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Fault(self._words(error, "the answer broke off"), cost=status in (0, 200)) from None
        if status != 200:
            raise Fault(self._refusal(response, data), status, wait=_wait(response))
        return data

    def _words(self, error: Exception, what: str) -> str:
        return hide(f"{type(error).__name__}: {what}" + (f" ({error})" if str(error) else ""), self.key)

    def _refusal(self, response: httpx.Response, data: bytes) -> str:
        """The server's own words behind its status code."""
        try:
            words = error_words(read_json(data))
        except ValueError:
            words = data[:200].decode("utf-8", "replace")
        moved = f" (moved to {response.headers.get('location')})" if response.is_redirect else ""
        return hide(f"status {response.status_code} {response.reason_phrase}{moved}: {words}", self.key)


class _Bounded(httpcore.NetworkStream):
    """A stream that ends at the deadline of the request: the client's own limit starts anew with every byte that comes."""

    def __init__(self, inner: httpcore.NetworkStream, clock: threading.local):
        self.inner, self.clock = inner, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.inner.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.inner.write(buffer, self._left(timeout))

    def _left(self, timeout: float | None) -> float:
        left = self.clock.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time is up")
        return min(left, timeout or left)

    def close(self) -> None:
        self.inner.close()

    def start_tls(self, *args: Any, **named: Any) -> httpcore.NetworkStream:
        return _Bounded(self.inner.start_tls(*args, **named), self.clock)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


class _BoundedBackend(httpcore.NetworkBackend):
    """Opens such streams; anything else as the backend that it stands before."""

    def __init__(self, inner: httpcore.NetworkBackend, clock: threading.local):
        self.inner, self.clock = inner, clock

    def connect_tcp(self, *args: Any, **named: Any) -> httpcore.NetworkStream:
        return _Bounded(self.inner.connect_tcp(*args, **named), self.clock)

    def sleep(self, seconds: float) -> None:
        self.inner.sleep(seconds)


def _bound(client: httpx.Client, clock: threading.local) -> None:
    """Puts the deadline under a client and its proxies. httpx hands no backend on, so its pools are reached from outside."""
    for transport in (client._transport, *client._mounts.values()):
        if transport is not None:
            transport._pool._network_backend = _BoundedBackend(transport._pool._network_backend, clock)


def address_and_key(options: OpenAIOptions) -> tuple[str, str]:
    """Where requests go, and the key ("" where none is needed); raises EngineError for a key that is absent or unusable."""
    url, variable = options.base_url or os.environ.get("OPENAI_BASE_URL") or HOSTED, options.key_env
    key = os.environ.get(variable, "").strip()
    if not key and (url == HOSTED or variable != "OPENAI_API_KEY"):
        raise EngineError(f"no key: set the environment variable {variable}; keys never go into a profile")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise EngineError(f"the key in ${variable} has characters that no request can carry; set it anew")
    return url.rstrip("/"), key


def _read(response: httpx.Response, deadline: float, timeout_s: float) -> bytes:
    """The body, up to the deadline and MOST_BYTES; a server that drips must not hold a worker."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Fault("the answer is compressed although none was asked for", response.status_code, cost=True)
    data = bytearray()
    for chunk in response.iter_raw():
        data += chunk
        if len(data) > MOST_BYTES:
            raise Fault(f"an answer of more than {MOST_BYTES >> 20} MiB", 413, cost=True)
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout(f"it dripped for {timeout_s:g} s")
    return bytes(data)


def _wait(response: httpx.Response) -> float | None:
    """Seconds that Retry-After asks for, as a number or a date; None when it says nothing that can be read."""
    given = response.headers.get("retry-after", "")
    try:
        seconds = float(given)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(given).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return seconds if 0 <= seconds < 1e9 else None


def pause(attempt: int, asked: float | None) -> float:
    """Seconds before the next attempt: what the endpoint asks for, else 0.5 doubling to 8, up to a quarter shorter."""
    return asked if asked is not None else min(0.5 * 2**attempt, 8.0) * random.uniform(0.75, 1.0)
