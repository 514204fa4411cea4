"""Part of `_importing.py`, in the fork that one module has: imports it as Lambda would, and tells what came of it."""

# What is not used here is there before any function: the runtime client (awslambdaric 4.2) imports it.  What it does
# not import must not stand here, or nobody would miss it.
import __future__  # noqa: F401

import decimal  # noqa: F401
import importlib
import json
import logging  # noqa: F401
import math  # noqa: F401
import os
import resource
import site
import sys
import time
import traceback  # noqa: F401

TYPE_CHECKING = False  # not from typing
if TYPE_CHECKING:
    from typing import Any

LINES, WIDTH = 14, 400  # of a traceback
OWN = (__file__, importlib.__file__)  # whose lines say nothing of a failure


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
    chain = _chain(error)
    causes = _chain(error, hidden=True)  # the handler shim raises its own error `from None`
    missing = [one.name for one in causes if isinstance(one, ModuleNotFoundError) and isinstance(one.name, str)]
    lines = [line for one in reversed(chain) for line in (*_frames(one), _text(one))]
    return {"error": _text(error), "trace": lines[:-1][-LINES:], "missing": missing[0] if missing else ""}


def _chain(error: BaseException, *, hidden: bool = False) -> "list[BaseException]":
    """What was raised, and what led to it; `hidden`: also where `from None` keeps it from readers."""
    chain: list[BaseException] = []
    here: BaseException | None = error
    while here is not None and len(chain) < 10:  # it may be a circle
        chain.append(here)
        here = here.__cause__ or (None if here.__suppress_context__ and not hidden else here.__context__)
    return chain


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


# --- what it uses of the system -----------------------------------------------------------------------------


def mapped() -> "list[str]":
    """The shared libraries that this process has loaded, in about their order: the kernel maps downwards."""
    found: dict[str, None] = {}
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        for line in file:
            _, slash, path = line.rstrip("\n").partition("/")
            name = path.rpartition("/")[2]
            if slash and (name.endswith(".so") or ".so." in name) and not name.endswith(" (deleted)"):
                found[f"/{path}"] = None
    return list(found)[::-1]


def _strange(spec: "dict[str, Any]", before: "list[str]") -> "dict[str, str]":
    """Libraries of this system, loaded since, of which the runtime has none of the name: path -> name.

    A name service (libnss_) or a character set (gconv) is loaded because this system is set up so.
    """
    own = tuple(f"{folder}/" for folder in (*spec["own"], os.path.dirname(os.__file__)))
    found = {}
    for path in mapped():
        name = os.path.basename(path)
        if (
            path not in before
            and not path.startswith(own)
            and not name.startswith("libnss_")
            and "/gconv/" not in path
        ):
            names = _names(path)
            if not names.intersection(spec["libraries"]):
                found[path] = min((one for one in names if ".so." in one), key=len, default=name)
    return found


def _names(path: str) -> "set[str]":
    """Of the file and of the links beside it: what loaders are asked for is often a link."""
    names = {os.path.basename(path)}
    try:
        inode = os.stat(path).st_ino
        with os.scandir(os.path.dirname(path)) as entries:
            for entry in entries:
                if entry.is_symlink() and os.path.exists(entry.path) and entry.stat().st_ino == inode:
                    names.add(entry.name)
    except OSError:
        return names
    return names


def load_stdlib() -> "list[str]":
    """Load all that the standard library has of extension modules; what is then mapped is Python's own need."""
    folder = next((path for path in sys.path if path.endswith("lib-dynload")), "")
    for file in os.listdir(folder) if folder else ():
        name = file.partition(".")[0]
        if "test" not in name and "xx" not in name:
            try:  # noqa: SIM105 - without another import
                importlib.import_module(name)
            except ImportError:
                pass
    return mapped()


# --- the whole fork -----------------------------------------------------------------------------------------


def child(
    spec: "dict[str, Any]", before: "list[str]", variables: "dict[str, str]", item: "tuple[str, str]", result: int,
    output: int, word: str,
) -> None:  # fmt: skip
    """Never returns.  What it tells is said with `word`, so that other writings to `result` are not taken for it.

    Whatever the module puts in the place of our functions comes too late: they are bound before.
    """
    failure, strange, dumps, write, leave = _failure, _strange, json.dumps, os.write, os._exit
    answer: dict[str, Any] = {"error": "", "trace": [], "missing": ""}
    started = time.perf_counter()
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        for place, handle in enumerate((null, output, output)):
            os.dup2(handle, place)
        os.closerange(3, result)  # other modules' pipes
        os.closerange(result + 1, result + 100)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir(spec["task"])
        os.environ.update(variables)
        if spec["user"] and os.getuid() == 0:
            user, group = spec["user"]
            os.setgroups([])
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
        _import(spec, *item)
        answer["strange"] = strange(spec, before)
    except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt are results, too
        answer = failure(error)
    try:
        answer["seconds"] = time.perf_counter() - started
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:  # noqa: BLE001 - it may have closed them, or put others in their place
        answer.setdefault("seconds", 0.0)
    try:
        write(result, dumps({**answer, "word": word}).encode() + b"\n")
    finally:
        leave(0)  # without what it has registered for the end, which Lambda does not call either
