"""python -m aws_standin --port 0 --rate 15 …: prints its URL, and serves until it is ended."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from pathlib import Path
from typing import Any

from aws_standin import serve
from aws_standin.world import Options


def _roles(path: str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def main() -> None:
    defaults = Options()
    parser = argparse.ArgumentParser(prog="aws_standin", description="AWS for tests, on 127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=int, default=defaults.rate)
    parser.add_argument("--latency", type=float, default=defaults.latency)
    parser.add_argument("--disabled", nargs="*", default=[])
    parser.add_argument("--no-arm", nargs="*", default=[])
    parser.add_argument("--account", default=defaults.account)
    parser.add_argument("--storage", type=int, default=defaults.storage)
    parser.add_argument("--parameter-rate", type=int, default=0)
    parser.add_argument("--update-reads", type=int, default=0)
    parser.add_argument("--update-seconds", type=float, default=0)
    parser.add_argument("--roles", type=_roles, default={}, metavar="FILE", help="JSON: roles by ARN")
    with serve(**vars(parser.parse_args())) as aws:
        sys.stdout.write(f"{aws.url}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
