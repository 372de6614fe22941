"""A training that is killed, anywhere, by a real SIGKILL: the next call gives what an unkilled one gives."""

import json
import multiprocessing
import os
import shutil
import signal
import sys

import pandas as pd
import pytest

from phi4r_lib.problems.schema import Problem
from phi4r_lib.train import session
from phi4r_lib.train.callbacks import Journal
from phi4r_lib.train.settings import DpoSettings, GrpoSettings, SftSettings
from phi4r_lib.train.sft import run_sft

# Children are forked from a process that has loaded the libraries and computed nothing, so each starts at once.
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(
    ["trl", "phi4r_lib.train.sft", "phi4r_lib.train.dpo", "phi4r_lib.train.grpo", "phi4r_lib.train.rollouts"]
)
WRITES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")
TIMES = ("seconds_sampling", "step_time")
SFT = SftSettings(
    passes=2.5, learning_rate=1e-2, batch_size=2, block=64, warmup_steps=1, weight_decay=1e-4, eval_every=2,
    eval_problems=12, eval_max_tokens=24,
)  # fmt: skip
GRPO = GrpoSettings(
    steps=5, prompts=4, group=4, micro_batches=2, learning_rate=2e-2, warmup_steps=1, beta=0.001, entropy=0.001,
    temperature=1.0, max_tokens=24, max_clipped=1.0, eval_every=2, eval_problems=12,
)  # fmt: skip
DPO = DpoSettings(
    passes=1.5, learning_rate=2e-2, length=64, batch_size=4, eval_every=2, eval_problems=12, eval_max_tokens=24
)
PROBLEMS = [
    Problem(id=f"v{a}", domain="math", prompt=f"what is {a} + 1 ?", answer=str(a + 1), source="test", licence="MIT")
    for a in range(1, 13)
]


