"""Run by the target's own Python as a function's user: the import path of the managed runtimes, then AWS's client.

Where the runtime's own bootstrap is there, it does that.  The traceback of an import that fails is written to the
pipe that the first argument names: Lambda's client keeps its last line alone.
Source: copies of /var/runtime/bootstrap.py of python3.11 and later.
"""

import importlib
import json
import os
import sys
import traceback

TYPE_CHECKING = False  # not from typing
if TYPE_CHECKING:
    import types


def main() -> None:
    word, opt, lang = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    os.set_inheritable(word, False)
    runtime, task = os.environ["LAMBDA_RUNTIME_DIR"], os.environ["LAMBDA_TASK_ROOT"]
    sys.path[0] = runtime
    theirs = f"{runtime}/bootstrap.py"
    if os.path.exists(theirs):
        import runpy
        import site

        site.main()  # which Lambda starts Python with
        _listen(word)
        sys.argv = [theirs]
        runpy.run_path(theirs, run_name="__main__")
        return
    import site

    site.setquit()
    site.sethelper()
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    places = [task]
    if "PYTHONPATH" not in os.environ:  # one of the function's own switches the layers off
        places += [f"{opt}/python/lib/{version}/site-packages", f"{opt}/python"]
        os.environ["PYTHONPATH"] = runtime  # for its children
        sys.path[:0] = [*places, f"{lang}/lib/{version}/site-packages"]
    else:
        sys.path[:0] = places
    for place in places:
        site.addsitedir(place)
    client = importlib.import_module("awslambdaric.__main__")
    _listen(word)
    client.main([task, os.environ["_HANDLER"]])


def _listen(word: int) -> None:
    """Tell of the handler's import, which the client makes, if it fails; nothing else is changed."""
    real = importlib.import_module
    handler = os.environ["_HANDLER"].rpartition(".")[0].replace("/", ".")

    def import_module(name: str, package: "str | None" = None) -> object:
        if name != handler:
            return real(name, package)
        importlib.import_module = real
        try:
            return real(name, package)
        except BaseException as error:
            lines = traceback.format_exception(type(error), error, _own(error.__traceback__))
            with open(word, "w", closefd=False) as file:
                json.dump([line for part in lines for line in part.rstrip("\n").split("\n")][-200:], file)
            raise
        finally:
            os.close(word)

    importlib.import_module = import_module  # type: ignore[assignment]


def _own(trace: "types.TracebackType | None") -> "types.TracebackType | None":
    """The traceback without the frames of the import system and of this file."""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not name.startswith("<frozen importlib") and not name.endswith(("importlib/__init__.py", "_bootstrap.py")):
            return trace
        trace = trace.tb_next
    return None


if __name__ == "__main__":
    main()
