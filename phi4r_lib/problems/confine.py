"""What bubblewrap alone leaves open: system calls that no short program needs, and memory summed over all processes.

The filter is made by libseccomp and loaded by bubblewrap, so it holds from the program's first instruction and for all
its children. Memory is capped by a cgroup where one can be made, else counted. Not here: running programs (sandbox.py).
"""

from __future__ import annotations

import contextlib
import errno
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

NEW_NAMESPACES = 0x7E020080  # CLONE_NEW* of clone(2): user, mount, pid, net, ipc, uts, cgroup, time
UNIX, INET, INET6, FAMILIES = 1, 2, 10, 46  # address families that are allowed, and one more than the last that exists
REFUSED = (  # with EPERM; names that this libseccomp or machine does not know are left out
    # namespaces and mounts: inner user namespaces reopen what was closed
    "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount", "fspick",
    "move_mount", "open_tree", "mount_setattr", "open_by_handle_at", "name_to_handle_at", "quotactl", "quotactl_fd",
    # memory that belongs to no process
    "memfd_create", "memfd_secret", "shmget", "shmat", "shmctl", "msgget", "semget", "mq_open",
    # other processes' memory and files
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd",
    # large surfaces of the kernel
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
    "keyctl", "add_key", "request_key", "kexec_load", "kexec_file_load", "init_module", "finit_module",
    "delete_module", "reboot", "swapon", "swapoff", "syslog", "acct", "settimeofday", "clock_settime",
    "fanotify_init", "lookup_dcookie", "vhangup", "iopl", "ioperm", "modify_ldt",
)  # fmt: skip


@lru_cache(maxsize=1)
def system_call_filter() -> bytes:
    """The filter as bubblewrap's --seccomp takes it; raises OSError with what to install when libseccomp is missing."""
    try:
        import pyseccomp as seccomp
    except (ImportError, OSError, RuntimeError) as error:
        raise OSError(f"libseccomp is missing ({error}): `apt-get install libseccomp2` (Debian, Ubuntu)") from None
    refuse, unknown = seccomp.ERRNO(errno.EPERM), seccomp.ERRNO(errno.ENOSYS)
    rules = seccomp.SyscallFilter(seccomp.ALLOW)  # calls of another architecture kill: libseccomp's default
    for name in REFUSED:
        with contextlib.suppress(OSError):
            rules.add_rule(refuse, name)
    rules.add_rule(unknown, "clone3")  # its flags lie in memory; the C library then takes clone
    for bit in range(32):
        if NEW_NAMESPACES >> bit & 1:
            rules.add_rule(refuse, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, 1 << bit, 1 << bit))
    for family in range(FAMILIES):
        if family not in (UNIX, INET, INET6):
            rules.add_rule(refuse, "socket", seccomp.Arg(0, seccomp.EQ, family))
    rules.add_rule(refuse, "socket", seccomp.Arg(0, seccomp.GE, FAMILIES))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


@dataclass
class Memory:
    """The memory cap of one sandbox: `cgroup` is its folder, or None where the processes are counted."""

    cap: int  # bytes
    cgroup: Path | None

    def within(self, command: Sequence[str]) -> list[str]:
        """The command, joined to the cgroup before it starts anything."""
        if self.cgroup is None:
            return list(command)
        return ["/bin/sh", "-c", 'echo 0 > "$0" && exec "$@"', str(self.cgroup / "cgroup.procs"), *command]

    def spent(self, pid: int) -> bool:
        """Whether the cap was hit (cgroup), or whether the processes below `pid` together are above it now."""
        if self.cgroup is not None:
            return _killed(self.cgroup)
        return _proportional(pid) > self.cap


@contextmanager
def memory_cap(cap: int) -> Iterator[Memory]:
    """A memory cap for one sandbox, gone with it."""
    folder = _make_cgroup(cap)
    try:
        yield Memory(cap, folder)
    finally:
        if folder is not None:
            _remove(folder)


def _remove(folder: Path) -> None:
    """Removes a cgroup once its last process, killed a moment ago, is gone."""
    for _ in range(200):
        with contextlib.suppress(OSError):
            return folder.rmdir()
        time.sleep(0.01)


def _make_cgroup(cap: int) -> Path | None:
    """A cgroup of our own with a memory limit: version 1, or version 2 where memory was delegated; else None."""
    for parent, limit in _parents():
        try:
            folder = Path(tempfile.mkdtemp(prefix="phi4r-", dir=parent))
        except OSError:
            continue
        try:
            (folder / limit).write_text(str(cap))
            for swap in ("memory.swap.max", "memory.memsw.limit_in_bytes"):
                if (folder / swap).exists():
                    (folder / swap).write_text("0" if "max" in swap else str(cap))
            with (folder / "cgroup.procs").open("a"):
                return folder
        except OSError:
            folder.rmdir()
    return None


def _parents() -> Iterator[tuple[Path, str]]:
    """(own cgroup, name of its memory limit) for each version of cgroups that this system mounts."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, own = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield Path("/sys/fs/cgroup/memory") / own.lstrip("/"), "memory.limit_in_bytes"
        elif number == "0":
            folder = Path("/sys/fs/cgroup") / own.lstrip("/")
            control = folder / "cgroup.subtree_control"
            if control.exists() and "memory" in control.read_text().split():
                yield folder, "memory.max"


def _killed(folder: Path) -> bool:
    """Whether the kernel ended a process of the cgroup for its memory."""
    for name in ("memory.events", "memory.oom_control"):
        with contextlib.suppress(OSError):
            words = (folder / name).read_text().split()
            if "oom_kill" in words:
                return int(words[words.index("oom_kill") + 1]) > 0
    return False


def _proportional(pid: int) -> int:
    """Bytes that all processes below `pid` hold, each shared page divided among those that share it."""
    total, waiting = 0, _children(pid)
    while waiting:
        child = waiting.pop()
        waiting += _children(child)
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{child}/smaps_rollup").read_text(encoding="utf-8").splitlines()
            total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("Pss:", "SwapPss:")))
    return total


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for file in Path(f"/proc/{pid}/task").glob("*/children") for word in file.read_text().split()]
    except OSError:  # gone meanwhile
        return []
