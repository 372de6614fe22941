"""Rows per CPU second and memory of the bookkeeping around the models, from a seeds file to training files.

A stub engine answers at once, so what is measured is ours: validating, sampling and deciding (notebook 01),
decontamination, choosing traces and mixing (notebook 02). Every stage runs in a process of its own. Run:
python benchmarks/bulk.py (100,000 and 1,000,000 rows, half an hour of one core, 8 GB of disk; --rows 100000 takes two and a half minutes).
--stages and --folder, which keeps what a stage wrote, run the stages one by one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from phi4r_lib.curate.decontaminate import build_index
from phi4r_lib.curate.edge import EdgeRule, find_edge, iter_edge
from phi4r_lib.curate.mixture import compose, rl_rows, sft_row
from phi4r_lib.curate.screen import Screen, repeating
from phi4r_lib.curate.teach import edge_lessons, pick, reject, seed_lessons, stored_traces
from phi4r_lib.curate.traces import traces_in
from phi4r_lib.curate.truth import find_truth
from phi4r_lib.models.engine import Sample, SamplingSettings
from phi4r_lib.problems.census import Census
from phi4r_lib.problems.rows import write_rows
from phi4r_lib.problems.schema import Problem, iter_problems, load_problems

STAGES = ("validate", "decontaminate", "truth", "templates", "edge", "traces", "mix")
WORDS = [
    a + b
    for a in ["ba", "ke", "li", "mo", "nu", "pa", "re", "si", "to", "vu"]
    for b in ["lan", "mer", "nik", "pos", "rad", "sel", "tun", "vix", "zor", "dim"]
]
BENCHMARK = 1000  # items to decontaminate against


class Stub:
    """Answers at once: a number that is the seed's own with a probability of the seed's own, else another."""

    seedable = True

    def __init__(self, name: str, least: float) -> None:
        self.name, self.least, self.asked = name, least, 0

    def sample(self, prompts, settings, progress=None):
        """settings.n answers per prompt."""
        self.asked += len(prompts) * settings.n
        numbers = range(settings.first, settings.first + settings.n)
        return [[self._one(prompt, index) for index in numbers] for prompt in prompts]

    def _one(self, prompt: str, index: int) -> Sample:
        seed = crc32(prompt.encode())
        right = crc32(f"{self.name} {seed} {index}".encode()) % 1000 < 1000 * max(self.least, seed % 11 / 10)
        said = seed % 100 if right else 100 + index % 7
        return Sample(text=f"<think> {prompt} </think> \\boxed{{{said}}}", tokens=40, index=index)

    def close(self) -> None:
        """Nothing to free."""


def rows(count: int, seed: int = 0) -> Iterator[Problem]:
    """Problems of about forty random words and two numbers."""
    rng = random.Random(seed)
    for number in range(count):
        text = f"{' '.join(rng.choices(WORDS, k=40))} {rng.randrange(1000)} and {rng.randrange(1000)}?"
        fields = {"domain": "math", "source": "bulk", "licence": "MIT", "meta": {"steps": number % 8}}
        yield Problem(id=f"{seed}-{number}", prompt=text, **fields)


def validate(folder: Path) -> str:
    """What `phi4r validate` does."""
    census = Census()
    for _ in census.counting(iter_problems(folder / "seeds.jsonl", notes=census.notes)):
        pass
    return census.lines()[0]


def truth(folder: Path) -> str:
    """Notebook 01's first half: three answers of the teacher per seed, truths by vote."""
    seeds, teacher = load_problems(folder / "seeds.jsonl"), Stub("teacher", 0.8)
    truths = find_truth(seeds, teacher, SamplingSettings(n=3, max_tokens=64), folder=folder / "samples")
    return f"{teacher.asked:,} samples, {sum(one.answer is not None for one in truths):,} with a truth"


def edge(folder: Path) -> str:
    """Notebook 01's second half: the stored truths read, adaptive sampling of the base, edge.jsonl."""
    seeds, teacher, base = load_problems(folder / "seeds.jsonl"), Stub("teacher", 0.8), Stub("base", 0.0)
    truths = find_truth(seeds, teacher, SamplingSettings(n=3, max_tokens=64), folder=folder / "samples")
    rule = EdgeRule(lo=0.1, hi=0.8, error=0.1, max_samples=16, batch=2)
    report = find_edge(seeds, base, rule, truths=truths, folder=folder / "samples")
    report.write(folder / "edge.jsonl")
    return f"{teacher.asked + base.asked:,} samples, {report.counts()['edge']:,} at the edge"


