"""Every process, at any time, finds the same tests: names hold no clock, no order of a set, no locale."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

COLLECT = """
import json, sys, time
import pytest

now = time.time
time.time = lambda: now() + 86_400


class Names:
    def pytest_collection_finish(self, session):
        with open(sys.argv[1], "w") as file:
            json.dump([item.nodeid for item in session.items], file)


sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *sys.argv[2:]], plugins=[Names()]))
"""


def test_every_test_file_has_a_name_of_its_own():
    """Two of one name are collected as one module, and in one process only the first is run."""
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, times in names.items() if times > 1] == []


def test_a_group_of_tests_stays_in_one_process(request):
    """Else every process makes the smoke run, and whatever else a file shares, once more."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("one process")
    assert request.node.nodeid.endswith("@test_names.py")


@pytest.mark.slow
def test_a_day_later_in_another_order_and_locale_the_names_are_the_same(request, tmp_path):
    root = Path(__file__).parents[1]
    # Distributed over processes, a name ends with "@" and its group.
    groups = [mark.args[0] for item in request.session.items for mark in item.iter_markers("xdist_group")]
    here = {item.nodeid.removesuffix(f"@{group}") for item, group in zip(request.session.items, groups, strict=True)}
    files = sorted({name.partition("::")[0] for name in here})
    setting = {**os.environ, "PYTHONHASHSEED": "77", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", COLLECT, str(tmp_path / "names.json"), *files]
    later = subprocess.run(command, cwd=root, env=setting, capture_output=True, text=True, timeout=600)
    assert later.returncode == 0, later.stdout[-2000:]
    assert here - set(json.loads((tmp_path / "names.json").read_text())) == set()
