"""Any OpenAI-compatible endpoint as an engine: hosted models, a vLLM server, `transformers serve`.

Retries with back-off are the openai client's own; here are concurrency, the budget, and which faults stop the run
(bad key, unknown model, dead endpoint) and which are recorded with their sample (the rest).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from phi4r_lib.models.engine import (
    BudgetSpent,
    EngineError,
    EngineSpec,
    Progress,
    Prompt,
    Sample,
    SamplingSettings,
    as_messages,
    engine_name,
    stream_seed,
)
from phi4r_lib.models.engines.budget import Budget

DEFAULTS: dict[str, Any] = {
    "base_url": None,  # None: the client's own, https://api.openai.com/v1 or OPENAI_BASE_URL
    "key_env": "OPENAI_API_KEY",  # the environment variable that holds the key
    "concurrency": 16,  # requests in flight
    "timeout_s": 600.0,  # seconds for one request
    "retries": 6,  # on 408, 409, 429, 5xx, timeouts and lost connections, with back-off (0.5 s doubling to 8 s)
    "budget_tokens": None,  # prompt and completion tokens, for the life of the engine
    "budget_money": None,  # in the currency of the two prices
    "price_in": 0.0,  # money per million prompt tokens
    "price_out": 0.0,  # money per million completion tokens
    "send_seed": False,  # best effort at most endpoints, refused by some
    "tokens_field": "max_tokens",  # newer hosted models want "max_completion_tokens"
    "extra_body": {},  # further fields of the request, as they are
}


class OpenAIEngine:
    """Samples through chat completions, one request per sample, so that every sample has its own token count.

    Options are the keys of DEFAULTS. Raises EngineError at once for a missing key, an endpoint that cannot be reached
    and a refused key; while sampling for an unknown model and for an endpoint that stops answering.
    """

    seedable = False  # endpoints promise best effort at most

    def __init__(self, spec: EngineSpec):
        unknown = set(spec.options) - set(DEFAULTS)
        if unknown:
            raise EngineError(f"openai engine: unknown options {sorted(unknown)}; known: {sorted(DEFAULTS)}")
        self.options = DEFAULTS | spec.options
        self.model, self.system = spec.model, spec.system
        self.name = engine_name("openai", spec.model, system=spec.system)
        self.budget = Budget.from_options(self.options)
        self.client = _client(self.options)
        self._faults_in_a_row, self._lock = 0, threading.Lock()
        self._check_endpoint()

    def sample(
        self, prompts: Sequence[Prompt], settings: SamplingSettings, progress: Progress | None = None
    ) -> list[list[Sample]]:
        """settings.n samples for each prompt; when the budget ends half-way the unsent ones carry an error.

        Raises BudgetSpent when nothing at all could be sent.
        """
        started, every, done = time.perf_counter(), len(prompts) * settings.n, 0
        numbers = range(settings.first, settings.first + settings.n)
        rows: list[dict[int, Sample]] = [{} for _ in prompts]
        reason = ""
        try:
            for place, samples in self.stream(prompts, settings):
                rows[place].update({sample.index: sample for sample in samples})
                done += len(samples)
                if progress:
                    progress(done, every)
        except BudgetSpent as spent:
            if not done:
                raise
            reason = str(spent)
        seconds = (time.perf_counter() - started) / max(done, 1)
        unsent = {i: Sample(text="", tokens=0, index=i, error=reason or "not sent") for i in numbers}
        full = [unsent | {i: s.model_copy(update={"seconds": seconds}) for i, s in row.items()} for row in rows]
        return [[row[i] for i in numbers] for row in full]

    def stream(self, prompts: Sequence[Prompt], settings: SamplingSettings) -> Iterator[tuple[int, list[Sample]]]:
        """(number of the prompt, samples) as they arrive; `seconds` is then the request's own time.

        Raises BudgetSpent after the last answer that the budget allowed, EngineError after those already in flight.
        """
        numbers = range(settings.first, settings.first + settings.n)
        halt, stop = threading.Event(), None
        with ThreadPoolExecutor(self.options["concurrency"]) as pool:
            waiting = {
                pool.submit(self._ask, prompt, settings, index, halt): place
                for place, prompt in enumerate(prompts)
                for index in numbers
            }
            try:
                for future in as_completed(waiting):
                    error = future.exception()
                    if error is None:
                        yield waiting[future], [future.result()]
                    elif stop is None:
                        stop = error  # what is in flight is paid for, so it is still handed out
                        if not isinstance(error, BudgetSpent):
                            halt.set()
            finally:  # also when the caller stops listening: requests not yet sent end at once
                halt.set()
        if stop:
            raise stop

    def close(self) -> None:
        """Closes the connections."""
        self.client.close()

    def _ask(self, prompt: Prompt, settings: SamplingSettings, index: int, halt: threading.Event) -> Sample:
        """One request; faults that concern this sample alone come back as its error."""
        import openai

        messages = as_messages(prompt, self.system)
        if halt.is_set():
            raise EngineError("stopped")
        held = self.budget.hold(sum(len(m["content"].encode()) for m in messages) // 3 + 16, settings.max_tokens)
        started, used = time.perf_counter(), (0, 0)
        try:
            reply = self.client.chat.completions.create(**self._request(messages, settings, prompt, index))
            used = _usage(reply)
            self._faults_in_a_row = 0
            return _as_sample(reply, index, time.perf_counter() - started)
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise EngineError(self._advice(error)) from None
        except openai.OpenAIError as error:
            self._count_fault(error)
            return Sample(text="", tokens=0, index=index, error=_reason(error))
        except (ValueError, TypeError, AttributeError) as error:  # an answer that is no chat completion
            self._count_fault(error)
            return Sample(text="", tokens=0, index=index, error=f"not a chat completion: {error}"[:300])
        finally:
            self.budget.settle(held, *used)

    def _request(self, messages, settings: SamplingSettings, prompt: Prompt, index: int) -> dict[str, Any]:
        extra = dict(self.options["extra_body"])
        if settings.top_k:
            extra["top_k"] = settings.top_k  # not OpenAI's own, but vLLM's and others'
        request = {
            "model": self.model,
            "messages": messages,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            self.options["tokens_field"]: settings.max_tokens,
            "extra_body": extra or None,
        }
        if self.options["send_seed"] and settings.seed is not None:
            request["seed"] = stream_seed(settings.seed, prompt, index)
        return request

    def _count_fault(self, error: Exception) -> None:
        with self._lock:
            self._faults_in_a_row += 1
            many = self._faults_in_a_row >= max(20, 2 * self.options["concurrency"])
        if many:
            raise EngineError(
                f"{self._faults_in_a_row} requests in a row failed at {self.client.base_url}, the last with: "
                f"{_reason(error)}. Answers so far are kept; run again when the endpoint works."
            )

    def _check_endpoint(self) -> None:
        """One cheap request, so that a wrong address or key shows before anything else is done."""
        import openai

        try:
            self.client.with_options(timeout=20, max_retries=1).models.list()
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.APIConnectionError) as error:
            raise EngineError(self._advice(error)) from None
        except (openai.OpenAIError, ValueError, TypeError, AttributeError):
            return  # no list of models there; the first sample will tell

    def _advice(self, error: Exception) -> str:
        import openai

        where = str(self.client.base_url)
        if isinstance(error, openai.APIConnectionError):
            return f"no answer from {where}: check base_url and that the server is up ({error})"
        if isinstance(error, openai.NotFoundError):
            return f"{where} knows no model '{self.model}', or base_url lacks its /v1 part ({_reason(error)})"
        return f"{where} refused the key from ${self.options['key_env']} ({_reason(error)})"


def _client(options: dict[str, Any]) -> Any:
    from openai import OpenAI

    variable = options["key_env"]
    key = os.environ.get(variable, "")
    hosted = not (options["base_url"] or os.environ.get("OPENAI_BASE_URL"))
    if not key and (hosted or variable != DEFAULTS["key_env"]):
        raise EngineError(f"no key: set the environment variable {variable}; keys never go into a profile")
    return OpenAI(
        api_key=key or "none",  # servers of one's own usually want no key, the client insists on one
        base_url=options["base_url"],
        timeout=options["timeout_s"],
        max_retries=options["retries"],
    )


def _usage(reply: Any) -> tuple[int, int]:
    """(prompt, completion) tokens of a reply; ValueError when it does not say."""
    usage = getattr(reply, "usage", None)
    if usage is None or usage.completion_tokens is None:
        raise ValueError(f"no token usage in {str(reply)[:120]!r}")
    return int(usage.prompt_tokens or 0), int(usage.completion_tokens)


def _as_sample(reply: Any, index: int, seconds: float) -> Sample:
    """The first choice as a sample; thinking that the server split off goes back into its tags."""
    if not reply.choices:
        raise ValueError(f"no choices in {str(reply)[:120]!r}")
    choice = reply.choices[0]
    text = choice.message.content or ""
    thought = getattr(choice.message, "reasoning_content", None) or getattr(choice.message, "reasoning", None)
    if thought and "</think>" not in text:
        text = f"<think>{thought}</think>{text}"
    error = "stopped by the endpoint's content filter" if choice.finish_reason == "content_filter" else None
    truncated = choice.finish_reason == "length"
    tokens = _usage(reply)[1]
    return Sample(text=text, tokens=tokens, truncated=truncated, seconds=seconds, index=index, error=error)


def _reason(error: Exception) -> str:
    """A fault in one line of at most 300 characters, with the server's words where the client leaves them out."""
    text, reply = str(error), getattr(error, "response", None)
    if reply is not None and not isinstance(getattr(error, "body", None), str) and "{" not in text:
        text = f"{text} {reply.text}"  # FastAPI servers say {"detail": ...}, which the client does not read
    return f"{type(error).__name__}: {' '.join(text.split())}"[:300]
