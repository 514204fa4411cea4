"""layers.lock: what it says, how it is read, when it is stale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit import lock, targets
from layerkit.errors import LockError
from layerkit.model import Layer, LayerInput, LayersFile, Lock, LockedLayer, Pin, Target

ARM = targets.find_runtime("python3.12").target("arm64")  # type: ignore[union-attr]
X86 = targets.find_runtime("python3.12").target("x86_64")  # type: ignore[union-attr]
OLD = targets.find_runtime("python3.11").target("arm64")  # type: ignore[union-attr]


def pin(name: str, version: str = "1.0", marker: str = "") -> Pin:
    return Pin(name=name, version=version, hashes=(f"sha256:{'0' * 64}",), marker=marker)


def layer(key: str, *requirements: str, uses: tuple[str, ...] = (), on: tuple[Target, ...] = (ARM,)) -> Layer:
    return Layer(key=key, name=key, targets=on, requirements=requirements, uses=uses)


def declared(*layers: Layer) -> LayersFile:
    return LayersFile(path=Path("/p/layers.yaml"), layers={one.key: one for one in layers})


def locked(layers: LayersFile, shares: dict[str, tuple[str, ...]], *pins: Pin) -> Lock:
    made = {
        key: LockedLayer(made_from=LayerInput.of(one), distributions=shares.get(key, ()))
        for key, one in layers.layers.items()
    }
    return Lock(pins=tuple(sorted(pins)), layers=made, compilers={"python3.12": "3.12.15"})


FLASK = declared(layer("flask", "Flask>=3"), layer("wsgi", "serverless-wsgi", uses=("flask",)))
FLASK_LOCK = locked(
    FLASK,
    {"flask": ("flask", "werkzeug"), "wsgi": ("serverless-wsgi", "werkzeug")},
    pin("flask"), pin("serverless-wsgi"), pin("werkzeug"),
)  # fmt: skip


def test_what_is_written_is_read_back() -> None:
    assert lock.parse(lock.render(FLASK_LOCK)) == FLASK_LOCK


names = st.text("abz09", max_size=5).map(lambda text: f"n-{text}x")
hashes = st.lists(
    st.binary(min_size=32, max_size=32).map(lambda b: f"sha256:{b.hex()}"), min_size=1, max_size=3, unique=True
)
markers = st.sampled_from(["", 'python_version < "3.12"', 'platform_machine == "aarch64"'])


@given(
    st.dictionaries(
        names,
        st.tuples(
            st.lists(st.integers(0, 999), min_size=1, max_size=3).map(lambda n: ".".join(map(str, n))),
            hashes,
            markers,
        ),
    )
)
def test_any_lock_is_read_back(found: dict[str, tuple[str, list[str], str]]) -> None:
    pins = [Pin(name=n, version=v, hashes=tuple(sorted(h)), marker=m) for n, (v, h, m) in found.items()]
    layers = declared(layer("one", "a[b]>=1,<2 ; python_version >= '3.9'"))
    made = locked(layers, {"one": tuple(sorted(found))}, *pins)
    assert lock.parse(lock.render(made)) == made


def test_pip_reads_the_lock_and_finds_every_hash(tmp_path: Path) -> None:
    path = tmp_path / "layers.lock"
    lock.write(path, FLASK_LOCK)
    code = (
        "import sys; from pip._internal.req.req_file import parse_requirements; "
        "from pip._internal.network.session import PipSession; "
        "found = parse_requirements(sys.argv[1], session=PipSession()); "
        "print([(r.requirement.strip(), sorted(r.options)) for r in found])"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "[('flask==1.0', ['hashes']), ('serverless-wsgi==1.0', ['hashes']), ('werkzeug==1.0', ['hashes'])]"
    )


def test_a_used_layers_distributions_are_not_packed_again() -> None:
    assert [p.name for p in lock.share(FLASK_LOCK, FLASK, "flask", ARM)] == ["flask", "werkzeug"]
    assert [p.name for p in lock.share(FLASK_LOCK, FLASK, "wsgi", ARM)] == ["serverless-wsgi"]


def test_uses_reach_through_layers() -> None:
    layers = declared(layer("a", "x"), layer("b", "y", uses=("a",)), layer("c", "z", uses=("b",)))
    made = locked(layers, {"a": ("x",), "b": ("x", "y"), "c": ("x", "y", "z")}, pin("x"), pin("y"), pin("z"))
    assert [p.name for p in lock.share(made, layers, "c", ARM)] == ["z"]


def test_markers_decide_for_each_target() -> None:
    layers = declared(layer("a", "numpy", on=(ARM, X86, OLD)))
    made = locked(
        layers,
        {"a": ("numpy", "tomli ; python_version < '3.12'", "mkl ; platform_machine == 'x86_64'")},
        pin("numpy", "1.26", "python_version < '3.12'"),
        pin("numpy", "2.3", "python_version >= '3.12'"),
        pin("tomli"),
        pin("mkl"),
    )
    assert [str(p) for p in lock.share(made, layers, "a", ARM)] == ["numpy 2.3"]
    assert [str(p) for p in lock.share(made, layers, "a", X86)] == ["mkl 1.0", "numpy 2.3"]
    assert [str(p) for p in lock.share(made, layers, "a", OLD)] == ["numpy 1.26", "tomli 1.0"]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (declared(layer("flask", "Flask>=3")), "the layer wsgi is gone"),
        (declared(*FLASK.layers.values(), layer("new", "x")), "the layer new is new"),
        (declared(layer("flask", "Flask>=2"), FLASK.layers["wsgi"]), "layers.flask: requirements were ['Flask>=3']"),
        (
            declared(FLASK.layers["flask"], layer("wsgi", "serverless-wsgi")),
            "layers.wsgi: uses were ['flask'], are []",
        ),
        (declared(layer("flask", "Flask>=3", on=(X86,)), FLASK.layers["wsgi"]), "targets were ['python3.12-arm64']"),
    ],
)
def test_a_stale_lock_says_what_changed(now: LayersFile, told: str) -> None:
    with pytest.raises(LockError, match="changed since the lock") as caught:
        lock.check(FLASK_LOCK, now)
    assert told in caught.value.why
    assert caught.value.cure == "layerkit lock"


def test_order_and_words_do_not_make_a_lock_stale() -> None:
    words = Layer(key="flask", name="other", description="new", targets=(ARM,), requirements=("Flask>=3",))
    lock.check(FLASK_LOCK, declared(FLASK.layers["wsgi"], words))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "head is missing"),
        ("flask==3.1\n", "head is missing"),
        (lock.render(FLASK_LOCK).replace("flask==1.0", "flask>=1.0"), "not a pinned and hashed requirement"),
        (lock.render(FLASK_LOCK).replace("format = 1", "format = "), "TOMLDecodeError"),
        (lock.render(FLASK_LOCK).replace("werkzeug==", "werkzeugg=="), "which has no pin"),
        (lock.render(FLASK_LOCK).replace("# uses = []\n", ""), "KeyError"),
    ],
)
def test_a_damaged_lock_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "layers.lock"
    path.write_text(text)
    with pytest.raises(LockError, match="the lock is damaged") as caught:
        lock.read(path)
    assert told in caught.value.why


def test_a_newer_format_asks_for_a_newer_layerkit(tmp_path: Path) -> None:
    path = tmp_path / "layers.lock"
    path.write_text(lock.render(FLASK_LOCK).replace("format = 1", "format = 2"))
    with pytest.raises(LockError, match="has format 2; this layerkit reads format 1"):
        lock.read(path)


def test_no_lock(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="there is no lock yet"):
        lock.read(tmp_path / "layers.lock")
