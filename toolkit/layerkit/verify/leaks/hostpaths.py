"""Paths of the machine that built, in the files where a build leaves them; documents name /home/... as well."""

from __future__ import annotations

import re

from layerkit.verify.leaks.forms import Form, Match
from layerkit.verify.words import shown

KIND = "host-path"
LONGEST = 400  # bytes of a path
NAME = rb"[A-Za-z0-9._@+-]{1,64}"
# People's home folders, those of CI services, and where pip and compilers work meanwhile.
FOLDERS = rb"(?:(?:home|Users)/" + NAME + rb"/|root/|builds/|tmp/pip-|private/var/folders/|var/folders/)"
REST = rb"[^\x00-\x20\"'<>|:;,()\[\]{}\\\x7f]{1,300}"
# Folders of CI services and of build images: the binaries of many public wheels have them, and they tell nothing.
IMAGES = re.compile(
    rb"/(?:home|Users)/(?:runner|vsts|circleci|travis|appveyor|builder|conda|qemu|\.cargo|\.rustup|user|username|you)/"
    rb"|/(?:root|builds)/|/tmp/pip-"
)
# A path begins here, and not /home of an address or a longer path; -I and -L are a compiler's.
BEGINS = rb"/(?:(?<![A-Za-z0-9._~%-]/)|(?<=-[IL]/))"


def is_of_image(path: str) -> bool:
    """Whether it tells no more than that something was built by such a service, or as root."""
    return bool(IMAGES.match(path.encode()))


def _path(match: Match) -> str:
    return _words(match[0])


def _words(path: bytes) -> str:
    return shown(path.decode("utf-8", "replace"))


def _in_binary(match: Match) -> str:
    return "" if IMAGES.match(match[0]) else _words(match[0])


def _constant(match: Match) -> str:
    """A path in a .pyc that is a whole constant ending with .py, as co_filename is: marshal writes its length before.

    CPython's Python/marshal.c: z and Z have one byte of length, a, A, u and t four; 0x80 marks what is referred to.
    """
    data, start = match.string, match.start()
    if start >= 2 and data[start - 2] & 0x7F in b"zZ":
        size = data[start - 1]
    elif start >= 5 and data[start - 5] & 0x7F in b"aAut":
        size = int.from_bytes(data[start - 4 : start], "little")
    else:
        return ""
    path = data[start : start + size] if size <= LONGEST else b""
    return _words(path) if path.endswith(b".py") else ""


def _interpreter(match: Match) -> str:
    path = match["path"]
    return "" if path.startswith((b"/usr/", b"/bin/", b"/sbin/", b"/opt/", b"/var/lang/")) else _words(path)


ANYWHERE = Form(kind=KIND, pattern=re.compile(BEGINS + FOLDERS + REST), tell=_path)
IN_BINARY = Form(kind=KIND, pattern=ANYWHERE.pattern, tell=_in_binary)
WINDOWS = Form(
    kind=KIND, pattern=re.compile(rb":[\\/]{1,2}Users[\\/]{1,2}" + NAME + rb"[^\x00-\x20\"'<>|]{0,300}"), tell=_path
)
CONSTANT = Form(kind=KIND, pattern=re.compile(rb"/" + FOLDERS), tell=_constant)
FILE_URL = Form(kind=KIND, pattern=re.compile(rb"file://(?:localhost)?/[^\x00-\x20\"']{1,300}"), tell=_path)
# pip writes the second form where the path is long or has a space (its vendored distlib, scripts.py).
INTERPRETER = Form(
    kind=KIND,
    pattern=re.compile(
        rb"#![ \t]{0,4}(?:/bin/sh\r?\n'''exec' )?\"?(?P<path>(?:[A-Za-z]:)?[/\\][^\x00-\x20\"]{1,300})"
    ),
    tell=_interpreter,
    at_start=True,
)
# Written by an installer or a build tool, not by a person.
WRITTEN = re.compile(
    r"(?:.*/)?(?:[^/]*\.(?:dist-info|egg-info)/RECORD|_sysconfigdata[^/]*\.py|__config__\.py|Makefile|config\.h"
    r"|pyvenv\.cfg|[^/]*\.(?:pc|la|cmake|pth|egg-link))"
)


def forms(path: str, *, binary: bool) -> tuple[Form, ...]:
    """Which to look for in the file at `path` of the zip."""
    if binary:
        return (IN_BINARY,)
    if path.endswith((".pyc", ".pyo")):
        return (CONSTANT,)
    if path.endswith(".dist-info/direct_url.json"):
        return (FILE_URL,)
    return (ANYWHERE, WINDOWS) if WRITTEN.fullmatch(path) else (INTERPRETER,)
