"""Modules that Lambda's runtime has and other Pythons lack: layerkit's own copies stand in for them.

Source: AWS Lambda Developer Guide, "Building Lambda functions with Python", read 2026-11-21: the environment includes
the SDK for Python (boto3).  What else: what boto3 requires, and the runtime's client.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path

SDK = {
    "boto3": "boto3",
    "botocore": "botocore",
    "s3transfer": "s3transfer",
    "jmespath": "jmespath",
    "urllib3": "urllib3",
    "dateutil": "python-dateutil",
    "six": "six",
}  # module -> distribution
# Of the runtime, too, without a copy: its client, and parts of CPython that other builds may be without.
OTHERS = frozenset(("awslambdaric", "snapshot_restore_py", "_bz2", "_ctypes", "_lzma", "_sqlite3", "_ssl", "_uuid"))


def is_of_runtime(module: str) -> bool:
    """Whether the runtime has this module, so that a want of it is the place's fault."""
    top = module.partition(".")[0]
    return top in SDK or top in OTHERS


def copies() -> Mapping[str, Path]:
    """layerkit's own copies, by module: a package's folder or a module's file.  Those that are pure Python alone."""
    found = {}
    for module in SDK:
        spec = importlib.util.find_spec(module)
        if spec and spec.origin and spec.origin.endswith(".py"):
            file = Path(spec.origin)
            path = file.parent if file.name == "__init__.py" else file
            if not path.is_dir() or next(path.rglob("*.so"), None) is None:
                found[module] = path
    return found


def told(modules: Iterable[str]) -> str:
    """What is unlike Lambda with them; `modules` are those that were wanted."""
    names = sorted({module.partition(".")[0] for module in modules} & SDK.keys())
    versions = [f"{name} {importlib.metadata.version(SDK[name])}" for name in names]
    return f"{' and '.join(versions)} of layerkit's own, not the runtime's"
