"""Training in two processes over gloo: the numbers of one, a killed process, and a resume on another number of them."""

import json
import os
import signal
import subprocess
import sys

import pandas as pd
import psutil
import pytest
import torch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from transformers import AutoModelForCausalLM

from phi4r_lib.problems.schema import Problem
from phi4r_lib.train.grpo import run_grpo
from phi4r_lib.train.launch import LaunchError, _error, _plain, command, group_size, restored, run_group
from phi4r_lib.train.settings import GrpoSettings, LaunchSettings, SftSettings
from phi4r_lib.train.sft import run_sft

ONE, TWO = LaunchSettings(), LaunchSettings(processes=2)
SHARDS = LaunchSettings(processes=2, sharding="fsdp")
ways = pytest.mark.parametrize("launch", [TWO, SHARDS], ids=["ddp", "fsdp"])
SFT = SftSettings(
    passes=2.0, learning_rate=1e-3, batch_size=2, block=64, warmup_steps=1, weight_decay=1e-4, eval_every=2,
    eval_problems=2, eval_max_tokens=8, launch=TWO,
)  # fmt: skip
PROBLEMS = [
    Problem(id=f"v{a}", domain="math", prompt=f"what is {a} + 1 ?", answer=str(a + 1), source="test", licence="MIT")
    for a in (3, 4)
]
COMMON = {"validation": PROBLEMS, "system": "you are helpful", "device": "cpu"}


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """Sixteen rows: eight blocks of two, so that every step takes two whole blocks."""
    file = tmp_path_factory.mktemp("rows") / "traces.jsonl"
    with file.open("w") as out:
        for a in range(1, 17):
            text = f"<think> {a} + 1 = {a + 1} </think> \\boxed{{{a + 1}}}"
            user = {"role": "user", "content": f"what is {a} + 1 ?"}
            out.write(json.dumps({"id": f"r{a}", "messages": [user, {"role": "assistant", "content": text}]}) + "\n")
    return file


@pytest.fixture(scope="module")
def one(shared_base_dir, traces, tmp_path_factory):
    """The training that nobody disturbs, in one process."""
    alone = SFT.model_copy(update={"launch": ONE})
    return run_sft(shared_base_dir, [traces], tmp_path_factory.mktemp("one"), alone, **COMMON)


