"""The facts that layerkit takes from an ELF file, taken by pyelftools; and damaged files."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

__all__ = ["ELFError", "damaged", "facts"]


def facts(content: bytes) -> object:
    """Machine, kind, needed libraries, search paths, flags, versions and stack."""
    file = ELFFile(io.BytesIO(content))
    needed, paths, flags, versions = [], [], [], {}
    for section in file.iter_sections():
        if isinstance(section, DynamicSection):
            for tag in section.iter_tags():
                if tag.entry.d_tag == "DT_NEEDED":
                    needed.append(tag.needed)
                elif tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
                    paths.append(tag.rpath if tag.entry.d_tag == "DT_RPATH" else tag.runpath)
                elif tag.entry.d_tag in ("DT_FLAGS", "DT_TEXTREL"):
                    flags.append(tag.entry.d_val)
        elif isinstance(section, GNUVerNeedSection):
            for library, asked in section.iter_versions():
                versions[library.name] = [one.name for one in asked]
    stack = [segment.header.p_flags for segment in file.iter_segments() if segment.header.p_type == "PT_GNU_STACK"]
    return file.header.e_machine, file.header.e_type, needed, paths, flags, versions, stack


def damaged(content: bytes, count: int) -> Iterator[bytes]:
    """Copies with one to four bytes of the headers and tables changed, or cut off; the same at every run."""
    chance = random.Random(0)
    for number in range(count):
        copy = bytearray(content)
        if number % 10 == 0:
            del copy[chance.randrange(len(copy)) :]
        for _ in range(chance.randint(1, 4) if copy else 0):
            copy[chance.randrange(min(len(copy), 4096) if chance.random() < 0.7 else len(copy))] = chance.randrange(
                256
            )
        yield bytes(copy)
