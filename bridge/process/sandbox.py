"""Containing a stranger's script: namespaces of its own, entered by the child of a warm process.

A warm process forks, and what it forked shares its loaded R and TensorFlow; programs that start
another program in a sandbox (bubblewrap) cannot keep that. So the child enters the same namespaces
itself, by the same system calls: no network, no processes but its own, every file read-only but
those of its own folder, and no capability with which to undo that.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NoReturn

from bridge.errors import BridgeError

#: From <linux/sched.h>, <linux/mount.h>, <linux/prctl.h>; the numbers of calls since Linux 5.12
#: are the same on every machine, that of capset is not.
_NEW_NS: Final = 0x00020000
_NEW_IPC: Final = 0x08000000
_NEW_USER: Final = 0x10000000
_NEW_PID: Final = 0x20000000
_NEW_NET: Final = 0x40000000
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000
_READ_ONLY, _NO_SETUID = 0x1, 0x2
_AT_CWD, _AT_RECURSIVE = -100, 0x8000
_MOUNT_SETATTR: Final = 442
_CAPSET: Final = {"x86_64": 126, "aarch64": 91}
_DIES_WITH_PARENT, _DROP_BOUND, _NO_NEW_RIGHTS = 1, 24, 38
_CAPABILITIES: Final = 64

#: So many processes and threads may live at once; TensorFlow alone starts some dozens.
PROCESSES: Final = 512
#: No file may grow beyond this.
FILE_BYTES: Final = 4 * 2**30
#: Since this version of Linux the largest process number is a namespace's own.
_OWN_PID_MAX: Final = (6, 14)


class ContainError(BridgeError, RuntimeError):
    """A script cannot be contained on this machine; the message says why."""


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user_namespace", ctypes.c_uint64),
    )


def contain(folder: Path) -> tuple[str, ...]:
    """Contain this process, which may write to ``folder`` only; return what is in force.

    It returns in another process than the one that called it: the first process of the new
    namespace is a mere supervisor, and the caller waits, and ends as the contained one ends.

    Raises:
        ContainError: the kernel does not allow it.
    """
    if sys.platform != "linux":
        raise ContainError("only Linux has namespaces")
    try:
        return _contain(folder)
    except OSError as error:
        raise ContainError(f"{error.strerror} ({error.filename})") from None


def _contain(folder: Path) -> tuple[str, ...]:
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    # Counted within the namespace that is made next; the superuser is not held by it.
    _bound(resource.RLIMIT_NPROC, PROCESSES)
    _bound(resource.RLIMIT_FSIZE, FILE_BYTES)
    _call(libc.unshare(_NEW_USER | _NEW_NS | _NEW_IPC | _NEW_PID | _NEW_NET), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _mount(libc, None, "/", None, _RECURSIVE | _PRIVATE)
    _mount(libc, str(folder), str(folder), None, _BIND | _RECURSIVE)
    _attributes(libc, "/", _AT_RECURSIVE, _READ_ONLY | _NO_SETUID, 0)
    _attributes(libc, str(folder), 0, 0, _READ_ONLY)
    _stand_aside(libc)
    measures = ["no network", "read-only files but its own", *_own_proc(libc)]
    if Path("/run").is_dir():
        # The sockets of the machine's services lie there.
        _mount(libc, "tmpfs", "/run", "tmpfs", _READ_ONLY)
    _give_up_rights(libc)
    return tuple(measures)


def _own_proc(libc: ctypes.CDLL) -> list[str]:
    """Show this process its own processes only, and bound their number."""
    proc = "/proc"
    if libc.mount(b"proc", proc.encode(), b"proc", 0, None) != 0:
        # In some containers it may not be mounted; other processes can be seen, but not reached.
        return ["no signals to other processes"]
    limits = ["no processes but its own"]
    release = tuple(int(part) for part in platform.release().split(".")[:2] if part.isdigit())
    if release >= _OWN_PID_MAX:
        Path("/proc/sys/kernel/pid_max").write_text(str(PROCESSES))
        limits.append(f"at most {PROCESSES} of these")
    elif os.getuid() != 0:
        limits.append(f"at most {PROCESSES} of these")
    # The superuser may write the machine's settings there, whatever his capabilities.
    _attributes(libc, proc, 0, _READ_ONLY, 0)
    return limits


def _stand_aside(libc: ctypes.CDLL) -> None:
    """Go on in a grandchild; this process and the child wait for it, and end as it ends."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        _end_as(_answer(read, child))
    os.close(read)
    libc.prctl(_DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    job = os.fork()
    if job:
        # The first process of a namespace: when it ends, the kernel ends all that are left there.
        _supervise(job, write)
    os.close(write)


def _supervise(job: int, write: int) -> NoReturn:
    for stream in (0, 1, 2):
        os.close(stream)
    while True:
        pid, status = os.wait()
        if pid == job:
            os.write(write, str(status).encode())
            os._exit(0)


def _answer(read: int, child: int) -> int:
    for stream in (0, 1, 2):
        os.close(stream)
    said = os.read(read, 32)
    os.waitpid(child, 0)
    return int(said) if said else int(signal.SIGKILL)


def _end_as(status: int) -> NoReturn:
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 70)


def _give_up_rights(libc: ctypes.CDLL) -> None:
    for number in range(_CAPABILITIES):
        # Those that this kernel does not know are refused.
        libc.prctl(_DROP_BOUND, number, 0, 0, 0)
    _call(libc.prctl(_NO_NEW_RIGHTS, 1, 0, 0, 0), "prctl")
    capset = _CAPSET.get(platform.machine())
    if capset is None:
        raise ContainError(f"on {platform.machine()} it was never tried")
    version, this_process = 0x20080522, 0
    header = (ctypes.c_uint32 * 2)(version, this_process)
    nothing = (ctypes.c_uint32 * 6)()
    _call(libc.syscall(capset, header, nothing), "capset")


def _mount(
    libc: ctypes.CDLL, source: str | None, target: str, kind: str | None, flags: int
) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    _call(libc.mount(*words, ctypes.c_ulong(flags), None), f"mount {target}")


def _attributes(libc: ctypes.CDLL, path: str, flags: int, set_: int, clear: int) -> None:
    asked = _Attributes(set_, clear, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(asked))
    done = libc.syscall(
        _MOUNT_SETATTR, _AT_CWD, os.fsencode(path), flags, ctypes.byref(asked), size
    )
    _call(done, f"mount_setattr {path}")


def _bound(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (bound, bound))


def _call(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def why_not() -> str:
    """Say why scripts cannot be contained on this machine; "" where they can.

    It is tried, in a process of its own.
    """
    with tempfile.TemporaryDirectory(prefix="keras-bridge-") as folder:
        words = [sys.executable, "-P", "-m", "bridge.process.sandbox", folder]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    said = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else said[-1] if said else f"it ended with {done.returncode}"


def main() -> None:
    """Run as ``python -m bridge.process.sandbox FOLDER``: try it, and say why it cannot be done."""
    try:
        print("; ".join(contain(Path(sys.argv[1]))), flush=True)
    except ContainError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
