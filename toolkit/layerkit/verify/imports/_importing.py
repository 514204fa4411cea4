"""Run by the target's own Python (3.10 or newer): imports modules as Lambda would, each in a fork of its own.

Its argument is a file of JSON: the tasks.  What happens is told on standard output, a line of JSON for each module.
An imported module has another standard output, so that nothing that it prints can be taken for a result; a crash, an
exit or a hang is that module's result alone.
"""

# Imports cost an emulated container 10 to 50 ms each; what stands here, Lambda's runtime has imported before, too.
import importlib
import json
import os
import resource
import select
import site
import sys
import time

TYPE_CHECKING = False  # not from typing
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

KEPT = 2000  # bytes of what a module printed
LINES, WIDTH = 14, 400  # of a traceback
OWN = (__file__, importlib.__file__)  # whose lines say nothing of a failure
POLL = 100  # milliseconds until a child is looked at that says nothing


# --- the folders --------------------------------------------------------------------------------------------


def merge(unpacked: "Iterable[tuple[str, dict[str, int]]]", into: str) -> None:
    """Links of the files of several folders, the last one wins, as Lambda fills /opt from layers.

    Each comes with the modes that its own folders have in the end; until then all of them are open to their owner.
    """
    modes = {}
    os.makedirs(into)
    for top, own in unpacked:
        modes.update(own)
        for folder, folders, files in os.walk(top):
            home = os.path.join(into, os.path.relpath(folder, top))
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            for name in folders:
                if name not in links:
                    _make_folder(os.path.join(home, name))
            for name in files + links:
                place = os.path.join(home, name)
                if os.path.isdir(place) and not os.path.islink(place):
                    import shutil

                    shutil.rmtree(place)
                elif os.path.lexists(place):
                    os.unlink(place)
                os.link(os.path.join(folder, name), place, follow_symlinks=False)
    for path in sorted(modes, reverse=True):
        place = os.path.join(into, path)
        if os.path.isdir(place) and not os.path.islink(place):  # a later one may have made it something else
            os.chmod(place, modes[path])


def _make_folder(place: str) -> None:
    if os.path.islink(place) or not os.path.isdir(place):
        if os.path.lexists(place):
            os.unlink(place)
        os.mkdir(place, 0o755)


def fill(place: str, folder: str, old: "set[str]") -> "set[str]":
    """Move what `folder` holds to `place`, where `old` is removed before; the names that were moved.

    What else stands there remains: images have their Python below /opt.
    """
    import shutil

    new = set(os.listdir(folder))
    os.makedirs(place, exist_ok=True)
    os.chmod(place, 0o755)  # noqa: S103 - as in Lambda
    for name in old | new:
        there = os.path.join(place, name)
        if os.path.isdir(there) and not os.path.islink(there):
            shutil.rmtree(there)
        elif os.path.lexists(there):
            os.unlink(there)
    for name in new:
        os.rename(os.path.join(folder, name), os.path.join(place, name))
    return new


# --- in the fork --------------------------------------------------------------------------------------------


def _import(spec: "dict[str, Any]", module: str, handler: str) -> None:
    """Raises what the import raises; a handler is found as the runtime client finds it."""
    task, opt = spec["task"], spec["opt"]
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    places = [task, f"{opt}/python/lib/python{version}/site-packages", f"{opt}/python"]
    sys.path[:] = [*places, *spec["runtime"], *sys.path[1:]]  # instead of this script's own folder
    sys.argv = ["/var/runtime/bootstrap.py"]
    for name in ("setquit", "setcopyright", "sethelper"):  # what -S leaves out of builtins
        getattr(site, name)()
    for place in places:
        site.addsitedir(place)
    if not handler:
        importlib.import_module(module)
        return
    if "." not in handler:
        raise _Told(f"Runtime.MalformedHandlerName: Bad handler '{handler}': there is no dot in it")
    if module.partition(".")[0] in sys.builtin_module_names:
        raise _Told(f"Runtime.ImportModuleError: Cannot use built-in module {module} as a handler module")
    name = handler.rpartition(".")[2]
    if not hasattr(importlib.import_module(module), name):
        raise _Told(f"Runtime.HandlerNotFound: Handler '{name}' missing on module '{module}'")


class _Told(Exception):
    """Has the words of Lambda, not of Python."""


def _failure(error: BaseException) -> "dict[str, Any]":
    chain: list[BaseException] = []
    here: BaseException | None = error
    while here is not None and len(chain) < 10:  # it may be a circle
        chain.append(here)
        here = here.__cause__ or (None if here.__suppress_context__ else here.__context__)
    missing = [one.name for one in chain if isinstance(one, ModuleNotFoundError) and isinstance(one.name, str)]
    lines = [line for one in reversed(chain) for line in (*_frames(one), _text(one))]
    return {"error": _text(error), "trace": lines[:-1][-LINES:], "missing": missing[0] if missing else ""}


