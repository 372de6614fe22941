"""Endpoints that answer oddly (odd_server.py): one odd reply costs one reply, no key is written, no count is believed blindly."""

import json
import socket
import threading
import time
import warnings
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_server import WAYS, OddServer

from phi4r_lib.cookbook.settings.profile import ProfileError, load_profile
from phi4r_lib.models.engine import BudgetSpent, EngineError, EngineSpec, SamplingSettings, open_engine
from phi4r_lib.models.engines.connection import Connection, Fault
from phi4r_lib.models.engines.replies import believed, read_reply
from phi4r_lib.models.hidden import HIDDEN, find_secret, hide
from phi4r_lib.models.options import OpenAIOptions
from phi4r_lib.models.store import read_samples, sample_to_store
from phi4r_lib.models.thinking import one_pair, parse_thinking

KEY = "sk-test-0123456789abcdef0123"
ASK = SamplingSettings(temperature=0.8, max_tokens=64)
pytestmark = pytest.mark.filterwarnings("ignore:http")


@pytest.fixture
def server():
    server = OddServer()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def connect(server, **options):
    options = {"base_url": server.url, "retries": 0, "concurrency": 4, "timeout_s": 30.0} | options
    return open_engine({"kind": "openai", "model": "m", "options": options})


def one(server, way, **options):
    return connect(server, **options).sample([way], ASK)[0][0]


THOUGHT = [way for way in WAYS if "two and three" in str(WAYS[way])]


@pytest.mark.parametrize("way", THOUGHT)
def test_every_way_to_deliver_a_thought_gives_one_think_pair(server, way):
    sample = one(server, way)
    thinking = parse_thinking(sample.text)
    assert sample.error is None and thinking.valid, sample
    assert thinking.thought.startswith("two and three") and thinking.solution == "\\boxed{5}"


def test_a_half_character_is_replaced_and_the_rest_is_stored(server, tmp_path):
    table = sample_to_store(connect(server), [("odd", "surrogate"), ("good", "good")], ASK, tmp_path).set_index("key")
    assert "three \ufffd</think>" in table.loc["odd", "text"] and table["error"].isna().all()


# way: completion tokens that are right; 11 words of b"<think>two and three</think> \\boxed{5}" make ceil(38 / 4)
TOKENS = {"good": 12, "thought not counted": 402, "no usage": 10, "usage is text": 10, "zero usage": 10}
TOKENS |= {"negative usage": 10, "huge usage": 10, "tiny usage": 632}


@pytest.mark.parametrize("way", TOKENS)
def test_token_counts_that_cannot_be_are_estimated_from_the_text(server, way):
    engine = connect(server, budget_tokens=100_000)
    sample = engine.sample([way], SamplingSettings(max_tokens=256))[0][0]
    assert sample.error is None and sample.tokens == TOKENS[way]
    assert TOKENS[way] < engine.budget.spent[0] < TOKENS[way] + 40  # the prompt is reported or estimated


def test_an_estimate_and_another_model_are_said_once(server):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        engine = connect(server, concurrency=1)
        engine.sample(["no usage", "other model", "no usage", "other model"], ASK)
    assert sorted("gpt-other" in str(w.message) for w in said) == [False, True]


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_usage_gives_counts_that_fit(usage):
    import json

    choice = {"message": {"content": "one two three"}, "finish_reason": "stop"}
    for given_usage in (usage, {"prompt_tokens": usage, "completion_tokens": usage, "total_tokens": usage}):
        reply = read_reply(json.dumps({"choices": [choice], "usage": given_usage}).encode())
        prompt, tokens, _ = believed(reply, 20, 64)
        assert 0 < prompt <= 4416 and 0 < tokens <= 128


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["choices", "message", "content", "error", "usage", "text", "type", "reasoning"]), x
            )
        ),
    )
)
def test_any_json_is_a_reply_or_one_clear_line(body):
    import json

    try:
        reply = read_reply(json.dumps(body).encode())
    except ValueError as error:
        assert str(error).count("\n") == 0 or "error" in str(body)
    else:
        assert isinstance(reply.text, str) and isinstance(reply.thought, str)


def test_an_error_with_status_200_shows_its_words_and_is_tried_again(server):
    sample = one(server, "error 200", retries=1)
    assert "the provider behind me is overloaded" in sample.error and len(server.requests) == 2


ODD = ["error 200", "brackets", "list", "no choices", "cut", "half json", "hour", "endless", "echo in error"]


