"""One whole smoke run that all tests of notebooks share."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from books import NOTEBOOKS, ROOT, command, solved

MODELS = ROOT / "data" / "models" / "tiny-base" / "config.json"

# Loaded by every Python that a run starts; notes whom it wants to reach. Sockets between processes are files.
RECORDER = """
import os, sys

def note(event, args):
    if event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        wanted = args[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and args[0] not in (None, "", "localhost", "127.0.0.1"):
        wanted = args[0]
    else:
        return
    with open(os.environ["PHI4R_TEST_CONNECTS"], "a") as file:
        print(event, wanted, sys.argv, file=file)

sys.addaudithook(note)
"""
# Without any network but the machine's own loopback, which a new namespace leaves down and two processes of one training
# need; where this user may make such a namespace.
LOOPBACK = """
import fcntl, os, socket, struct, sys

UP, GET_FLAGS, SET_FLAGS = 1, 0x8913, 0x8914
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    name, flags = struct.unpack("16sh", fcntl.ioctl(any_socket, GET_FLAGS, struct.pack("16sh", b"lo", 0)))
    fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh", name, flags | UP))
os.execvp(sys.argv[1], sys.argv[1:])
"""
ALONE = ["unshare", "--net", sys.executable, "-c", LOOPBACK]


@pytest.fixture(scope="session")
def smoke_home(tmp_path_factory):
    """A repository whose notebooks have the exercises solved in place; $PHI4R_KEEP names a folder to make it in and keep."""
    folder = Path(os.environ.get("PHI4R_KEEP") or tmp_path_factory.mktemp("home")).resolve()
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    for name in ("data", "benchmarks", "notebooks/profiles"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(ROOT / name)
    for path in NOTEBOOKS:
        nbformat.write(solved(path), folder / "notebooks" / path.name)
    return folder


@pytest.fixture(scope="session")
def connects(smoke_home):
    """A file for the attempts to connect, and the environment in which they are noted."""
    folder = smoke_home / "recorder"  # what a notebook loaded from here is part of its code
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(RECORDER)
    (folder / "connects").unlink(missing_ok=True)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return folder / "connects", {"PYTHONPATH": path, "PHI4R_TEST_CONNECTS": str(folder / "connects")}


@pytest.fixture(scope="session")
def smoke_run(smoke_home, connects):
    """A function that types `phi4r run --all` at smoke, without a network where that can be had; says folder and process."""
    out = smoke_home / "runs" / "smoke"
    alone = shutil.which("unshare") and not subprocess.run([*ALONE, "true"], capture_output=True).returncode
    run = ("phi4r_lib.cookbook.cli", "run", "--all", "--profile", "smoke", "--out", str(out))
    env = connects[1] | {"PHI4R_HOME": str(smoke_home)}
    return lambda: (out, command(*run, before=ALONE if alone else (), **env))


@pytest.fixture(scope="session")
def smoke(smoke_run):
    """Run folder of a whole smoke run and what the command printed."""
    if not MODELS.is_file():
        pytest.skip("the tiny models are missing")
    out, done = smoke_run()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return out, done.stdout
