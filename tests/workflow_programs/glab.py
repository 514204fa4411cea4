"""Stands for GitLab's `glab release create`, which makes a release or brings it up to date: releases are folders."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path


def main() -> None:
    if os.environ.get("GLAB_ENABLE_CI_AUTOLOGIN") != "true":
        sys.exit("glab: not authenticated")
    parser = argparse.ArgumentParser(prog="glab")
    one = parser.add_subparsers(dest="noun", required=True).add_parser("release")
    one = one.add_subparsers(dest="verb", required=True).add_parser("create")
    one.add_argument("tag")
    one.add_argument("files", nargs="+", type=Path)
    one.add_argument("--name", required=True)
    one.add_argument("--notes-file", type=Path, required=True)
    one.add_argument("--use-package-registry", action="store_true", required=True)
    given = parser.parse_args()
    release = Path(os.environ["GLAB_STANDIN"]) / "releases" / given.tag
    (release / "assets").mkdir(parents=True, exist_ok=True)
    shutil.copy(given.notes_file, release / "notes.md")
    for path in given.files:
        shutil.copy(path, release / "assets")


if __name__ == "__main__":
    main()
