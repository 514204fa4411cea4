"""The facts that layerkit takes from an ELF file, taken by pyelftools."""

from __future__ import annotations

import io

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection


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