@pytest.mark.parametrize("way", ODD)
def test_an_odd_reply_costs_one_reply_and_always_odd_ones_stop_the_run(server, way, tmp_path):
    few = sample_to_store(connect(server), [("odd", way), ("good", "good")], ASK, tmp_path).set_index("key")
    assert few.loc["odd", "error"] and few.loc["good", "error"] is None
    assert len(few.loc["odd", "error"]) <= 400 and "\n" not in few.loc["odd", "error"]
    server.way = way
    with pytest.raises(EngineError, match="requests in a row failed"):
        sample_to_store(connect(server), [(f"p{i}", f"What is 2+{i}?") for i in range(60)], ASK, tmp_path)
    assert read_samples(tmp_path)["error"].isna().sum() == 1 and len(server.requests) < 62


def test_a_dripping_answer_ends_at_the_time_limit(server):
    assert "no whole answer within 0.5 s" in one(server, "drip", timeout_s=0.5).error


BODY = json.dumps({"choices": [{"finish_reason": "stop", "message": {"content": "5"}}]}).encode()
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize(
    ("before", "drop", "after"),
    [
        (OK + b"X: ", b"a", b"\r\n" + LENGTH + BODY),  # one header without end
        (OK, b"X: a\r\n", LENGTH + BODY),  # headers without end
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n", OK + LENGTH + BODY),  # "I am at it" without end
        (OK + CHUNKED, b"X: a\r\n", b"\r\n"),  # trailers without end
    ],
)
def test_what_drips_around_a_body_ends_at_the_time_limit_too(before, drop, after):
    """Every drop comes within the time limit of a read; after 40 of them the answer would be a good one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            with suppress(OSError), listener.accept()[0] as client:
                client.recv(1 << 16)
                client.sendall(before)
                for _ in range(40):
                    time.sleep(0.1)
                    client.sendall(drop)
                client.sendall(after)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        options = OpenAIOptions(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1", timeout_s=1)
        with pytest.raises(Fault, match="no whole answer within 1 s"):
            Connection(options).post("chat/completions", {})
        thread.join()


def test_a_wait_of_an_hour_is_a_fault_not_a_wait(server):
    assert "later" in one(server, "hour", retries=5).error and len(server.requests) == 1


def test_an_address_that_moved_is_said(server):
    with pytest.raises(EngineError, match=r"has moved.*elsewhere\.invalid"):
        one(server, "redirect")


def test_answers_that_got_lost_count_in_the_budget(server):
    server.way = "cut"
    engine = connect(server, budget_tokens=600, retries=3, concurrency=1)
    with pytest.raises((BudgetSpent, EngineError)):
        for n in range(100):
            engine.sample([f"What is 2+{n}?"], ASK)
    assert len(server.requests) * 64 <= 600 and engine.budget.spent[0] <= 600


def test_impossible_usage_neither_lifts_nor_breaks_the_budget(server):
    for way in ("negative usage", "huge usage"):
        engine = connect(server, budget_tokens=200, concurrency=1)
        rows = engine.sample([way] * 20, ASK)
        answered = [row[0] for row in rows if row[0].error is None]
        assert 1 < len(answered) < 20 and 100 < engine.budget.spent[0] <= 200


def test_fields_can_be_left_out_and_the_advice_says_so(server):
    assert "options.leave_out" in one(server, "one of two").error
    engine = connect(server, leave_out=["top_p", "temperature"], tokens_field="max_completion_tokens")
    assert engine.sample(["one of two"], ASK)[0][0].error is None
    assert set(server.requests[-1]) == {"model", "messages", "max_completion_tokens"}
    assert engine.name != connect(server).name  # other fields, other samples


def test_a_key_that_the_endpoint_echoes_is_written_nowhere(server, tmp_path):
    prompts = [("a", "echo"), ("b", "echo in error")]
    table = sample_to_store(connect(server), prompts, ASK, tmp_path).set_index("key")
    assert table.loc["a", "text"] == f"you sent Bearer {HIDDEN}" and HIDDEN in table.loc["b", "error"]
    server.way = "echo in error"
    with pytest.raises(EngineError) as stopped:
        connect(server).sample([f"{n}" for n in range(40)], ASK)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in str(stopped.value) and KEY.encode() not in written


SECRETS = {
    "base_url": [f"https://user:{KEY}@host/v1", f"https://{KEY}@host/v1", "https://host/v1?api-key=0123456789abc"],
    "key_env": [KEY, KEY.upper(), "gsk_abcdefgh0123456789abcdef", "AKIAIOSFODNN7EXAMPLE0123456789"],
    "extra_body": [{"api_key": "x"}, {"headers": {"Authorization": "x"}}, {"a": [{"note": f"Bearer {KEY}"}]}],
    "api_key": ["x"],
    "Authorization": ["Bearer x"],
}


@pytest.mark.parametrize(("option", "value"), [(o, v) for o, values in SECRETS.items() for v in values])
def test_secrets_are_refused_before_anything_starts_and_never_repeated(option, value):
    options = {"base_url": "http://127.0.0.1:9/v1"} | {option: value}
    secret = "IOSFODNN7EXAMPLE" if "AKIA" in str(value) else "0123456789abc"
    with pytest.raises(EngineError) as engine:
        open_engine({"kind": "openai", "model": "m", "options": options})
    with pytest.raises(ProfileError) as profile:
        load_profile("smoke", {"models.teacher": {"kind": "openai", "model": "m", "options": options}})
    for error in (engine, profile):
        assert secret not in str(error.value).lower() and "\n" not in str(error.value)
        assert "environment" in str(error.value)


def test_a_key_in_the_address_of_the_environment_is_not_shown(server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://user:{KEY}@127.0.0.1:9/v1")
    with pytest.raises(EngineError) as error:
        open_engine({"kind": "openai", "model": "m", "options": {"timeout_s": 5.0}})
    assert KEY not in str(error.value) and "127.0.0.1:9" in str(error.value)
    monkeypatch.setenv("OPENAI_API_KEY", "schlüssel mit leerzeichen")
    with pytest.raises(EngineError, match="characters that no request can carry"):
        open_engine({"kind": "openai", "model": "m"})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("concurrency", 0),
        ("concurrency", 2.5),
        ("timeout_s", "x"),
        ("timeout_s", float("nan")),
        ("retries", -1),
        ("base_url", 5),
        ("base_url", "localhost:8000"),
        ("budget_tokens", -5),
        ("price_in", -1.0),
        ("leave_out", ["prompt"]),
        ("extra_body", "x"),
        ("extra_body", {"model": "another"}),
        ("extra_body", {"stream": True}),
        ("extra_body", {"a": float("nan")}),
        ("base_url", "http://127.0.0.1:99999"),
        ("base_url", "http://127.0.0.1/ v1"),
        ("base_url", "http://127.0.0.1\n/v1"),
        ("timeout_s", 1e15),
        ("longest_wait_s", 1e308),
        ("price_out", 1e308),
        ("tokens_field", "max tokens"),
        ("send_seed", "no"),
        ("timeout", 5),
    ],
)
def test_options_are_checked_with_one_line(option, value):
    with pytest.raises(EngineError, match=option) as error:
        open_engine({"kind": "openai", "model": "m", "options": {option: value}})
    assert "\n" not in str(error.value) and "pydantic" not in str(error.value)
    with pytest.raises(ProfileError, match=rf"models\.teacher.*{option}"):
        load_profile("smoke", {"models.teacher": {"kind": "openai", "model": "m", "options": {option: value}}})


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("transformers", {"batch_size": 0}),
        ("transformers", {"batch_size": 10**15}),
        ("vllm", {"gpu_memory_utilization": 2.0}),
        ("vllm", {"kv_cache_gb": float("inf")}),
        ("vllm", {"dtype": ""}),
        ("ray", {"workers": 0}),
        ("ray", {"cpus": 1e308}),
        ("ray", {"address": "a b"}),
    ],
)
def test_options_of_the_other_engines_are_checked_as_well(kind, options):
    with pytest.raises(ProfileError, match=f"{kind} engine: option '{next(iter(options))}'"):
        load_profile("smoke", {"models.base": {"kind": kind, "model": "m", "options": options}})


def test_an_engine_of_your_own_keeps_its_options():
    assert EngineSpec(kind="my.module:Engine", model="m", options={"anything": 1}).options == {"anything": 1}
    assert find_secret(EngineSpec(model="m").model_dump()) is None
    assert (
        find_secret({"max_tokens": 5, "tokens_field": "max_tokens", "budget_tokens": 9, "system": "keep secrets"})
        is None
    )


def test_hide_leaves_short_stand_ins_alone():
    assert hide("EMPTY boxes", "EMPTY") == "EMPTY boxes" and hide(f"a {KEY} b") == f"a {HIDDEN} b"


@given(st.text(alphabet="ab \n<>/think", max_size=30), st.text(alphabet="ab \n", max_size=10))
def test_a_text_without_tags_keeps_its_words_and_gets_one_pair(text, thought):
    text = text.replace("<think>", "").replace("</think>", "")
    if "<think>" in text or "</think>" in text:
        return
    made = one_pair(text, thought)
    assert made == text if not thought.strip() else parse_thinking(made).valid
    assert one_pair(made) == made
