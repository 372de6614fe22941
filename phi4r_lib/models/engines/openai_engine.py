"""Any OpenAI-compatible endpoint as an engine: hosted models, a vLLM server, `transformers serve`.

Here are concurrency, retries, the budget, and which faults stop the run (refused key, unknown model, dead endpoint) and
which are recorded with their sample (the rest). Not here: HTTP (connection.py), reading replies (replies.py).
"""

from __future__ import annotations

import threading
import time
import warnings
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
from phi4r_lib.models.engines.connection import Connection, Fault, pause
from phi4r_lib.models.engines.replies import ErrorReply, Reply, believed, read_json, read_reply
from phi4r_lib.models.hidden import hide
from phi4r_lib.models.options import OpenAIOptions, read_options
from phi4r_lib.models.thinking import one_pair
from phi4r_lib.problems.fingerprint import fingerprint

REFUSED = {301, 302, 303, 307, 308, 401, 403, 404}  # final as long as the endpoint has not answered once


class OpenAIEngine:
    """Samples through chat completions, one request per sample, so that every sample has its own token count.

    Options: `OpenAIOptions`. Raises EngineError at once for a bad option, a missing key, an endpoint that cannot be
    reached and a refused key; while sampling for an unknown model and for an endpoint that stops answering.
    """

    seedable = False  # endpoints promise best effort at most

    def __init__(self, spec: EngineSpec):
        try:
            self.options: OpenAIOptions = read_options("openai", spec.options)
        except ValueError as error:
            raise EngineError(str(error)) from None
        self.model, self.system = spec.model, spec.system
        changed = [self.options.extra_body, self.options.leave_out]  # other fields, other samples, other name
        self.name = engine_name(
            "openai", spec.model, fingerprint(*changed, length=8) if any(changed) else "", spec.system
        )
        self.budget = Budget.from_options(self.options)
        self.connection = Connection(self.options)
        self._faults_in_a_row, self._answers, self._said = 0, 0, set[str]()
        self._lock = threading.Lock()
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
        with ThreadPoolExecutor(self.options.concurrency) as pool:
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
        self.connection.close()

    def _ask(self, prompt: Prompt, settings: SamplingSettings, index: int, halt: threading.Event) -> Sample:
        """One sample in as many attempts as the options allow; a fault that concerns it alone comes back as its error."""
        messages = as_messages(prompt, self.system)
        size = sum(len(m["content"].encode("utf-8", "replace")) for m in messages) // 3 + 16
        request, started = self._request(messages, settings, prompt, index), time.perf_counter()
        for attempt in range(self.options.retries + 1):
            if halt.is_set():
                raise EngineError("stopped")
            try:
                reply, tokens = self._attempt(request, size, settings.max_tokens)
                return self._as_sample(reply, tokens, index, time.perf_counter() - started)
            except Fault as fault:
                patience = fault.wait is None or fault.wait <= self.options.longest_wait_s
                if not fault.again or not patience or attempt == self.options.retries:
                    return self._faulty(fault, index)
                halt.wait(pause(attempt, fault.wait))
        raise AssertionError("unreachable")

    def _attempt(self, request: dict[str, Any], size: int, limit: int) -> tuple[Reply, int]:
        """A reply and its completion tokens; the budget is charged for what this attempt did cost, or may have."""
        held, used = self.budget.hold(size, limit), (0, 0)
        try:
            reply = read_reply(self.connection.post("chat/completions", request))
            prompt, tokens, told = believed(reply, size, limit)
            used = (prompt, tokens)
            if not told:
                self._say(
                    "usage",
                    "reports no token usage that can be true; tokens are estimated from the text (4 bytes each)",
                )
            return reply, tokens
        except ErrorReply as error:
            raise Fault(f"status 200 with an error: {error}", error.status) from None
        except ValueError as error:
            used = (size, limit)
            raise Fault(f"not a chat completion: {error}", 200) from None
        except Fault as fault:
            used = (size, limit) if fault.cost else (0, 0)
            raise
        finally:
            self.budget.settle(held, *used)

    def _request(self, messages, settings: SamplingSettings, prompt: Prompt, index: int) -> dict[str, Any]:
        wanted = {"temperature": settings.temperature, "top_p": settings.top_p, "max_tokens": settings.max_tokens}
        if settings.top_k:
            wanted["top_k"] = settings.top_k  # not OpenAI's own, but vLLM's and others'
        names = {"max_tokens": self.options.tokens_field}
        sent = {names.get(key, key): value for key, value in wanted.items() if key not in self.options.leave_out}
        request = {"model": self.model, "messages": messages} | sent | self.options.extra_body
        if self.options.send_seed and settings.seed is not None:
            request["seed"] = stream_seed(settings.seed, prompt, index)
        return request

    def _as_sample(self, reply: Reply, tokens: int, index: int, seconds: float) -> Sample:
        """The reply as a sample, its thought in one think pair; a key that the endpoint echoes does not get through."""
        with self._lock:
            self._faults_in_a_row, self._answers = 0, self._answers + 1
        asked, said = self.model.rpartition("/")[2].lower(), reply.model.rpartition("/")[2].lower()
        if said and asked not in said and said not in asked:
            self._say("model", f"was asked for model '{self.model}' and says that '{reply.model[:80]}' answered")
        text = hide(one_pair(reply.text, reply.thought, ended=not reply.truncated), self.connection.key)
        return Sample(
            text=text, tokens=tokens, truncated=reply.truncated, seconds=seconds, index=index, error=reply.error
        )

    def _faulty(self, fault: Fault, index: int) -> Sample:
        """A sample without an answer; EngineError when the fault, or the many before it, concern the endpoint as a whole."""
        words = hide(str(fault), self.connection.key)
        with self._lock:
            self._faults_in_a_row += 1
            faults, answers = self._faults_in_a_row, self._answers
        if fault.status in REFUSED and not answers:
            raise EngineError(self._advice(fault))
        if fault.status in (400, 422) and any(
            name in words for name in ("top_p", "temperature", "top_k", "max_tokens")
        ):
            words += " (options.leave_out leaves a field out, options.tokens_field renames max_tokens)"
        if faults >= max(20, 2 * self.options.concurrency):
            raise EngineError(
                f"{faults} requests in a row failed at {self.connection.shown}, the last with: {words}. "
                "Answers so far are kept; run again when the endpoint works."
            )
        return Sample(text="", tokens=0, index=index, error=words)

    def _say(self, about: str, words: str) -> None:
        """Warns once per engine."""
        with self._lock:
            known = about in self._said
            self._said.add(about)
        if not known:
            warnings.warn(hide(f"{self.connection.shown} {words}", self.connection.key), stacklevel=2)

    def _check_endpoint(self) -> None:
        """One cheap request, so that a wrong address or key shows before anything else is done."""
        for last in (False, True):
            try:
                read_json(self.connection.get("models", timeout_s=min(20.0, self.options.timeout_s)))
                return
            except ValueError:
                return  # no list of models there; the first sample will tell
            except Fault as fault:
                if fault.status in (401, 403) or (fault.status == 0 and last):
                    self.close()
                    raise EngineError(self._advice(fault)) from None
                if fault.status:
                    return

    def _advice(self, fault: Fault) -> str:
        where = self.connection.shown
        if fault.status == 0:
            return f"no answer from {where}: check base_url and that the server is up ({fault})"
        if fault.status in (401, 403):
            return f"{where} refused the key from ${self.options.key_env} ({fault})"
        if fault.status == 404:
            return f"{where} knows no model '{self.model}', or base_url lacks its /v1 part ({fault})"
        return f"{where} has moved; put its new address into base_url ({fault})"
