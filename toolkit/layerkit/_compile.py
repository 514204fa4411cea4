"""Run by the runtime's own Python, not imported: compiles chunks of modules, each chunk in a fork of its own.

Standard input: {"jobs": N (0: one for each core), "chunks": [[[source file, name in tracebacks, output file], ...],
...]}.  A module that does not compile leaves no output.  Works on every Python that Lambda's runtimes have had since
3.9.
"""

import importlib.util
import json
import marshal
import os
import sys

UNCHECKED_HASH = (0b01).to_bytes(4, "little")  # PEP 552


def compile_chunk(chunk: "list[list[str]]") -> None:
    for source, name, output in chunk:
        with open(source, "rb") as file:
            data = file.read()
        try:
            code = compile(data, name, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            continue  # a template, or another version's syntax: the source is shipped alone
        head = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(data)
        with open(output, "wb") as file:
            file.write(head + marshal.dumps(code))


def main() -> None:
    task = json.load(sys.stdin)
    jobs = task["jobs"] or os.cpu_count() or 1
    running = 0
    failed = False
    for chunk in task["chunks"]:
        if running >= jobs:
            failed |= os.wait()[1] != 0
            running -= 1
        pid = os.fork()
        if pid == 0:
            try:
                compile_chunk(chunk)
                status = 0
            except BaseException as error:  # noqa: BLE001 - a fork must never return into the parent's work
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
                status = 1
            sys.stderr.flush()
            os._exit(status)
        running += 1
    for _ in range(running):
        failed |= os.wait()[1] != 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
