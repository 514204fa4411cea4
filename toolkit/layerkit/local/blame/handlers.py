"""Mistakes in a function's handler: its name, its module, what the module defines."""

from __future__ import annotations

import ast
import difflib
import re
import sys
import warnings
from collections.abc import Iterator, Sequence

from layerkit.local.blame import packs
from layerkit.local.blame.scene import Scene, shown
from layerkit.local.blame.trace import Frame
from layerkit.local.nouns import Failure

SHIM = "lambda_wsgi"  # the handler shim's package
MOST = 8  # names that are listed
MOST_SOURCE = 1 << 20  # characters that are parsed
APPS = ("app", "application", "api")


def module(handler: str) -> str:
    """The module that a handler names; Lambda takes / for a dot there."""
    return handler.rpartition(".")[0].replace("/", ".")


def advice(scene: Scene, failure: Failure, missing: str = "", frames: Sequence[Frame] = ()) -> str:
    """`missing` is a module that was not found, and `frames` led to its import; none for the handler's own."""
    handler, at = scene.function.handler, f"{scene.at}.handler"
    if failure.type == "Runtime.MalformedHandlerName":
        return f"{at} is {handler!r}: write module.function"
    if failure.type == "Runtime.BuiltInModuleConflict":
        return f"{at} names {module(handler)!r}, a module of Python itself: rename the function's file"
    if failure.type == "Runtime.HandlerNotFound":
        return _not_defined(scene, at)
    if failure.type in ("Runtime.UserCodeSyntaxError", "SyntaxError"):
        return _syntax(scene, failure)
    name = module(handler)
    if missing and not frames and f"{name}.".startswith(f"{missing}."):
        layers = (*scene.attached, *scene.others)
        if not any(pack.finds(name) for pack in layers) and name not in packs.module_names(
            scene.source, scene.target
        ):
            return _no_file(scene, at, name)
    return ""


def _not_defined(scene: Scene, at: str) -> str:
    """The module is there, the function is not."""
    name = scene.function.handler.rpartition(".")[2]
    where = packs.module_file(scene.source, module(scene.function.handler), scene.target)
    if where not in scene.source:
        holder = next((one for one in scene.attached if one.finds(module(scene.function.handler))), None)
        return f"the module is of the layer {holder.key!r}, and has no {name!r}: change {at}" if holder else ""
    functions, others = defined(scene, where)
    file = shown(scene.source[where])
    app = next((one for one in APPS if one in others), "")
    close = difflib.get_close_matches(name, functions, n=1, cutoff=0.6)
    if close:
        return f"{file} has no {name!r}; did you mean {close[0]!r}? Change {at}"
    if app:
        return f"{file} has no {name!r}, it has {app!r}: {_shim(scene)}"
    if functions:
        return f"{file} has no {name!r}; its functions are {_listed(functions)}: change {at}"
    return f"{file} defines no function: write def {name}(event, context)"


def _shim(scene: Scene) -> str:
    """How a function without a handler of its own gets one."""
    doors = "main.handler" if "main.py" not in scene.source else "wsgi_handler.handler"
    attached = any(pack.finds(SHIM) for pack in scene.attached)
    holder = next((pack for pack in scene.others if pack.finds(SHIM)), None)
    if attached:
        return f"set {scene.at}.handler to {doors}, which serves it"
    which = f"the layer {holder.key!r}" if holder else "layerkit's handler shim, lambda-wsgi-layer"
    return f"if that is a WSGI app, add {which} to {scene.at}.layers, and set its handler to {doors}, which serves it"


def _no_file(scene: Scene, at: str, name: str) -> str:
    wanted = scene.function.handler.rpartition(".")[2]
    if not scene.function.source:
        return f"{scene.at} has no source, and no layer has {name!r}: add source: and the folder of its code"
    folder = shown(scene.function.source)
    modules = [
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in scene.source
        if path.endswith(".py") and all(part.isidentifier() for part in path.removesuffix(".py").split("/"))
    ]
    having = [one for one in modules if wanted in _names(scene, one)]
    ends = [one for one in modules if one.rpartition(".")[2] == name.rpartition(".")[2]]
    likely = having or ends or difflib.get_close_matches(name, modules, n=1, cutoff=0.6)
    if likely:
        return f"there is no {name!r} in {folder}/; did you mean {likely[0]}.{wanted}? Change {at}"
    if found := scene.elsewhere({f"{name.replace('.', '/')}.py"}):
        return f"there is no {name!r} in {folder}/, but {shown(found)}: move it there, or change {scene.at}.source"
    if modules:
        return f"there is no {name!r} in {folder}/; its modules are {_listed(modules)}: change {at}"
    return f"there is no Python file in {folder}/: change {scene.at}.source"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")


def _names(scene: Scene, name: str) -> list[str]:
    where = packs.module_file(scene.source, name, scene.target)
    functions, others = defined(scene, where) if where in scene.source else ([], [])
    return [*functions, *others]


def place(scene: Scene, failure: Failure) -> tuple[str, int, str] | None:
    """For a failure without a frame: the handler's file as it is shown, its line, its path below /var/task."""
    if failure.type not in ("Runtime.HandlerNotFound", "Runtime.MarshalError"):
        return None
    where = packs.module_file(scene.source, module(scene.function.handler), scene.target)
    if where not in scene.source:
        return None
    name = scene.function.handler.rpartition(".")[2]
    lines = [node.lineno for node in _functions(scene, where) if node.name == name]
    return shown(scene.source[where]), max(lines, default=0), where


def _functions(scene: Scene, path: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = _parsed(_text(scene, path))
    found = _statements(tree) if tree else ()
    return [node for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def defined(scene: Scene, path: str) -> tuple[list[str], list[str]]:
    """The functions that a file of the source defines at its top, and the other names."""
    tree = _parsed(_text(scene, path))
    others: list[str] = []
    for node in _statements(tree) if tree else ():
        if isinstance(node, ast.Assign | ast.AnnAssign):
            found = node.targets if isinstance(node, ast.Assign) else [node.target]
            others += [one.id for one in found if isinstance(one, ast.Name)]
        elif isinstance(node, ast.ImportFrom | ast.Import):
            others += [alias.asname or alias.name for alias in node.names]
    return [node.name for node in _functions(scene, path)], others


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Those at the top, and in its `if` and `try`."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if isinstance(node, ast.If | ast.Try):
            waiting += node.body + node.orelse
            for handler in node.handlers if isinstance(node, ast.Try) else ():
                waiting += handler.body


def _text(scene: Scene, path: str) -> str:
    try:
        return scene.source[path].read_text(encoding="utf-8", errors="replace")[:MOST_SOURCE]
    except OSError:
        return ""


def _parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strange escapes in the user's text
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _syntax(scene: Scene, failure: Failure) -> str:
    """Code that a newer Python takes; layerkit's own is the one that can be asked."""
    match = re.search(r"([^()\s/]+\.py), line [0-9]+\)", failure.message)
    files = [path for path in scene.source if match and path.rpartition("/")[2] == match[1]]
    here = sys.version_info[:2]
    if here > tuple(map(int, scene.target.python.split("."))) and files and _parsed(_text(scene, files[0])):
        return f"Python {here[0]}.{here[1]} takes it, {scene.target.runtime} does not: change the code, or runtimes"
    return ""
