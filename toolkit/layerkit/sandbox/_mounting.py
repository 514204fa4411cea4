"""Run by layerkit's own Python on Linux, not imported: a root folder of its own, then the target's Python in it.

Standard input, or the file that an argument names, is marshalled: what stands where, and the command.  In new
namespaces there are the system's folders, /var/lang, /opt and /var/task, all read-only, and nothing of the machine's
homes.  Root stays root, so that what is imported, as Lambda's user, cannot reach the process that watches; anybody
else is that user in a user namespace.
What it cannot do is told as {"unfit": ...}.
Source of the calls: mount(2), unshare(2), user_namespaces(7).
"""

# It starts in 20 ms less without pathlib, in 10 ms less without json.

import ctypes
import fcntl
import marshal
import os
import struct
import sys

NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
KEPT = {2: NOSUID, 4: NODEV, 8: NOEXEC, 1024: 1024, 2048: 2048, 4096: 1 << 21}  # ST_… -> MS_…: locked for a user
DEATH_SIGNAL, NO_NEW_PRIVILEGES = 1, 38  # of prctl
SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "usr", "etc", "nix", "gnu")
DEVICES = ("null", "zero", "full", "random", "urandom")  # no /dev/shm, as in Lambda
LIBC = ctypes.CDLL(None, use_errno=True)


def call(what: str, result: int) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def mount(source: str, place: str, kind: str, flags: int, options: str = "") -> None:
    words = [text.encode() for text in (source, place, kind)]
    call(f"mount {place}", LIBC.mount(*words, ctypes.c_ulong(flags), options.encode()))


def bind(source: str, place: str, *, writable: bool = False) -> None:
    if os.path.isdir(source):
        os.makedirs(place, exist_ok=True)
    elif not os.path.exists(place):
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.close(os.open(place, os.O_CREAT))
    mount(source, place, "", BIND | REC)
    if not writable:
        given = os.statvfs(place).f_flag
        kept = sum(flag for shown, flag in KEPT.items() if given & shown)
        mount("", place, "", REMOUNT | BIND | RDONLY | kept)


def namespaces(user: int, group: int, *, network: bool) -> None:
    root, outer_user, outer_group = os.geteuid() == 0, os.geteuid(), os.getegid()
    flags = NEWNS | NEWIPC | NEWPID | (0 if network else NEWNET) | (0 if root else NEWUSER)
    call("unshare", LIBC.unshare(flags))
    if not root:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {outer_user} 1"),
            ("gid_map", f"{group} {outer_group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)


def loopback() -> None:
    handle = LIBC.socket(2, 2, 0)  # AF_INET, SOCK_DGRAM; Python's own module costs 10 ms
    fcntl.ioctl(handle, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    os.close(handle)


def new_root(root: str, binds: "list[list[str]]") -> None:
    mount("", "/", "", REC | PRIVATE)
    mount("tmpfs", root, "tmpfs", NOSUID | NODEV, "mode=755,size=16m")
    for name in SYSTEM:
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
        elif os.path.isdir(f"/{name}"):
            bind(f"/{name}", f"{root}/{name}")
    for name in ("proc", "dev", "tmp"):
        os.mkdir(f"{root}/{name}")
    mount("proc", f"{root}/proc", "proc", NOSUID | NODEV | NOEXEC)
    for name in DEVICES:
        bind(f"/dev/{name}", f"{root}/dev/{name}", writable=True)
    for name, to in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{to}", f"{root}/dev/{name}")
    mount("tmpfs", f"{root}/tmp", "tmpfs", NOSUID | NODEV, "mode=1777,size=512m")  # noqa: S108
    names = os.path.realpath("/etc/resolv.conf")
    if not names.startswith(tuple(f"/{name}/" for name in SYSTEM)) and os.path.exists(names):
        bind(names, root + names)
    for source, place in binds:
        bind(source, root + place)
    mount("", root, "", REMOUNT | BIND | RDONLY | NOSUID | NODEV)


def inside(task: "dict[str, object]", root: str) -> None:
    """Never returns, but for an error."""
    if task.get("input"):  # else whoever started this goes on talking to the command
        loopback()
        os.dup2(os.open(task["input"], os.O_RDONLY), 0)  # type: ignore[arg-type]
    new_root(root, task["binds"])  # type: ignore[arg-type]
    os.chroot(root)
    os.chdir("/var/task")
    call("prctl", LIBC.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    command = task["command"]
    assert isinstance(command, list)
    os.execve(command[0], command, task["environment"])  # type: ignore[arg-type]  # noqa: S606


def main() -> None:
    with open(sys.argv[1], "rb") if sys.argv[1:] else sys.stdin.buffer as file:
        task = marshal.load(file)  # noqa: S302 - of the same Python
    user, group = task["user"]
    talking = not task.get("input")
    if not talking:  # the signal comes when the thread ends that started this; the end of what it says tells as well
        LIBC.prctl(DEATH_SIGNAL, 9, 0, 0, 0)
    try:
        namespaces(user, group, network=talking)
        pid = os.fork()
        if pid == 0:
            LIBC.prctl(DEATH_SIGNAL, 9, 0, 0, 0)
            inside(task, task["root"])
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except OSError as error:
        import json

        sys.stdout.write(json.dumps({"unfit": str(error), "token": task["token"]}) + "\n")
        sys.stdout.flush()
        os._exit(1)
    sys.exit(0 if status == 0 else 1)


if __name__ == "__main__":
    main()
