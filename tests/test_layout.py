"""What may stand where in the sources: who knows which library, and how long a module is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TOOLKIT = Path(__file__).parents[1] / "toolkit"
SOURCES = sorted(TOOLKIT.rglob("*.py"))
LIMIT = 300  # lines
KNOWN_BY = {  # library -> the modules, or folders of modules, that may import it
    "docker": ("layerkit/builders/engine/",),
    "requests": ("layerkit/builders/engine/", "layerkit/builders/sdists.py"),
    "boto3": ("layerkit/doctor/aws.py", "layerkit/aws/account.py", "layerkit/aws/bucket.py"),
    "botocore": (
        "layerkit/doctor/aws.py",
        *(f"layerkit/aws/{name}.py" for name in ("account", "bucket", "calls", "parameters")),
    ),
}


def imports(tree: ast.AST, *, late: bool = False) -> Iterator[tuple[str, bool]]:
    """The libraries that are imported below `tree`, and whether only when a function is called, or for types."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0], late
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for inner in node.body:
                yield from imports(ast.Module([inner], []), late=True)
            for inner in node.orelse:
                yield from imports(ast.Module([inner], []), late=late)
        else:
            yield from imports(node, late=late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_what_counts_as_an_import() -> None:
    code = """
import a.b, c
from d.e import f
from . import g
from .h import i
if TYPE_CHECKING:
    import j
else:
    import k
class C:
    import l
    def method(self):
        with x:
            from m import n
"""
    early = [("a", False), ("c", False), ("d", False)]
    assert list(imports(ast.parse(code))) == [*early, ("j", True), ("k", False), ("l", False), ("m", True)]


@pytest.mark.parametrize("library", KNOWN_BY)
def test_a_library_is_imported_where_it_may_be_and_only_when_it_is_needed(library: str) -> None:
    found = [
        (path.relative_to(TOOLKIT).as_posix(), late)
        for path in SOURCES
        for name, late in imports(ast.parse(path.read_text()))
        if name == library
    ]
    assert [path for path, _ in found if not path.startswith(KNOWN_BY[library])] == []
    assert [path for path, late in found if not late] == []
    # none of the places is there for nothing, so the scan sees them
    assert all(any(path.startswith(place) for path, _ in found) for place in KNOWN_BY[library])


def test_modules_are_short() -> None:
    lengths = {path.relative_to(TOOLKIT).as_posix(): len(path.read_text().splitlines()) for path in SOURCES}
    assert "layerkit/pipeline.py" in lengths
    assert {path: count for path, count in lengths.items() if count > LIMIT} == {}