def rows(report, kind):
    lines = map(json.loads, report.metrics.read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


def close(first, second):
    """Weights agree; one in a thousand, whose gradient is all rounding, may move by up to a learning rate (1e-3) either way."""
    for (name, one), two in zip(
        AutoModelForCausalLM.from_pretrained(first).state_dict().items(),
        AutoModelForCausalLM.from_pretrained(second).state_dict().values(),
        strict=True,
    ):
        apart = (~torch.isclose(one, two, rtol=1e-2, atol=1e-3)).float().mean()
        assert apart <= 1e-3, f"{name}: {apart:.2%} of the weights differ"
        torch.testing.assert_close(one, two, rtol=1e-2, atol=2e-3, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.slow
@ways
def test_sft_in_two_processes_is_that_of_one(shared_base_dir, traces, one, tmp_path, launch):
    """Replicas give the same weights; shards compute in bf16 throughout, where replicas keep norms and logits in float32."""
    seen, settings = [], SFT.model_copy(update={"launch": launch})
    two = run_sft(shared_base_dir, [traces], tmp_path / "two", settings, progress=lambda *at: seen.append(at), **COMMON)
    assert seen == [(step, one.steps) for step in range(1, one.steps + 1)] and two.steps == one.steps
    losses = [[row["loss"] for row in rows(report, "train")] for report in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=5e-3 if launch is TWO else 2e-2)
    assert [r["step"] for r in rows(two, "validation")] == [r["step"] for r in rows(one, "validation")]
    if launch is TWO:
        close(one.model, two.model)
    assert list((tmp_path / "two").glob("launch/error-*")) == []


@pytest.mark.slow
@ways
def test_a_killed_process_is_named_and_one_process_goes_on(shared_base_dir, traces, one, tmp_path, launch):
    def kill(done, _):
        if done == 5:
            members = [p for p in psutil.Process().children(recursive=True) if "phi4r_lib.train.worker" in p.cmdline()]
            ranked = {p.environ().get("RANK"): p for p in members if "torch.distributed.run" not in p.cmdline()}
            ranked["1"].kill()

    with pytest.raises(LaunchError, match=r"process 1 of 2 was killed by signal 9; call again to go on"):
        run_sft(
            shared_base_dir,
            [traces],
            tmp_path / "out",
            SFT.model_copy(update={"launch": launch}),
            progress=kill,
            **COMMON,
        )
    alone = SFT.model_copy(update={"launch": launch.model_copy(update={"processes": 1})})
    report = run_sft(shared_base_dir, [traces], tmp_path / "out", alone, **COMMON)
    assert report.resumed and [r["step"] for r in rows(report, "train")] == [r["step"] for r in rows(one, "train")]
    losses = [[row["loss"] for row in rows(each, "train")] for each in (one, report)]
    assert losses[0] == pytest.approx(losses[1], rel=5e-3 if launch is TWO else 2e-2)
    if launch is TWO:
        close(report.model, one.model)


@pytest.mark.parametrize(
    "ends, said",
    [
        ({0: (1, 0), 1: (-9, 0)}, "process 1 of 8 was killed by signal 9"),  # both seen ended at one look
        ({0: (-9, 0), 1: (1, 0)}, "process 0 of 8 was killed by signal 9"),
        ({0: (-6, 0), 1: (-9, 0)}, "process 1 of 8 was killed by signal 9"),
        ({0: (1, 0), 1: (-15, 1), 2: (-11, 0)}, "process 2 of 8 was killed by signal 11"),
        ({3: (1, 0), 1: (-15, 1)}, "too long (process 3 of 8"),
        ({3: (1, 0), 1: (-9, 31)}, "too long (process 3 of 8"),  # in a step for so long that torchrun killed it
        ({rank: (-9 if rank == 2 else 1, 0) for rank in range(8)}, "process 2 of 8 was killed by signal 9"),
    ],
)
def test_the_end_named_is_the_one_that_ended_the_others(tmp_path, ends, said):
    """In the words of torchrun itself, which lists the ends in their order of being seen."""
    failures = {
        rank: ProcessFailure(local_rank=rank, pid=100 + rank, exitcode=code, error_file="<N/A>")
        for rank, (code, _) in ends.items()
    }
    for rank, (_, later) in ends.items():
        failures[rank].timestamp = 1_790_000_000 + later
    note = {"rank": 3, "kind": "builtins:ValueError", "message": "too long"}
    (tmp_path / "error-3.json").write_text(json.dumps(note))
    output = str(ChildFailedError("phi4r_lib.train.worker", failures)).splitlines()
    assert said in str(_error(tmp_path, output, 8))


@pytest.mark.slow
def test_a_process_that_raises_beside_a_killed_one_is_not_called_killed(tmp_path, monkeypatch):
    (tmp_path / "both_end.py").write_text(
        "import os, signal, time\n\n"
        "def train(device, progress):\n"
        "    if os.environ['RANK'] == '1':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    time.sleep(0.05)\n"
        "    raise ConnectionError('no answer')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(LaunchError, match="process 1 of 2 was killed by signal 9"):
        run_group("both_end:train", {"device": "cpu"}, tmp_path / "out", TWO, 2, None)


@pytest.mark.slow
def test_errors_come_back_as_they_were_raised(shared_base_dir, traces, tmp_path):
    with pytest.raises(
        ValueError, match=r"no training row fits a block of 16 tokens; raise sft.block or add rows \(process"
    ):
        run_sft(shared_base_dir, [traces], tmp_path / "out", SFT.model_copy(update={"block": 16}), **COMMON)


@pytest.mark.slow
@ways
def test_grpo_in_two_processes_is_that_of_one(shared_base_dir, traces, tmp_path, launch):
    start = run_sft(
        shared_base_dir, [traces], tmp_path / "sft",
        SFT.model_copy(update={"passes": 20.0, "learning_rate": 1e-2, "launch": ONE, "eval_every": 999}), device="cpu",
    ).model  # fmt: skip
    prompts = tmp_path / "rl.jsonl"
    with prompts.open("w") as out:
        for a in range(1, 9):
            user = {"role": "user", "content": f"what is {a} + 1 ?"}
            out.write(json.dumps({"id": f"p{a}", "prompt": [user], "answer": str(a + (1 if a % 2 else 2))}) + "\n")
    settings = GrpoSettings(
        steps=2, prompts=4, group=4, micro_batches=1, learning_rate=1e-4, warmup_steps=0, beta=0.001, entropy=0.0,
        temperature=1.5, max_tokens=24, max_clipped=1.0, eval_every=2, eval_problems=2, filter_groups=False,
    )  # fmt: skip
    reports = [
        run_grpo(start, prompts, tmp_path / str(n), settings.model_copy(update={"launch": each}), **COMMON)
        for n, each in enumerate((launch.model_copy(update={"processes": 1}), launch))
    ]
    one, two = (pd.concat([pd.read_parquet(path) for path in report.rollouts]) for report in reports)
    first = [table[table["step"] == 1].sort_values(["id", "text"]).reset_index(drop=True) for table in (one, two)]
    assert first[0]["text"].tolist() == first[1]["text"].tolist() and len(one) == len(two) == 32
    figures = [rows(report, "train")[0] for report in reports]
    for name in ("loss", "grad_norm", "accuracy", "total", "tokens"):
        assert figures[0][name] == pytest.approx(figures[1][name], rel=2e-2, abs=1e-4), name
    assert figures[0]["grad_norm"] > 0


@pytest.mark.slow
def test_the_group_ends_with_its_driver(shared_base_dir, traces, tmp_path):
    code = (
        "import sys; from pathlib import Path; from phi4r_lib.train.sft import run_sft; "
        "from phi4r_lib.train.settings import SftSettings; "
        "run_sft(sys.argv[1], [sys.argv[2]], sys.argv[3], SftSettings.model_validate_json(sys.argv[4]), device='cpu', "
        "progress=lambda *at: print('step', flush=True))"
    )
    long = SFT.model_copy(update={"passes": 2000.0})
    arguments = [str(shared_base_dir), str(traces), str(tmp_path / "out"), long.model_dump_json()]
    driver = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    assert driver.stdout.readline() == "step\n"
    members = psutil.Process(driver.pid).children(recursive=True)
    assert len(members) >= 3  # torchrun and two workers
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    _, left = psutil.wait_procs(members, timeout=600)
    for process in left:
        process.kill()
    assert not left


def test_commands_of_one_and_several_hosts(tmp_path, monkeypatch):
    job = tmp_path / "03_sft" / "launch" / "job.json"
    here = command(TWO, 2, job)
    assert here[1:3] == ["-m", "torch.distributed.run"] and "--standalone" in here and here[-1] == str(job)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    many = LaunchSettings(processes=8, hosts=4, address="node1")
    with pytest.raises(LaunchError, match=r"launch\.prefix"):
        command(many, 8, job)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    there = command(many, 8, job)
    assert there[:2] == ["srun", "--nodes=4"] and there[there.index("--rdzv-endpoint") + 1] == "node1:29400"
    assert there[there.index("--nnodes") + 1] == "4"


def test_one_process_on_a_cpu_needs_no_launcher(monkeypatch):
    assert group_size(ONE, "cpu") == 1 and group_size(TWO, "cpu") == 2
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    assert group_size(ONE, "auto") == 8


def test_arguments_survive_the_way_to_the_workers(tmp_path):
    given = {"settings": SFT, "files": [tmp_path / "a"], "validation": PROBLEMS, "names": {"a": 1, "b": None}}
    back = restored(json.loads(json.dumps(_plain(given))))
    assert back["settings"] == SFT and back["validation"] == PROBLEMS and back["names"] == given["names"]
    assert back["files"] == [str((tmp_path / "a").resolve())]
    with pytest.raises(TypeError, match="cannot be given object"):
        _plain(object())
