"""Files appear whole or not at all; what a killed writer leaves is removed, what a living one writes is not."""

import signal
import subprocess
import sys

import pytest

from phi4r_lib.problems import whole

WRITER = """
import os, sys, time
from phi4r_lib.problems.rows import write_rows

def rows():
    yield {"a": 1}
    print("writing", flush=True)
    sys.stdin.read()

write_rows(sys.argv[1], rows())
"""


def writer(path):
    """A process that has begun to write and does not end by itself."""
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdin=-1, stdout=-1, text=True)
    assert child.stdout.readline() == "writing\n"
    return child


def hidden(folder):
    return sorted(path.name for path in folder.rglob(".*.partial"))


def test_what_a_killed_writer_left_goes_away_and_what_a_living_one_writes_stays(tmp_path):
    killed, alive = writer(tmp_path / "deep/killed.jsonl"), writer(tmp_path / "alive.jsonl")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(hidden(tmp_path)) == 2
    (gone,) = whole.sweep(tmp_path, now=0)
    assert gone.parent.name == "deep" and gone.name.startswith(".killed.jsonl.") and len(hidden(tmp_path)) == 1
    alive.communicate("")  # and it ends its file
    assert alive.returncode == 0 and (tmp_path / "alive.jsonl").is_file() and hidden(tmp_path) == []


def test_nobody_elses_file_is_taken_for_a_dead_writers(tmp_path):
    """Another host on the same disk has other processes: only a week without a change speaks for its end."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    ours = tmp_path / f".a.{whole._here()}-{dead.pid}.partial"
    foreign = [tmp_path / f".a.0123abcd-{dead.pid}.partial", tmp_path / f".from an earlier version.{dead.pid}.partial"]
    kept = [tmp_path / name for name in ("a.partial", f".a.{dead.pid}.partials", ".partial", ".a.x1.partial", "a.json")]
    for path in (ours, *foreign, *kept):
        path.touch()
    now = ours.stat().st_mtime
    assert whole.sweep(tmp_path, now + 3600) == [ours]
    assert sorted(whole.sweep(tmp_path, now + whole.DEAD_AFTER + 1)) == sorted(foreign)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_a_link_leads_out_of_the_folder_and_is_not_followed(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/other").symlink_to(tmp_path)
    (tmp_path / ".a.0123abcd-1.partial").touch()
    assert whole.sweep(tmp_path / "run", now=1e12) == [] and hidden(tmp_path)


REFUSED = {
    "a folder of that name": lambda path: path.mkdir(),
    "a folder without the right to write": lambda path: path.parent.chmod(0o555),
    "a folder that may not be made": lambda path: path.parent.rmdir() or path.parent.parent.chmod(0o555),
}
# Root may write everywhere, so it becomes another user. That one may not see the way to the folder, so paths are relative, nor
# to Python's own files, so everything is loaded by a first round.
ORDINARY = """
import os, pandas
from phi4r_lib.problems import rows

def refusals(place):
    for write, data in ((rows.write_rows, [{"a": 1}]), (rows.write_text, "a"), (rows.write_table, pandas.DataFrame([[1]], columns=["a"]))):
        try:
            write(place, data)
        except OSError as error:
            yield f"{type(error).__name__} {error.filename}"

assert list(refusals("first/table")) == []
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
print(*refusals("out/table"), sep=";")
"""


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_of_the_system_names_what_was_asked_for(tmp_path, what):
    path = tmp_path / "out/table"
    path.parent.mkdir(mode=0o777)
    path.parent.chmod(0o777)
    tmp_path.chmod(0o777)
    REFUSED[what](path)
    done = subprocess.run([sys.executable, "-c", ORDINARY], cwd=tmp_path, capture_output=True, text=True)
    kind = "IsADirectoryError" if "that name" in what else "PermissionError"
    named = "out" if "made" in what else "out/table"
    assert done.stdout.strip().split(";") == [f"{kind} {named}"] * 3, done.stderr
    assert not hidden(tmp_path)