def _frames(error: BaseException) -> "list[str]":
    lines = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code.co_filename not in OWN and not code.co_filename.startswith("<frozen importlib"):
            lines.append(f'File "{code.co_filename}", line {step.tb_lineno}, in {code.co_name}'[:WIDTH])
        step = step.tb_next
    return lines[-LINES:]


def _text(error: BaseException) -> str:
    try:
        text = " ".join(str(error)[: 4 * WIDTH].split())
    except Exception:  # noqa: BLE001 - it is other people's code that makes the text
        text = "(it has no text)"
    if isinstance(error, _Told):
        return text
    return f"{type(error).__name__}: {text}"[:WIDTH]


def _child(spec: "dict[str, Any]", module: str, handler: str, result: int, output: int) -> None:
    """Never returns."""
    answer: dict[str, Any] = {"error": "", "trace": [], "missing": ""}
    started = time.perf_counter()
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        for place, handle in enumerate((null, output, output)):
            os.dup2(handle, place)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir(spec["task"])
        if spec["user"] and os.getuid() == 0:
            user, group = spec["user"]
            os.setgroups([])
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
        _import(spec, module, handler)
    except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt are results, too
        answer = _failure(error)
    try:
        answer["seconds"] = time.perf_counter() - started
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:  # noqa: BLE001 - it may have closed them, or put others in their place
        answer.setdefault("seconds", 0.0)
    try:
        os.write(result, json.dumps({**answer, "token": spec["token"]}).encode() + b"\n")
    finally:
        os._exit(0)  # without what it has registered for the end, which Lambda does not call either


# --- around the forks ---------------------------------------------------------------------------------------


class Child:
    def __init__(self, spec: "dict[str, Any]", number: int, module: str, handler: str) -> None:
        self.number, self.token = number, spec["token"]
        self.result, result = os.pipe()
        self.output, output = os.pipe()
        self.kept = {self.result: b"", self.output: b""}
        self.deadline = time.monotonic() + spec["limit"]
        self.pid = os.fork()
        if self.pid == 0:
            _child(spec, module, handler, result, output)
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
        self.kept[handle] = kept if handle == self.result and len(kept) < 100_000 else kept[-KEPT:]

    def answer(self) -> "dict[str, Any] | None":
        """The last line that is one of ours: whatever else was written to the pipe is not."""
        for line in reversed(self.kept[self.result].split(b"\n")[:-1]):
            try:
                answer = json.loads(line)
                if answer["token"] == self.token:
                    del answer["token"]
                    return dict(answer)
            except (ValueError, TypeError, KeyError):
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


def run(spec: "dict[str, Any]", items: "list[list[str]]", tell: "Any") -> None:
    """Import each of (module, handler), several at a time."""
    waiting = list(enumerate(items))[::-1]
    running: list[Child] = []
    while waiting or running:
        while waiting and len(running) < spec["jobs"]:
            number, (module, handler) = waiting.pop()
            running.append(Child(spec, number, module, handler))
        poll = select.poll()
        owners = {handle: child for child in running for handle in child.kept}
        for handle in owners:
            poll.register(handle, select.POLLIN)
        events = poll.poll(POLL)
        for handle, event in events:
            if event & select.POLLIN:
                owners[handle].read(handle)
        for child in list(running):
            answer = child.end()
            if answer is not None:
                running.remove(child)
                tell(item=child.number, **answer)
        if events and not any(event & select.POLLIN for _, event in events):
            time.sleep(0.002)  # a pipe that is closed is no news


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        spec = json.load(file)

    def tell(**facts: object) -> None:
        sys.stdout.write(json.dumps({**facts, "token": spec["token"]}) + "\n")
        sys.stdout.flush()

    tell(machine=os.uname().machine, python=".".join(map(str, sys.version_info[:3])))
    in_opt: set[str] = {"python", "lib", "bin"}
    in_task: set[str] = set()
    for number, task in enumerate(spec["tasks"]):
        if spec["merge"]:
            merged = f"{spec['merge']}/opt{number}"
            merge(task["opt"], merged)
            in_opt = fill(spec["opt"], merged, in_opt)
            in_task = fill(spec["task"], task["task"], in_task)
        run(spec, task["items"], lambda **facts: tell(task=number, **facts))  # noqa: B023 - called before the next
    tell(end=True)


if __name__ == "__main__":
    main()
