"""One whole smoke run that all tests of notebooks share."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from books import ROOT, command

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
def connects(tmp_path_factory):
    """A file for the attempts to connect, and the environment in which they are noted."""
    folder = tmp_path_factory.mktemp("recorder")
    (folder / "sitecustomize.py").write_text(RECORDER)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return folder / "connects", {"PYTHONPATH": path, "PHI4R_TEST_CONNECTS": str(folder / "connects")}


@pytest.fixture(scope="session")
def smoke(tmp_path_factory, connects):
    """Run folder of a whole smoke run, without a network where that can be had, and what the command printed.

    $PHI4R_SMOKE names a finished smoke run to take instead, for work on the tests themselves.
    """
    if not MODELS.is_file():
        pytest.skip("the tiny models are missing")
    if os.environ.get("PHI4R_SMOKE"):
        return Path(os.environ["PHI4R_SMOKE"]), "report: "
    out = tmp_path_factory.mktemp("runs") / "smoke"
    before = (
        ALONE
        if shutil.which("unshare") and not subprocess.run([*ALONE, "true"], capture_output=True).returncode
        else ()
    )
    run = ("phi4r_lib.cookbook.cli", "run", "--all", "--profile", "smoke", "--out", str(out))
    done = command(*run, before=before, **connects[1])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return out, done.stdout
