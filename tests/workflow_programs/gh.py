"""Stands for GitHub's `gh release`: releases are folders.  What it does not know it refuses.

GH_STANDIN has releases/TAG/assets/, releases/TAG/notes.md and a file tags; GH_TOKEN names the job's permissions, as
the runner of tests/workflows.py makes it.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shutil
import sys
from pathlib import Path

NAMES = ".assets[].name"
TAGS = ".[].tagName"


def main() -> None:
    place = Path(os.environ["GH_STANDIN"])
    releases = place / "releases"
    if not os.environ.get("GH_TOKEN"):
        sys.exit("gh: To use GitHub CLI in a GitHub Actions workflow, set the GH_TOKEN environment variable.")
    if not os.environ.get("GH_REPO"):
        sys.exit("failed to run git: fatal: not a git repository")  # jobs that check nothing out
    allowed = json.loads(os.environ["GH_TOKEN"]).get("contents", "none")
    parser = argparse.ArgumentParser(prog="gh")
    verb = (
        parser.add_subparsers(dest="noun", required=True)
        .add_parser("release")
        .add_subparsers(dest="verb", required=True)
    )
    one = verb.add_parser("list")
    one.add_argument("--limit", type=int, required=True)  # its default is 30
    one.add_argument("--json", choices=["tagName"], required=True)
    one.add_argument("--jq", choices=[TAGS], required=True)
    one = verb.add_parser("view")
    one.add_argument("tag")
    one.add_argument("--json", choices=["assets"])
    one.add_argument("--jq", choices=[NAMES])
    one = verb.add_parser("download")
    one.add_argument("tag")
    one.add_argument("--pattern", required=True)
    one.add_argument("--dir", type=Path, required=True)
    one.add_argument("--clobber", action="store_true")
    one = verb.add_parser("create")
    one.add_argument("tag")
    one.add_argument("--verify-tag", action="store_true")
    one.add_argument("--title", required=True)
    one.add_argument("--notes-file", type=Path, required=True)
    one.add_argument("files", nargs="+", type=Path)
    one = verb.add_parser("upload")
    one.add_argument("tag")
    one.add_argument("--clobber", action="store_true")
    one.add_argument("files", nargs="+", type=Path)
    given = parser.parse_args()
    if allowed != "write" and (given.verb in ("create", "upload") or allowed != "read"):
        sys.exit("HTTP 403: Resource not accessible by integration")
    if given.verb == "list":
        names = sorted(path.name for path in releases.iterdir()) if releases.exists() else []
        sys.stdout.writelines(f"{name}\n" for name in names[-given.limit :])
        return
    release = releases / given.tag
    if given.verb == "create":
        if release.exists():
            sys.exit(f"a release with the same tag name already exists: {given.tag}")
        if given.verify_tag and given.tag not in (place / "tags").read_text().split():
            sys.exit(f"tag {given.tag} doesn't exist in the repo, aborting due to --verify-tag flag")
        (release / "assets").mkdir(parents=True)
        shutil.copy(given.notes_file, release / "notes.md")
    elif not release.exists():
        sys.exit("release not found")
    assets = release / "assets"
    if given.verb == "view":
        sys.stdout.writelines(f"{path.name}\n" for path in sorted(assets.iterdir()))
    elif given.verb == "download":
        found = [path for path in assets.iterdir() if fnmatch.fnmatch(path.name, given.pattern)]
        if not found:
            sys.exit("no assets match the file pattern")
        given.dir.mkdir(parents=True, exist_ok=True)
        for path in found:
            if (given.dir / path.name).exists() and not given.clobber:
                sys.exit(f"{path.name} already exists (use `--clobber` to overwrite file or `--skip-existing`)")
            shutil.copy(path, given.dir)
    else:
        for path in given.files:
            if (assets / path.name).exists() and not getattr(given, "clobber", False):
                sys.exit(f"asset under the same name already exists: [{path.name}]")
            shutil.copy(path, assets)


if __name__ == "__main__":
    main()