def decontaminate(folder: Path) -> str:
    """Overlap with a benchmark, near-duplicates among the seeds."""
    seeds = load_problems(folder / "seeds.jsonl")
    found = screen().met([(seed.id, seed.prompt, None) for seed in seeds], "seed")
    same = repeating([(seed.id, seed.prompt) for seed in seeds], 0.9, "duplicate")
    return f"{len(found):,} overlaps, {len(same):,} near-duplicates"


def screen() -> Screen:
    """A benchmark to decontaminate against."""
    items = list(rows(BENCHMARK, seed=1))
    index = build_index([item.prompt for item in items])
    return Screen(items, index, index.settings)


def templates(folder: Path) -> str:
    """Near-duplicates where every text is one of twenty templates with another number: the hardest crowd for the search."""
    rng = random.Random(2)
    stories = [rng.choices(WORDS, k=40) for _ in range(20)]
    texts = []
    for seed in iter_problems(folder / "seeds.jsonl"):
        story = list(rng.choice(stories))
        story[20] = str(rng.randrange(10**6))
        texts.append((seed.id, " ".join(story)))
    return f"{len(repeating(texts, 0.9, 'duplicate')):,} near-duplicates"


def traces(folder: Path) -> str:
    """Notebook 02's middle part: the teacher's stored answers as traces, rejected, picked and screened, traces.jsonl."""
    lessons = edge_lessons(folder / "edge.jsonl")
    found = pick(reject(stored_traces(lessons, Stub("teacher", 0.8), folder / "samples")), 2)
    hits = screen().met(((trace.id, trace.text, trace.found) for trace in found if trace.kept), "trace")
    write_rows(folder / "traces.jsonl", found)
    return f"{len(found):,} traces, {sum(trace.kept for trace in found):,} kept, {len(hits):,} overlaps"


def mix(folder: Path) -> str:
    """Notebook 02's last part: lessons, their traces, the mixture, training files."""
    lessons = seed_lessons(iter_edge(folder / "edge.jsonl"))
    traces = list(traces_in(folder / "traces.jsonl"))
    shares = {"original_share": 1.0, "hard_share": 0.3, "easy_share": 0.1}
    chosen = compose(lessons, traces, size=len(lessons), **shares).original
    by_id = {lesson.id: lesson for lesson in lessons}
    write_rows(folder / "sft.jsonl", (sft_row(trace, by_id[trace.problem_id], "Think.") for trace in chosen))
    rl = rl_rows(lessons, {trace.problem_id for trace in chosen}, limit=len(lessons), system="Think.")
    write_rows(folder / "rl.jsonl", rl)
    return f"{len(chosen):,} traces, {len(rl):,} prompts"


def measured(stage: str, folder: Path) -> dict[str, object]:
    """One stage in this process: seconds of CPU (a busy machine does not change them), peak memory, what it found."""
    start = time.process_time()
    said = globals()[stage](folder)
    seconds = time.process_time() - start
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "said": said}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="sizes to measure")
    parser.add_argument(
        "--stages", nargs="+", choices=STAGES, default=STAGES, help="edge, traces and mix need truth and those after it"
    )
    parser.add_argument("--folder", type=Path, help="where rows and results are kept (default: nowhere)")
    parser.add_argument("--one", nargs=2, metavar=("STAGE", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measured(args.one[0], Path(args.one[1]))))
        return
    print("stage               rows     CPU s    rows/s   peak MB")
    for count in args.rows:
        with contextlib.ExitStack() as stack:
            kept = args.folder and args.folder / str(count)
            scratch = str(kept or stack.enter_context(tempfile.TemporaryDirectory()))
            Path(scratch).mkdir(parents=True, exist_ok=True)
            if not (Path(scratch) / "seeds.jsonl").exists():
                write_rows(Path(scratch) / "seeds.jsonl", rows(count))
            for stage in args.stages:
                command = [sys.executable, __file__, "--one", stage, scratch]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                one = json.loads(done.stdout)
                rate = f"{count / one['seconds']:9,.0f} {one['peak_mb']:9,.0f}"
                print(f"{stage:13s} {count:10,d} {one['seconds']:9.1f} {rate}   {one['said']}", flush=True)


if __name__ == "__main__":
    main()