def _train(stage, base, rows, out, kill_at, counted, changes):
    """In a child: one training; kills itself at the `kill_at`-th change of a file in `out`, else counts them all."""
    import torch

    from phi4r_lib.train.dpo import run_dpo
    from phi4r_lib.train.grpo import run_grpo

    torch.set_num_threads(1)
    count = 0

    def heed(event, args):
        nonlocal count
        if event not in WRITES or not str(args[0]).startswith(str(out)):
            return
        if event == "open" and not (args[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(heed)
    common = {"validation": PROBLEMS, "system": "you are helpful", "device": "cpu"}
    if stage == "sft":
        run_sft(base, [rows], out, with_known(SFT, changes), **common)
    elif stage == "dpo":
        run_dpo(base, rows, out, with_known(DPO, changes), **common)
    else:
        run_grpo(base, rows, out, with_known(GRPO, changes), **common)
    counted.value = count


def journal_rows(out):
    return Journal(out / "metrics.jsonl").rows()


def with_known(settings, changes):
    """The settings with those changes that they know."""
    return settings.model_copy(
        update={key: value for key, value in changes.items() if key in type(settings).model_fields}
    )


def write_rows(folder):
    """Rows that serve as traces, as pairs and as prompts; a third of the answers is wrong, so that rollouts are mixed."""
    path = folder / "rows.jsonl"
    with path.open("w") as file:
        for a in range(1, 13):
            b = a + 1 if a % 3 else 5
            user = {"role": "user", "content": f"what is {a} + 1 ?"}
            reply = {"role": "assistant", "content": f"<think> {a} + 1 = {b} </think> \\boxed{{{b}}}"}
            other = {
                "role": "assistant",
                "content": reply["content"].replace(f"= {b}", "= 7").replace(f"{{{b}}}", "{7}"),
            }
            row = {"id": f"r{a}", "messages": [user, reply], "prompt": [user], "answer": str(a + 1)}
            row |= {"chosen": [reply], "rejected": [other]}
            file.write(json.dumps(row) + "\n")
    return path


class Bench:
    """A base model and rows; trains in children and says what came out."""

    def __init__(self, stage, folder, base):
        self.stage, self.folder, self.base = stage, folder, base
        self.rows = write_rows(folder)

    def train(self, out, kill_at=None, **changes):
        """Exit code of a training into `out` and the number of file changes it came to."""
        counted = CHILDREN.Value("i", 0)
        child = CHILDREN.Process(target=_train, args=(self.stage, self.base, self.rows, out, kill_at, counted, changes))
        child.start()
        child.join(1200)
        return child.exitcode, counted.value

    def outcome(self, out):
        """Everything a training leaves: weights and texts of the model, the journal, the rollouts."""
        model = {path.name: path.read_bytes() for path in (out / "model").iterdir()}
        table = [pd.read_parquet(path).to_json() for path in sorted(out.glob("rollouts-*.parquet"))]
        rows = [{key: value for key, value in row.items() if key not in TIMES} for row in journal_rows(out)]
        return model, rows, table, sorted(path.name for path in out.iterdir())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sessions")


@pytest.fixture(scope="module")
def base(folder, shared_base_dir):
    """A random model that has seen a few sums, so that both stages can start from it and some answers are right."""
    practice = SFT.model_copy(update={"passes": 32, "learning_rate": 1e-2, "eval_every": 999, "schedule": "constant"})
    return run_sft(shared_base_dir, [write_rows(folder)], folder / "practice", practice, device="cpu").model


@pytest.fixture(scope="module", params=["sft", "dpo", "grpo"])
def bench(request, folder, base):
    return Bench(request.param, folder, base)


def afresh(bench, name):
    """The folder of a shared training, empty: in another order of the tests it is made more than once."""
    out = bench.folder / f"{bench.stage}-{name}"
    shutil.rmtree(out, ignore_errors=True)
    return out


@pytest.fixture(scope="module")
def straight(bench):
    """Outcome of a training that nobody disturbs, and how many file changes it makes."""
    out = afresh(bench, "straight")
    code, changes = bench.train(out)
    assert code == 0
    return bench.outcome(out), changes


def test_killed_anywhere_and_called_again_gives_the_same(bench, straight, tmp_path):
    """Kill points spread over all file changes; the last ones are the end of training and the move of the model."""
    wanted, changes = straight
    for kill_at in [*range(1, changes - 8, changes // 3), *range(changes - 8, changes + 1, 4)]:
        out = tmp_path / str(kill_at)
        assert bench.train(out, kill_at)[0] == -signal.SIGKILL
        assert bench.train(out)[0] == 0, kill_at
        assert bench.outcome(out) == wanted, kill_at
        shutil.rmtree(out)


def test_a_finished_training_is_neither_continued_nor_repeated(bench, straight):
    out = bench.folder / f"{bench.stage}-straight"
    assert bench.train(out) == (0, 0)
    assert bench.outcome(out) == straight[0]


@pytest.fixture(scope="module")
def killed(bench, straight):
    """A training killed after its last checkpoint."""
    out = afresh(bench, "killed")
    for kill_at in range(straight[1] - 12, 0, -1):
        assert bench.train(out, kill_at)[0] == -signal.SIGKILL
        if list(out.glob(f"training/checkpoints/checkpoint-*/{session.SEAL}")):
            return out
        shutil.rmtree(out)
    raise AssertionError("never a checkpoint")


SPOIL = {
    "weights gone": lambda work, checkpoint: (checkpoint / "model.safetensors").unlink(),
    "journal cut": lambda work, checkpoint: (work / session.JOURNAL).write_text('{"kind": "train", "st'),
    "optimizer cut": lambda work, checkpoint: os.truncate(checkpoint / "optimizer.pt", 1000),
    "seal cut": lambda work, checkpoint: (checkpoint / session.SEAL).write_text('{"sizes": {"x"'),
    "seal of another form": lambda work, checkpoint: (checkpoint / session.SEAL).write_text('{"sizes": [1, 2]}'),
    "note empty": lambda work, checkpoint: (work / session.NOTE).write_text(""),
    "note without end": lambda work, checkpoint: (work / session.NOTE).write_text("[" * 100_000),
    "journal gone": lambda work, checkpoint: (work / session.JOURNAL).unlink(),
    "checkpoint gone": lambda work, checkpoint: shutil.rmtree(checkpoint),
}


def test_torn_files_are_survived(bench, straight, killed, tmp_path):
    """Whatever is cut off or gone: the last whole checkpoint is used, or training starts from nothing.

    What is checked before a stage begins is one code for all stages; what a stage goes on with is its own.
    """
    for what in list(SPOIL)[: None if bench.stage == "sft" else 2]:
        out = shutil.copytree(killed, tmp_path / what)
        (seal,) = out.glob(f"training/checkpoints/checkpoint-*/{session.SEAL}")
        SPOIL[what](out / "training", seal.parent)
        assert bench.train(out)[0] == 0, what
        assert bench.outcome(out) == straight[0], what


def test_a_training_goes_on_with_other_forward_passes(bench, straight, tmp_path):
    """As after "out of memory": how many passes a step has belongs to the place, and changes the loss by rounding only."""
    out = tmp_path / "out"
    assert bench.train(out, straight[1] * 2 // 3)[0] == -signal.SIGKILL
    (last,) = (out / "training/checkpoints").glob(f"checkpoint-*/{session.SEAL}")
    done = int(last.parent.name.removeprefix("checkpoint-"))
    assert bench.train(out, micro_batch=1, micro_batches=4)[0] == 0
    wanted = [row for row in straight[0][1] if row["kind"] == "train"]
    found = Journal(out / "metrics.jsonl").rows("train")
    assert [row["step"] for row in found] == [row["step"] for row in wanted] and 0 < done < len(found)
    for name in ("loss", "grad_norm"):
        ours, theirs = ([row[name] for row in rows] for rows in (found, wanted))
        assert ours[:done] == theirs[:done] and any(theirs)
        assert ours[done] == pytest.approx(theirs[done], rel=2e-2, abs=2e-3)  # from the same weights


def test_an_unusable_checkpoint_is_passed_over_for_an_older_one_and_none_is_said(tmp_path, capfd):
    settings, inputs = SFT, {"seed": 0}
    opened = session.open_session(tmp_path, settings, inputs)
    for step in (2, 4):
        folder = opened.work / f"checkpoints/checkpoint-{step}"
        folder.mkdir(parents=True)
        (opened.work / session.JOURNAL).write_text(f"{step}\n")
        (folder / "optimizer.pt").write_bytes(b"0" * step)
        if step == 2:
            session.seal(folder, None)
    assert session.open_session(tmp_path, settings, inputs).checkpoint.name == "checkpoint-2"
    assert (opened.work / session.JOURNAL).read_text() == "2\n"
    (opened.work / "checkpoints/checkpoint-2/optimizer.pt").write_bytes(b"")
    again = session.open_session(tmp_path, settings, inputs)
    assert again.checkpoint is None and again.report is None
    assert "starts from nothing" in capfd.readouterr().out


def test_the_recorded_model_stays_until_another_one_is_finished(bench, straight, tmp_path):
    out = tmp_path / "again"
    shutil.copytree(bench.folder / f"{bench.stage}-straight", out)
    assert bench.train(out, straight[1] // 2, passes=3.0, steps=6)[0] == -signal.SIGKILL
    stayed = [path for path in straight[0][-1] if path != "training"]
    assert all((out / name).exists() for name in stayed) and bench.outcome(out)[:3] == straight[0][:3]
    assert bench.train(out, passes=3.0, steps=6)[0] == 0
    assert bench.outcome(out)[0] != straight[0][0] and not (out / "training").exists()
    steps = [row["step"] for row in journal_rows(out) if row["kind"] == "train"]
    assert steps == list(range(1, len(steps) + 1))


def test_a_finished_model_that_was_changed_is_trained_anew(bench, straight, tmp_path):
    out = tmp_path / "changed"
    shutil.copytree(bench.folder / f"{bench.stage}-straight", out)
    os.truncate(out / "model/model.safetensors", 1000)
    assert bench.train(out)[0] == 0
    assert bench.outcome(out) == straight[0]


def test_the_bench_has_something_to_choose(straight):
    """Without right answers and a change of the best model, the tests above would compare little."""
    checked = [row["accuracy"] for row in straight[0][1] if row["kind"] == "validation"]
    assert max(checked) > 0 and len(set(checked)) > 1


def test_another_verifier_is_another_training(folder):
    """Who judges validation and rollouts decides what comes out, so a finished training does not stand for both."""
    common = ("base", [write_rows(folder)], PROBLEMS, 0, None)
    plain, exact = session.inputs_of(*common), session.inputs_of(*common, {"math": "exact"})
    assert plain == session.inputs_of(*common, {}) != exact != session.inputs_of(*common, {"math": {"kind": "json"}})
