"""Watching a training: what is shown comes from the files that it writes."""

import json

import pandas as pd

from phi4r_lib.cookbook.pages.live import LiveTraining


def written(folder, steps):
    work = folder / "training"
    work.mkdir(parents=True)
    rows = [{"kind": "validation", "step": 0, "accuracy": 0.25}]
    rows += [{"kind": "train", "step": s, "loss": 0.5, "total": 0.125, "accuracy": 0.5} for s in range(1, steps + 1)]
    (work / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = pd.DataFrame({"step": 1, "correct": [True, False] * 4, "text": [f"text {i}" for i in range(8)]})
    table.to_parquet(work / "rollouts-00001-00001.parquet")


def test_a_log_gets_sparse_lines(tmp_path, capsys):
    live = LiveTraining("GRPO", tmp_path, every_s=3600)
    live(1, 3)  # nothing is written yet
    live(2, 3)  # too soon
    written(tmp_path, 2)
    live(3, 3)  # the last step is always shown
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].startswith("GRPO 1/3, ")
    assert lines[1].endswith("loss 0.50, reward 0.12, accuracy 0.50, validation 0.25")


def test_a_notebook_gets_one_figure_and_one_text_that_renew_themselves(tmp_path, monkeypatch):
    import IPython.display

    from phi4r_lib.cookbook.pages import live as module

    shown = []

    class Handle:
        def update(self, bundle, metadata, raw):
            shown.append(("update", sorted(bundle)))

    def display(bundle, metadata, raw, display_id):
        shown.append(("new", sorted(bundle)))
        return Handle()

    monkeypatch.setattr(module, "in_notebook", lambda: True)
    monkeypatch.setattr(IPython.display, "display", display)
    written(tmp_path, 2)
    live = LiveTraining("GRPO", tmp_path, every_s=0)
    live(1, 2)
    live(2, 2)
    both = (["image/png", "text/plain"], ["text/plain"])
    assert shown == [(how, what) for how in ("new", "update") for what in both]
    assert len(live._texts()) == 3 and "text" in live._texts()[0]
