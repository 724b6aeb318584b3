"""Process 1 of a sandbox: builds a root of what may be read, then runs the program in it without any privilege.

Run by `model.evaluation.sandbox` inside new namespaces, or without them where the
caller asked for that. Imports nothing but the standard library, and nothing of ours.
"""

import ctypes
import json
import os
import resource
import secrets
import sys
from typing import Any

assert sys.platform == "linux"

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 32, 4096, 16384, 1 << 18
_KEPT_FLAGS = {"nosuid": _MS_NOSUID, "nodev": _MS_NODEV, "noexec": _MS_NOEXEC, "noatime": 1024, "relatime": 1 << 21}
_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP, _CAPABILITIES = 38, 24, 64
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
_SCRATCH_OPTIONS = "size=16m,nr_inodes=1000,mode=755"
_NOBODY = 65534


def main() -> None:
    settings = json.loads(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    if not settings["isolated"]:
        os.chdir(settings["root"])
        _run(settings, libc, drop_to_nobody=False)
    assert os.getpid() == 1, "mounts must be those of a namespace of our own"
    owns_machine = "user" not in settings["namespaces"]  # then root here is root outside, and no limit would hold it
    _build_root(libc, settings["root"], settings["readable"])
    os.chroot(settings["root"])
    os.chdir("/work")
    child = os.fork()
    if child == 0:
        _run(settings, libc, drop_to_nobody=owns_machine)
    # When process 1 ends, or is killed from outside, the kernel ends all others of its namespace.
    _, status = os.waitpid(child, 0)
    os._exit(0 if status == 0 else 1)


def _build_root(libc: Any, root: str, readable: list[str]) -> None:
    """Mount an empty file system on `root`, and in it, read-only, the paths that Python needs."""
    _mount(libc, None, "/", None, _MS_REC | _MS_PRIVATE)
    _mount(libc, "tmpfs", root, "tmpfs", _MS_NOSUID | _MS_NODEV, _SCRATCH_OPTIONS)
    for path in readable:
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        else:
            os.makedirs(root + path, exist_ok=True)
            _mount(libc, path, root + path, None, _MS_BIND | _MS_REC)
    os.makedirs(root + "/dev")
    for path in _DEVICES:
        os.close(os.open(root + path, os.O_CREAT | os.O_WRONLY))
        _mount(libc, path, root + path, None, _MS_BIND)
    for target, flags in _mounts_below(root):
        _mount(libc, None, target, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | flags)
    os.mkdir(root + "/work")
    os.chmod(root + "/work", 0o1777)


def _mounts_below(root: str) -> list[tuple[str, int]]:
    """Return the mounts in `root` with the flags that a remount has to keep; devices may be written to."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            fields = line.split(" ")
            target = fields[4].encode().decode("unicode_escape")
            if target.startswith(root + "/") and not target.startswith(root + "/dev/"):
                found.append((target, sum(_KEPT_FLAGS.get(option, 0) for option in fields[5].split(","))))
    return found


def _mount(
    libc: Any, source: str | None, target: str, kind: str | None, flags: int, options: str | None = None
) -> None:
    encoded = [None if text is None else text.encode() for text in (source, target, kind)]
    if libc.mount(*encoded, ctypes.c_ulong(flags), None if options is None else options.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot mount {target}: {os.strerror(code)}")


def _run(settings: dict[str, Any], libc: Any, drop_to_nobody: bool) -> None:
    """Become the program. Never returns."""
    os.closerange(3, 256)
    if drop_to_nobody:
        os.setgroups([])
        try:  # a user of this run alone, so that its processes are counted alone
            user = 10**9 + secrets.randbelow(10**9)
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        except OSError:  # not mapped in this container
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    for name, value in settings["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if settings["isolated"]:
        for capability in range(_CAPABILITIES):
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    environment = {"PATH": "/usr/bin:/bin", "HOME": os.getcwd(), "LANG": "C.UTF-8"}
    os.execve(settings["python"], [settings["python"], "-I", "-B", "-X", "utf8", "-"], environment)


if __name__ == "__main__":
    main()
