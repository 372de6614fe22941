"""The files of problems that a profile names: one, a list, or one per domain. Not here: reading a file (problems/schema.py)."""

from __future__ import annotations

import itertools
from pathlib import Path

from phi4r_lib.cookbook.settings.sections import Files
from phi4r_lib.problems.schema import Problem, ProblemFileError


def problem_files(named: Files) -> list[tuple[str, str | None]]:
    """[(file, domain of rows that name none)] of a `data` entry: a file, a list of files, or {domain: file or list}."""
    if isinstance(named, dict):
        return [(file, domain) for domain, files in named.items() for file, _ in problem_files(files)]
    return [(file, None) for file in ([named] if isinstance(named, str) else named)]


def gather(files: list[tuple[Path, list[Problem]]], limit: int | None) -> list[Problem]:
    """The problems of several files in order, `limit` of them in proportion to the files' sizes."""
    seen: dict[str, Path] = {}
    for path, problems in files:
        for problem in problems:
            if problem.id in seen:
                raise ProblemFileError(f"{path}: id {problem.id!r} is also in {seen[problem.id]}; ids name one problem")
        seen |= {problem.id: path for problem in problems}
    total = sum(len(problems) for _, problems in files)
    if limit is None or limit >= total:
        return [problem for _, problems in files for problem in problems]
    ends = list(itertools.accumulate(len(problems) for _, problems in files))
    upto = [limit * end // total for end in ends]
    counts = [end - before for before, end in zip([0, *upto], upto, strict=False)]
    return [problem for (_, problems), count in zip(files, counts, strict=True) for problem in problems[:count]]
