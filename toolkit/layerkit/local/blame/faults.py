"""What else people run into at first: limits, places that cannot be written, answers that are no JSON, variables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from layerkit import targets
from layerkit.local.blame.scene import OPT, Scene
from layerkit.local.blame.trace import Frame, Raised
from layerkit.local.nouns import Failure

PATH = re.compile(r"'(?P<path>/[^']*)'")
VARIABLE = re.compile(r"'?(?P<name>[A-Za-z_][A-Za-z0-9_]*)'?")
NOT_JSON = re.compile(r"Object of type (?P<type>\w+) is not JSON serializable")
STRANGERS = re.compile(r"security token included in the request is invalid|InvalidClientTokenId|InvalidAccessKeyId")


def advice(scene: Scene, failure: Failure, raised: Sequence[Raised], last: Frame | None) -> str:
    """`last` is the deepest frame of the function or of a layer."""
    at, function, message = scene.at, scene.function, failure.message
    if failure.type == "Sandbox.Timedout" or re.search(r"Task timed out after", message):
        most = targets.limit("timeout")
        raising = "" if function.timeout >= most else f": raise it (at most {most}), or find out what it waits for"
        return f"{at}.timeout is {_seconds(function.timeout)}{raising}"
    if failure.type == "Runtime.OutOfMemory" or "signal: killed" in message:
        most = targets.limit("memory")
        raising = "" if function.memory >= most else f": raise it (at most {most})"
        return f"it was killed, as Lambda kills what needs more memory; {at}.memory is {function.memory} MB{raising}"
    if re.search(r"signal: (segmentation fault|aborted|illegal instruction|bus error)", message):
        return (
            "native code ended the process, mostly an extension that was built for another machine: layerkit verify"
        )
    if failure.type in ("Runtime.ExitError", "Runtime.ExitedWithoutReason", "SystemExit"):
        return "the code ended its own process (sys.exit, os._exit, exit): return from the handler instead"
    if failure.type == "Function.ResponseSizeTooLarge":
        return "an answer has at most 6 MB: give large ones by S3"
    if failure.type == "Runtime.MarshalError":
        return _not_json(message)
    if failure.type == "KeyError" and last and "environ" in last.code and (match := VARIABLE.fullmatch(message)):
        return f"no variable {match['name']} is set: add it to {at}.environment, or --env {match['name']}=VALUE"
    if failure.type == "ZoneInfoNotFoundError":
        return "there is no such time zone here: check its name, or add tzdata to the requirements of a layer"
    if STRANGERS.search(message):
        return "the credentials here are made up: --env AWS_ENDPOINT_URL_DYNAMODB=http://... leads to a local service"
    return next(filter(None, (_files(scene, one) for one in reversed(raised))), "")


def _seconds(number: int) -> str:
    return f"{number} second" if number == 1 else f"{number} seconds"


def _not_json(message: str) -> str:
    match = NOT_JSON.search(message)
    if match and match["type"] in ("Response", "HttpResponse", "JsonResponse"):
        return (
            f"the handler returns a web framework's {match['type']}, and Lambda takes JSON: let layerkit's handler "
            f"shim, or serverless-wsgi, call the app"
        )
    kind = f"a {match['type']}" if match else "something"
    return f"the handler returns {kind} that JSON does not know: turn it into text, a number, a list or a dict"


def _files(scene: Scene, one: Raised) -> str:
    """Where a function may not write; what it may not read."""
    match = PATH.search(one.message)
    path = match["path"] if match else ""
    shown = scene.shown(path) if path else "the file"
    if "Read-only file system" in one.message:
        return f"{shown} is on a file system that cannot be written in Lambda: only /tmp can"
    if "Permission denied" in one.message and path:
        pack = scene.holder(path.removeprefix(OPT)) if path.startswith(OPT) else None
        if pack and pack.is_closed(path.removeprefix(OPT)):
            return f"{path} of the layer {pack.key!r} is not readable by Lambda's user: layerkit verify {pack.key}"
        if not path.startswith("/tmp/"):  # noqa: S108
            return f"{shown} is not open to Lambda's user; only /tmp can be written"
    if one.type == "FileNotFoundError" and path.startswith("/home/"):
        return "there is no home folder in Lambda: set HOME to /tmp, or the library's own setting of its folder"
    return ""
