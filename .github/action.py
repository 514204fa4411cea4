"""What action.yml runs: one command of layerkit, beside the Python that runs this.

The inputs come as environment variables and reach no shell.  After `publish` and `arns` the step has outputs.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

LAYERKIT = Path(sys.executable).with_name("layerkit")
WITH_OUTPUT = ("build", "verify", "publish", "arns")


def main() -> int:
    command, output = os.environ["INPUT_COMMAND"], os.environ["INPUT_OUTPUT"]
    try:
        given = shlex.split(os.environ["INPUT_ARGUMENTS"])
    except ValueError as error:
        print(f"::error title=layerkit::arguments: {error}")  # noqa: T201
        return 2
    arguments = [command, *(["--output", output] if command in WITH_OUTPUT else []), *given]
    if command != "publish":
        status = layerkit(*arguments)[0]
        if command == "arns" and not status:
            told("arns", compact(layerkit(*arguments, "--json", kept=True)[1]))
        return status
    # the account is known to who has published; published.json may have several
    status, text = layerkit(*arguments, "--json", kept=True)
    print(f"::group::layerkit publish --json\n{text}\n::endgroup::", flush=True)  # noqa: T201
    published = Path(output, "published.json")
    if published.exists() and "account" in (made := json.loads(text or "{}")) and not made["dry_run"]:
        told("published", str(published.resolve()))
        known = ["arns", "--output", output, "--account", made["account"]]
        if not layerkit(*known)[0]:
            told("arns", compact(layerkit(*known, "--json", kept=True)[1]))
    return status


def layerkit(*arguments: str, kept: bool = False) -> tuple[int, str]:
    """Exit status, and standard output where it is kept."""
    done = subprocess.run([LAYERKIT, *arguments], stdout=subprocess.PIPE if kept else None, text=True, check=False)
    return done.returncode, done.stdout or ""


def compact(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":"))


def told(name: str, value: str) -> None:
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.write(f"{name}={value}\n")


if __name__ == "__main__":
    sys.exit(main())
