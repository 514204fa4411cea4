"""Part of `_importing.py`, and of layerkit: fills /opt and /var/task as Lambda does."""

import os
import shutil

TYPE_CHECKING = False  # not from typing
if TYPE_CHECKING:
    from collections.abc import Iterable


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
