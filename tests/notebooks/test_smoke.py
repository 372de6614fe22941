"""Every notebook end to end with the smoke profile, through the command that users type; about a minute per notebook at most."""

import json
import os
import re
import subprocess
import sys

import pandas as pd
import pytest
from books import command

from phi4r_lib.cookbook.settings.profile import load_profile
from phi4r_lib.cookbook.settings.stages import stages

NOTEBOOKS = {number: stage.path for number, stage in stages().items()}

pytestmark = pytest.mark.slow


def test_nobody_is_contacted(smoke, connects):
    probe = [sys.executable, "-c", "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"]
    seen = connects[0].read_text(encoding="utf-8") if connects[0].exists() else ""
    subprocess.run(probe, env=os.environ | connects[1], check=True)
    assert not seen, seen
    assert "127.0.0.1" in connects[0].read_text(encoding="utf-8")  # the recorder works


def test_pages_load_nothing_from_outside(smoke):
    pages = [smoke[0] / "report.html", *(smoke[0] / "notebooks").glob("*.html")]
    assert len(pages) > len(NOTEBOOKS)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "Content-Security-Policy" in text and "default-src 'none'" in text
        loaded = re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(?!data:)([^\"'> ]+)", text)
        assert not loaded, (page, loaded[:3])
        assert not re.findall(r"(?:url|import)\([\"']?https?:", text)


def manifest(out):
    return json.loads((out / "run.json").read_text(encoding="utf-8"))


def test_every_notebook_is_done_with_results(smoke):
    out, printed = smoke
    notebooks = manifest(out)["notebooks"]
    assert set(notebooks) == set(NOTEBOOKS) >= {"00", "01", "02", "03", "04", "05"}
    assert {facts["status"] for facts in notebooks.values()} == {"done"}
    assert all(list(out.glob(f"{number}_*/results.json")) for number in NOTEBOOKS)
    assert "report: " in printed


def test_memory_stays_below_four_gigabytes(smoke):
    assert max(facts["peak_mb"] for facts in manifest(smoke[0])["notebooks"].values()) < 4000


def test_variance_results_have_the_agreed_shape(smoke):
    results = json.loads((smoke[0] / "05_variance" / "results.json").read_text(encoding="utf-8"))
    runs = load_profile("smoke").variance.runs
    assert set(results["models"]) >= {"base", "sft", "grpo"}
    for facts in results["models"].values():
        assert len(facts["run_accuracy"]) == runs
        assert all(0 <= accuracy <= 1 for accuracy in facts["run_accuracy"])
        assert facts["mean"] == pytest.approx(sum(facts["run_accuracy"]) / runs, abs=1e-6)
        assert {"se_fixed", "se_population", "mean_tokens"} <= set(facts)
    for pair in results["comparisons"]:
        assert pair["low"] <= pair["difference"] <= pair["high"]
        means = {name: facts["mean"] for name, facts in results["models"].items()}
        assert pair["difference"] == pytest.approx(means[pair["a"]] - means[pair["b"]], abs=1e-6)


def test_artefacts_are_where_the_design_says(smoke):
    out = smoke[0]
    for name in ("01_edge/edge.jsonl", "02_rewrite/rewrites.jsonl", "02_rewrite/traces.jsonl", "02_rewrite/rl.jsonl"):
        assert (out / name).is_file(), name
    for stage in ("03_sft", "04_grpo"):
        assert (out / stage / "model" / "config.json").is_file()
        assert list((out / stage / "model").glob("*.safetensors"))
        assert (out / stage / "metrics.jsonl").is_file()
    assert list((out / "02_rewrite" / "sft").glob("*.jsonl"))
    assert list((out / "05_variance" / "figures").glob("*.png"))
    assert not list(out.rglob("*.pkl"))
    assert not list(out.rglob("*.partial"))


def test_artefacts_load_with_common_tools(smoke):
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = smoke[0]
    answers = pd.read_parquet(out / "05_variance" / "answers.parquet")
    assert len(answers) > 0
    rows = load_dataset(
        "json", data_files=str(out / "02_rewrite" / "traces.jsonl"), split="train", cache_dir=str(out / "cache")
    )
    assert len(rows) > 0
    model = AutoModelForCausalLM.from_pretrained(out / "04_grpo" / "model")
    tokenizer = AutoTokenizer.from_pretrained(out / "04_grpo" / "model")
    assert model.config.vocab_size >= len(tokenizer)


def test_report_shows_every_notebook_and_figure(smoke):
    page = (smoke[0] / "report.html").read_text(encoding="utf-8")
    for path in NOTEBOOKS.values():
        assert f"notebooks/{path.stem}.html" in page
        assert (smoke[0] / "notebooks" / f"{path.stem}.html").is_file()
    assert "data:image/png;base64," in page


def test_second_run_keeps_everything(smoke, smoke_run):
    out, _ = smoke
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/results.json")}
    _, again = smoke_run()
    assert again.returncode == 0 and again.stdout.count("kept") >= len(NOTEBOOKS)
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/results.json")} == before


def test_every_stage_declares_what_it_read(smoke):
    """Its inputs are covered by its needs, and its own sections are among the settings that it looked at."""
    for number, facts in manifest(smoke[0])["notebooks"].items():
        stage = stages()[number]
        for name in facts["lineage"]["inputs"]:
            needs = [
                "*/model" if name.endswith("/model") and "*/model" in stage.needs else need for need in stage.needs
            ]
            assert any(need == "*/model" or f"{name}/".startswith(f"{need}/") for need in needs), (stage.name, name)
        assert set(stage.sections) <= set(facts["lineage"]["settings"])
        assert {"notebook", "code", "packages", "data"} <= set(facts["lineage"])


def test_plain_papermill_from_another_directory(tmp_path):
    notebook, out = NOTEBOOKS["00"], tmp_path / "plain"
    args = ["-p", "profile", "smoke", "-p", "out", str(out), "--no-progress-bar"]
    done = command("papermill", str(notebook), str(tmp_path / "00.ipynb"), *args, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert manifest(out)["profile"]["name"] == "smoke"


def test_plain_papermill_with_a_mistyped_parameter_fails(tmp_path):
    notebook, out = NOTEBOOKS["00"], tmp_path / "plain"
    args = ["-p", "profle", "smoke", "-p", "out", str(out), "--no-progress-bar"]
    done = command("papermill", str(notebook), str(tmp_path / "00.ipynb"), *args, cwd=tmp_path)
    assert done.returncode != 0 and "unknown parameter 'profle'" in done.stderr
    assert not os.path.exists(out)
