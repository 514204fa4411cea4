"""The head of a .pyc file, and the name that its tracebacks show.

Not unmarshalled: each CPython version marshals otherwise, and `marshal` may crash on bytes that were made to.
Sources: PEP 552; CPython's Lib/importlib/_bootstrap_external.py (_classify_pyc) and Python/marshal.c.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import islice

from layerkit.verify.facts import Bytecode

HEAD = 16
TOO_SHORT = f"a .pyc file begins with {HEAD} bytes and a code object, and it is shorter"
WITH_FLAGS = range(3392, 4000)  # magics of CPython 3.7 and later, which have PEP 552's flags
HASHED, CHECKED = 1, 2
CODE = (0x63, 0xE3)  # marshal's TYPE_CODE, without and with FLAG_REF
SHORT, LONG = b"zZ", b"aAut"  # types of texts with a length of one byte and of four
REFERENCE, REFERABLE = 0x72, 0x7F  # to a text that was there before; all bits but FLAG_REF
LONGEST_NAME = 1024
PLACES, TRIES = 64, 4  # where the name is looked for, and where it is looked at closely


def read(data: bytes, path: str) -> tuple[Bytecode | None, str]:
    """What the file begins with, and why Python would refuse it, or ""; `data` is its beginning."""
    if len(data) <= HEAD:
        return None, TOO_SHORT
    magic, line_end, flags, first, second = struct.unpack_from("<H2s3L", data)
    if line_end != b"\r\n":
        return None, "it does not begin as a .pyc file does"
    name = _name(data, path)
    if magic not in WITH_FLAGS:
        return Bytecode(magic=magic, hashed=False, checked=False, name=name), ""
    damage = "" if data[HEAD] in CODE else "its head is not followed by a code object"
    if flags & ~(HASHED | CHECKED):
        damage = f"its head has flags that Python does not know: {flags:#x}"
    if flags & HASHED:
        found = Bytecode(magic=magic, hashed=True, checked=bool(flags & CHECKED), source_hash=data[8:HEAD], name=name)
    else:
        found = Bytecode(magic=magic, hashed=False, checked=False, mtime=first, source_size=second, name=name)
    return found, damage


def source_name(path: str) -> str:
    """The source's file name: app.py of __pycache__/app.cpython-312.opt-1.pyc, and of app.pyc."""
    folder, _, name = path.rpartition("/")
    stem = name.removesuffix(".pyc")
    if folder == "__pycache__" or folder.endswith("/__pycache__"):
        stem = re.sub(r"\.opt-[^.]*$", "", stem).rpartition(".")[0] or stem
    return f"{stem}.py"


def _name(data: bytes, path: str) -> str:
    """co_filename: a marshalled text that ends with the source's name, where the order of a code object has it."""
    wanted = source_name(path).encode("utf-8", "surrogateescape")
    for end in islice(_ends(data, wanted), TRIES):
        if start := _start(data, end, len(wanted)):
            return data[start:end].decode("utf-8", "backslashreplace")
    return ""


def _ends(data: bytes, wanted: bytes) -> Iterator[int]:
    """Where this name ends in what may be co_filename."""
    end = HEAD
    for _ in range(PLACES):
        end = data.find(wanted, end) + len(wanted)
        if end < len(wanted):
            break
        if _is_followed(data, end):
            yield end


def _start(data: bytes, end: int, least: int) -> int:
    """Where the marshalled text that ends at `end` begins; 0 when there is none."""
    # No path has a zero, so that the last one before it can only be of a length of four bytes
    start = data.rfind(b"\0", HEAD, end) + 1
    length = int.from_bytes(data[start - 4 : start], "little")
    if start >= HEAD + 5 and length == end - start <= LONGEST_NAME and data[start - 5] & REFERABLE in LONG:
        return start if _is_part(data, start, end - least) else 0
    for start in range(end - least, max(HEAD + 2, end - 256), -1):
        if data[start - 1] == end - start and data[start - 2] & REFERABLE in SHORT:
            return start if _is_part(data, start, end - least) else 0
        if data[start] < 0x20:
            break  # nor another control character
    return 0


def _is_part(data: bytes, start: int, name: int) -> bool:
    """Whether the source's name is a whole part of this path."""
    return start == name or data[name - 1] in b"/\\"


def _is_followed(data: bytes, place: int) -> bool:
    """Whether this can stand behind co_filename: name, from 3.11 on qualname, first line, table of lines."""
    for _ in range(2):
        place = _behind_text(data, place)
        if place and data[place + 4 : place + 5] in (b"s", b"\xf3", b"r"):
            return True
    return False


def _behind_text(data: bytes, place: int) -> int:
    """Where the marshalled text that begins here ends, or a reference to one; 0 when it is none."""
    kind = data[place] & REFERABLE if 0 < place < len(data) - 5 else 0
    if kind == REFERENCE:
        return place + 5
    if kind in SHORT:
        return place + 2 + data[place + 1]
    return place + 5 + int.from_bytes(data[place + 1 : place + 5], "little") if kind in LONG else 0
