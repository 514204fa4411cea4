"""Run by the target's own Python (3.10 or newer): imports modules as Lambda would, each in a fork of its own.

Standard input is JSON: the tasks.  What happens is told on standard output, a line of JSON for each module.
An imported module has another standard output, so that nothing that it prints can be taken for a result; a crash, an
exit or a hang is that module's result alone.  The forks have another user, or may not look into this process: a
module can lie of itself, but not of another one.
"""

# Imports cost an emulated container 10 to 50 ms each; what stands here, Lambda's runtime has imported before, too.
import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False  # not from typing
if TYPE_CHECKING:
    from typing import Any

    from layerkit.verify.imports._forked import child, load_stdlib, mapped
else:
    from _forked import child, load_stdlib, mapped  # it stands beside this file

KEPT = 2000  # bytes of what a module printed
ANSWER = 100_000  # bytes of an answer
POLL = 100  # milliseconds until a child is looked at that says nothing
DEATH_SIGNAL, DUMPABLE = 1, 4  # of prctl(2)
# Parts of an answer.
TYPES: "dict[str, type | tuple[type, ...]]" = {
    "error": str, "missing": str, "trace": list, "seconds": (int, float), "strange": dict,
}  # fmt: skip


class Child:
    def __init__(
        self, spec: "dict[str, Any]", before: "list[str]", variables: "dict[str, str]", number: int,
        item: "tuple[str, str]",
    ) -> None:  # fmt: skip
        self.number, self.word = number, os.urandom(16).hex()
        self.result, result = os.pipe()
        self.output, output = os.pipe()
        self.kept = {self.result: b"", self.output: b""}
        self.deadline = time.monotonic() + spec["limit"]
        self.pid = os.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if "libc" in spec:
                spec["libc"].prctl(DEATH_SIGNAL, 9)
            child(spec, before, variables, item, result, output, self.word)
        os.close(result)
        os.close(output)
        for handle in self.kept:
            os.set_blocking(handle, False)

    def read(self, handle: int) -> None:
        try:
            chunk = os.read(handle, 65536)
        except BlockingIOError:
            return
        kept = self.kept[handle] + chunk
        self.kept[handle] = kept if handle == self.result and len(kept) < ANSWER else kept[-KEPT:]

    def answer(self) -> "dict[str, Any] | None":
        """The last line that is one of ours: whatever else was written to the pipe is not."""
        for line in reversed(self.kept[self.result].split(b"\n")[:-1]):
            try:
                answer = json.loads(line)
                if answer["word"] == self.word:
                    return {key: answer[key] for key, kind in TYPES.items() if isinstance(answer.get(key), kind)}
            except (ValueError, TypeError, KeyError, RecursionError):
                pass
        return None

    def end(self) -> "dict[str, Any] | None":
        """What is to be told, once it has ended or been ended."""
        answer = self.answer()
        late = time.monotonic() > self.deadline
        pid, status = 0, 0
        if answer is None and not late:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if not pid:
                return None
            self.read(self.result)
            answer = self.answer()
        try:
            os.killpg(self.pid, 9)  # and what it has started
        except (ProcessLookupError, PermissionError):
            if not pid:
                os.kill(self.pid, 9)
        if not pid:
            os.waitpid(self.pid, 0)
        self.read(self.output)
        if answer is None:
            answer = {"late": True} if late else {"status": os.waitstatus_to_exitcode(status)}
        answer["output"] = self.kept[self.output].decode(errors="replace")
        for handle in self.kept:
            os.close(handle)
        return answer


class Strange:
    """Which libraries are strange to the runtime, without those that this Python itself needs."""

    def __init__(self) -> None:
        self.before = mapped()
        self.stdlib: list[str] | None = None  # not known yet; it costs 50 ms

    def names(self, told: "dict[str, Any]") -> "list[str]":
        if told and self.stdlib is None:
            self.stdlib = _asked()
        return [str(name) for path, name in told.items() if path not in (self.stdlib or ())]


def _asked() -> "list[str]":
    """What a fork has mapped that has loaded the whole standard library."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, json.dumps(load_stdlib()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        text = file.read()
    os.waitpid(pid, 0)
    return list(json.loads(text or b"[]"))


def run(spec: "dict[str, Any]", task: "dict[str, Any]", strange: Strange, tell: "Any") -> None:
    """Import each of the task's (module, handler), several at a time."""
    waiting = list(enumerate(task["items"]))[::-1]
    running: list[Child] = []
    while waiting or running:
        while waiting and len(running) < spec["jobs"]:
            running.append(Child(spec, strange.before, task.get("variables", {}), *waiting.pop()))
        poll = select.poll()
        owners = {handle: child for child in running for handle in child.kept}
        for handle in owners:
            poll.register(handle, select.POLLIN)
        events = poll.poll(POLL)
        for handle, event in events:
            if event & select.POLLIN:
                owners[handle].read(handle)
        for one in list(running):
            answer = one.end()
            if answer is not None:
                running.remove(one)
                answer["strange"] = strange.names(answer.get("strange", {}))
                tell(item=one.number, **answer)
        if events and not any(event & select.POLLIN for _, event in events):
            time.sleep(0.002)  # a pipe that is closed is no news


def _guard(spec: "dict[str, Any]") -> None:
    """Where the forks have this process's user, they may not look into it, nor write to what it has open."""
    try:
        import ctypes
    except ImportError:
        return
    spec["libc"] = ctypes.CDLL(None)
    spec["libc"].prctl(DUMPABLE, 0, 0, 0, 0)


def main() -> None:
    spec = json.load(sys.stdin)
    token = spec.pop("token")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this ends it otherwise; a fork could send it
    if os.getuid() != 0:
        _guard(spec)
    strange = Strange()

    def tell(**facts: object) -> None:
        sys.stdout.write(json.dumps({**facts, "token": token}) + "\n")
        sys.stdout.flush()

    tell(machine=os.uname().machine, python=".".join(map(str, sys.version_info[:3])))
    in_opt: set[str] = {"python", "lib", "bin"}
    in_task: set[str] = set()
    for number, task in enumerate(spec["tasks"]):
        if spec["merge"]:
            from _folders import fill, merge  # type: ignore[import-not-found]

            merged = f"{spec['merge']}/opt{number}"
            merge(task["opt"], merged)
            in_opt = fill(spec["opt"], merged, in_opt)
            in_task = fill(spec["task"], task["task"], in_task)
        run(spec, task, strange, lambda **facts: tell(task=number, **facts))  # noqa: B023 - called before the next
    tell(end=True)


if __name__ == "__main__":
    main()
