"""Source distributions: fetched over loopback, read, and what their builds made turned into wheels that are kept."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import shutil
import ssl
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elves import Made
from layerkit import network, targets
from layerkit.builders import Wanted
from layerkit.builders.sdists import DEFAULT_REQUIRES, KeptWheels, build_requires, fetch, make_wheel
from layerkit.errors import BuildFailed, HashMismatch, IndexUnreachable, MachineError
from layerkit.model import Environment, Pin, Target
from layerkit.network import Settings
from layerkit.offers import Offer
from wheelhouse import Index, make_sdist
from wheelhouse import make_wheel as tiny_wheel


def target(runtime: str = "python3.12", architecture: str = "arm64") -> Target:
    found = targets.find_runtime(runtime)
    assert found
    return found.target(architecture)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


PIN = Pin(name="native", version="1.0", hashes=(f"sha256:{'0' * 64}",))


# --- kept wheels --------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> KeptWheels:
    return KeptWheels(tmp_path / "cache/wheels")


def made(folder: Path, content: bytes = b"wheel", *libraries: str) -> Path:
    folder.mkdir()
    (folder / "native-1.0-py3-none-any.whl").write_bytes(content)
    for library in libraries:
        (folder / "libraries").mkdir(exist_ok=True)
        (folder / "libraries" / library).write_bytes(library.encode())
    return folder


def test_a_kept_wheel(kept: KeptWheels, tmp_path: Path) -> None:
    assert kept.get("key") is None
    kept.put("key", made(tmp_path / "made", b"wheel", "libz.so.1", "liba.so"))
    wheel = kept.get("key")
    assert wheel
    assert wheel.file.read_bytes() == b"wheel"
    assert {name: file.read_bytes() for name, file in wheel.libraries.items()} == {
        "liba.so": b"liba.so",
        "libz.so.1": b"libz.so.1",
    }
    assert list(wheel.libraries) == ["liba.so", "libz.so.1"]
    assert not (tmp_path / "made").exists()
    assert kept.get("other") is None


def test_a_use_is_seen_in_the_folders_time(kept: KeptWheels, tmp_path: Path) -> None:
    kept.put("key", made(tmp_path / "made"))
    os.utime(kept.folder / "key", (1, 1))
    kept.get("key")
    assert (kept.folder / "key").stat().st_mtime > 1


def test_who_comes_second_keeps_the_first_ones(kept: KeptWheels, tmp_path: Path) -> None:
    kept.put("key", made(tmp_path / "first", b"first"))
    kept.put("key", made(tmp_path / "second", b"second", "libz.so"))
    wheel = kept.get("key")
    assert wheel
    assert wheel.file.read_bytes() == b"first"
    assert wheel.libraries == {}


@pytest.mark.parametrize("left", [[], ["libraries/libz.so"], ["a.whl", "b.whl"], ["native.whl.part"]])
def test_a_folder_without_its_wheel_is_made_again(kept: KeptWheels, tmp_path: Path, left: list[str]) -> None:
    (kept.folder / "key").mkdir(parents=True)
    for name in left:
        (kept.folder / "key" / name).parent.mkdir(exist_ok=True)
        (kept.folder / "key" / name).write_bytes(b"half")
    assert kept.get("key") is None
    kept.put("key", made(tmp_path / "made"))
    wheel = kept.get("key")
    assert wheel
    assert wheel.file.read_bytes() == b"wheel"
    assert wheel.libraries == {}


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError) as caught:
        KeptWheels(tmp_path / "file/wheels").put("key", made(tmp_path / "made"))
    assert caught.value.where == str(tmp_path / "file/wheels")


def test_the_key_has_every_fact_that_decides() -> None:
    def key(
        sdist: str = "s", image: str = "i", on: Target | None = None, pin: Pin = PIN, **environment: object
    ) -> str:
        wanted = Wanted(pin=pin, environment=replace(Environment(), **environment))  # type: ignore[arg-type]
        return KeptWheels.key(sdist, image, wanted, on or target())

    keys = [
        key(),
        key(sdist="t"),
        key(image="j"),
        key(sdist="si", image=""),
        key(system_packages=("libffi-devel",)),
        key(system_packages=("libffi-devel", "gcc")),
        key(on=target("python3.13")),
        key(on=target(architecture="x86_64")),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == key(network=False) == key(pack_libraries=False) == key(pin=replace(PIN, marker="x"))
    assert all(len(one) == 64 for one in keys)


# --- fetching -----------------------------------------------------------------------------------------------


def offered(index: Index, name: str) -> Offer:
    return Offer(wheels={}, sdist=f"http://127.0.0.1:{index.port}/files/{name}")


def pin_of(content: bytes) -> Pin:
    return replace(PIN, hashes=("sha256:" + "1" * 64, f"sha256:{sha256(content)}"))


def test_fetching(index: Index, tmp_path: Path) -> None:
    name, content = make_sdist("native")
    index.add((name, content))
    file, digest = fetch(pin_of(content), offered(index, name), Settings(), tmp_path / "new/folder")
    assert file == tmp_path / "new/folder" / name
    assert file.read_bytes() == content
    assert digest == sha256(content)


@pytest.mark.parametrize("by", ["host and port", "host", "url", "name", "netrc", "netrc of requests"])
def test_fetching_with_credentials(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    name, content = make_sdist("native")
    index.add((name, content))
    index.credentials = "me:p@ss word"
    url = f"http://127.0.0.1:{index.port}/simple"
    rc = tmp_path / "rc"
    rc.write_text('machine 127.0.0.1 login me password "p@ss word"\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    ways: dict[str, Callable[[], Settings]] = {
        "host and port": lambda: Settings(credentials={f"127.0.0.1:{index.port}": ("me", "p@ss word")}),
        "host": lambda: Settings(credentials={"127.0.0.1": ("me", "p@ss word")}),
        "url": lambda: network.read({"UV_DEFAULT_INDEX": url.replace("//", "//me:p%40ss%20word@")}),
        "name": lambda: network.read(
            {"UV_INDEX": f"a={url}", "UV_INDEX_A_USERNAME": "me", "UV_INDEX_A_PASSWORD": "p@ss word"}
        ),
        "netrc": lambda: network.read({"UV_DEFAULT_INDEX": url, "NETRC": str(rc)}),
        "netrc of requests": Settings,
    }
    settings = ways[by]()
    if by == "netrc of requests":  # for a host that is no index's
        monkeypatch.setenv("NETRC", str(rc))
    file, _ = fetch(pin_of(content), offered(index, name), settings, tmp_path / "out")
    assert file.read_bytes() == content


def test_an_index_that_refuses(index: Index, tmp_path: Path) -> None:
    name, content = make_sdist("native")
    index.add((name, content))
    index.credentials = "me:right-word"
    settings = Settings(credentials={"127.0.0.1": ("me", "wrong-word")})
    offer = Offer(wheels={}, sdist=f"http://me:url-word@127.0.0.1:{index.port}/files/{name}")
    with pytest.raises(IndexUnreachable) as caught:
        fetch(pin_of(content), offer, settings, tmp_path)
    assert caught.value.what == f"the package index did not give {name}"
    assert "401" in caught.value.why
    assert "-word" not in str(caught.value)
    assert "credentials" in caught.value.cure


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_index_without_the_file(index: Index, tmp_path: Path, status: int) -> None:
    index.status = status if status != 404 else 200
    with pytest.raises(IndexUnreachable, match=r"did not give native-1\.0\.tar\.gz") as caught:
        fetch(PIN, offered(index, "native-1.0.tar.gz"), Settings(), tmp_path)
    assert str(status) in caught.value.why


def test_an_index_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(IndexUnreachable, match="did not give"):
        fetch(PIN, Offer(wheels={}, sdist="http://127.0.0.1:9/files/native-1.0.tar.gz"), Settings(), tmp_path)


def test_other_bytes_than_locked(index: Index, tmp_path: Path) -> None:
    name, content = make_sdist("native")
    index.add((name, content))
    with pytest.raises(HashMismatch) as caught:
        fetch(PIN, offered(index, name), Settings(), tmp_path)
    assert caught.value.where == "native 1.0"
    assert caught.value.why == f"{name}: sha256:{sha256(content)}"
    assert "layerkit lock --upgrade native" in caught.value.cure


def test_from_a_folder_of_links(tmp_path: Path) -> None:
    name, content = make_sdist("native")
    (tmp_path / "my links").mkdir()
    (tmp_path / "my links" / name).write_bytes(content)
    offer = Offer(wheels={}, sdist=(tmp_path / "my links" / name).as_uri())
    assert "%20" in offer.sdist
    file, _ = fetch(pin_of(content), offer, Settings(), tmp_path / "out")
    assert file.read_bytes() == content


def test_a_folder_that_is_a_file(index: Index, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError):
        fetch(PIN, offered(index, "native-1.0.tar.gz"), Settings(), tmp_path / "file/below")


def test_a_quoted_name(index: Index, tmp_path: Path) -> None:
    index.files["native-1.0%2Blocal.tar.gz"] = b"content"
    file, _ = fetch(pin_of(b"content"), offered(index, "native-1.0%2Blocal.tar.gz"), Settings(), tmp_path)
    assert file.name == "native-1.0+local.tar.gz"


class Asked(BaseHTTPRequestHandler):
    """Answers everything, and remembers how it was asked."""

    headers_seen: Mapping[str, str] = {}

    def do_GET(self) -> None:
        type(self).headers_seen = dict(self.headers)
        self.send_response(200)
        self.send_header("content-length", "7")
        self.end_headers()
        self.wfile.write(b"content")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Asked) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_no_server_is_asked_to_compress(server: HTTPServer, tmp_path: Path) -> None:
    """Some then say that a .tar.gz is a tar that was compressed on the way, and clients unpack it."""
    url = f"http://127.0.0.1:{server.server_address[1]}/native-1.0.tar.gz"
    fetch(pin_of(b"content"), Offer(wheels={}, sdist=url), Settings(), tmp_path)
    assert {name.lower(): value for name, value in Asked.headers_seen.items()}["accept-encoding"] == "identity"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and its certificate for 127.0.0.1, in one file."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    key, file = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", file], check=True, capture_output=True)
    file.write_bytes(key.read_bytes() + file.read_bytes())
    return file


@pytest.mark.parametrize("other", ["", "REQUESTS_CA_BUNDLE"])
def test_certificates(
    server: HTTPServer, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """The first variable that is set holds here as for uv, and for a client's own certificate."""
    for name in (*network.CERTIFICATES, "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    trusted = ssl.get_default_verify_paths().cafile or certificate
    if other:
        monkeypatch.setenv(other, str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    offer = Offer(wheels={}, sdist=f"https://127.0.0.1:{server.server_address[1]}/native-1.0.tar.gz")
    with pytest.raises(IndexUnreachable) as caught:
        fetch(pin_of(b"content"), offer, Settings(), tmp_path / "out")
    assert "certificate" in caught.value.why.lower()
    (tmp_path / "certs").mkdir()
    shutil.copy(certificate, tmp_path / "certs/a.pem")
    for trust in ({"SSL_CERT_FILE": str(certificate)}, {"SSL_CERT_DIR": str(tmp_path / "certs")}):
        settings = network.read({**trust, "SSL_CLIENT_CERT": str(certificate)})
        file, _ = fetch(pin_of(b"content"), offer, settings, tmp_path / "out")
        assert file.read_bytes() == b"content"
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/native-1.0.tar.gz"]  # no key is left


# --- what a build needs -------------------------------------------------------------------------------------


def tar_gz(folder: Path, files: Mapping[str, str], *, dot: bool = False) -> Path:
    with tarfile.open(folder / "native-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"./{name}" if dot else name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return folder / "native-1.0.tar.gz"


def zipped(folder: Path, files: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(folder / "native-1.0.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return folder / "native-1.0.zip"


Pack = Callable[[Path, Mapping[str, str]], Path]
PACKED = pytest.mark.parametrize("pack", [tar_gz, lambda *args: tar_gz(*args, dot=True), zipped])


@PACKED
@pytest.mark.parametrize(
    ("text", "requires"),
    [
        ('[build-system]\nrequires = ["hatchling>=1", "cython"]\n', ("hatchling>=1", "cython")),
        ("[build-system]\nrequires = []\n", ()),
        ('[build-system]\nbuild-backend = "x"\n', DEFAULT_REQUIRES),
        ("[project]\n", DEFAULT_REQUIRES),
        ("", DEFAULT_REQUIRES),
        ("[build-system\n", DEFAULT_REQUIRES),
        ("build-system = 1\n", DEFAULT_REQUIRES),
        ("[build-system]\nrequires = 1\n", DEFAULT_REQUIRES),
        ('[build-system]\nrequires = ["a", 1, {}]\n', ("a",)),
        ('[build-system]\nrequires = ["ünï"]\n', ("ünï",)),
        (None, DEFAULT_REQUIRES),
    ],
)
def test_what_a_build_needs(tmp_path: Path, pack: Pack, text: str | None, requires: tuple[str, ...]) -> None:
    files = {"native-1.0/setup.py": "", "native-1.0/vendored/pyproject.toml": '[build-system]\nrequires = ["no"]\n'}
    if text is not None:
        files["native-1.0/pyproject.toml"] = text
    assert build_requires(pack(tmp_path, files)) == requires


@pytest.mark.parametrize("name", ["native-1.0.tar.gz", "native-1.0.zip"])
@pytest.mark.parametrize("cut", [0, 10, 100, -10])
def test_what_a_broken_archive_needs(tmp_path: Path, name: str, cut: int) -> None:
    files = {"native-1.0/pyproject.toml": "[build-system]\nrequires = []\n" + os.urandom(2000).hex()}
    file = (zipped if name.endswith(".zip") else tar_gz)(tmp_path, files)
    file.write_bytes(file.read_bytes()[:cut])
    assert build_requires(file) in (DEFAULT_REQUIRES, ())


# --- wheels of what was built -------------------------------------------------------------------------------


def elf(machine: str = "aarch64", glibc: str = "2.17") -> bytes:
    number = {"aarch64": 183, "x86_64": 62}[machine]
    return Made(machine=number, versions=[("libc.so.6", [(f"GLIBC_{glibc}", 0), ("GLIBC_2.2.5", 0)])]).content()


def unpacked(
    folder: Path, files: Mapping[str, bytes | str], tag: str = "cp312-cp312-linux_aarch64"
) -> tuple[Path, str]:
    """(folder, file name) of a wheel as the container gives it."""
    name, content = tiny_wheel("native", files=files, tag=tag)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    return folder, name


def packed(
    tmp_path: Path, files: Mapping[str, bytes | str], tag: str = "cp312-cp312-linux_aarch64", *,
    on: Target | None = None, secrets: tuple[str, ...] = (),
) -> Path:  # fmt: skip
    folder, name = unpacked(tmp_path / "unpacked", files, tag)
    (tmp_path / "into").mkdir(exist_ok=True)
    return make_wheel(folder, name, PIN, on or target(), secrets, tmp_path / "into")


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def check_record(files: Mapping[str, bytes], info: str = "native-1.0.dist-info") -> None:
    """Every file has its row, with its hash and size; RECORD itself has none."""
    rows = list(csv.reader(io.StringIO(files[f"{info}/RECORD"].decode())))
    assert sorted(row[0] for row in rows) == sorted(files)
    for path, digest, size in rows:
        if path == f"{info}/RECORD":
            assert (digest, size) == ("", "")
            continue
        expected = base64.urlsafe_b64encode(hashlib.sha256(files[path]).digest()).rstrip(b"=").decode()
        assert (digest, size) == (f"sha256={expected}", str(len(files[path]))), path


@pytest.mark.parametrize(
    ("glibc", "tag"),
    [
        ("2.2.5", "manylinux_2_17"),
        ("2.17", "manylinux_2_17"),
        ("2.28", "manylinux_2_28"),
        ("2.28.1", "manylinux_2_28"),
        ("2.34", "manylinux_2_34"),
    ],
)
def test_the_tag_says_the_oldest_glibc_that_will_do(tmp_path: Path, glibc: str, tag: str) -> None:
    wheel = packed(tmp_path, {"native.so": elf(glibc=glibc), "native/old.so": elf()})
    assert wheel == tmp_path / f"into/native-1.0-cp312-cp312-{tag}_aarch64.whl"
    files = contents(wheel)
    assert f"\nTag: cp312-cp312-{tag}_aarch64\n" in files["native-1.0.dist-info/WHEEL"].decode()
    assert b"linux_aarch64" not in files["native-1.0.dist-info/WHEEL"].replace(f"{tag}_aarch64".encode(), b"")
    check_record(files)


def test_the_other_architecture(tmp_path: Path) -> None:
    on = target(architecture="x86_64")
    wheel = packed(tmp_path, {"native.so": elf("x86_64")}, "cp312-cp312-linux_x86_64", on=on)
    assert wheel.name == "native-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"
    assert b"Tag: cp312-cp312-manylinux_2_17_x86_64\n" in contents(wheel)["native-1.0.dist-info/WHEEL"]


def test_several_tags(tmp_path: Path) -> None:
    folder, name = unpacked(tmp_path / "unpacked", {"native.so": elf()}, "cp312-abi3-linux_aarch64")
    info = folder / "native-1.0.dist-info/WHEEL"
    info.write_text("Wheel-Version: 1.0\nTag: cp312-abi3-linux_aarch64\nTag: cp313-abi3-linux_aarch64\n")
    wheel = make_wheel(folder, name, PIN, target(), (), tmp_path)
    assert contents(wheel)["native-1.0.dist-info/WHEEL"].decode() == (
        "Wheel-Version: 1.0\nTag: cp312-abi3-manylinux_2_17_aarch64\nTag: cp313-abi3-manylinux_2_17_aarch64\n"
    )


def test_a_pure_wheel_keeps_its_name(tmp_path: Path) -> None:
    wheel = packed(tmp_path, {"native.py": "x = 1\n", "linux_aarch64.txt": "-linux_aarch64.whl"}, "py3-none-any")
    assert wheel.name == "native-1.0-py3-none-any.whl"
    files = contents(wheel)
    assert b"Tag: py3-none-any\n" in files["native-1.0.dist-info/WHEEL"]
    assert files["linux_aarch64.txt"] == b"-linux_aarch64.whl"
    check_record(files)


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"b.py": "1", "a/__init__.py": "", "a.so": elf(), "a/data.csv": "1,2"}
    first = packed(tmp_path, files).read_bytes()
    folder = tmp_path / "again"
    folder.mkdir()
    mask = os.umask(0o077)
    try:
        again, name = unpacked(folder / "u", dict(reversed(files.items())))
        for path in again.rglob("*"):
            os.utime(path, (1_700_000_000, 1_700_000_000))
        second = make_wheel(again, name, PIN, target(), (), folder).read_bytes()
    finally:
        os.umask(mask)
    assert first == second


NAMES = st.text("a,é\"';= -ß\u4e2d", min_size=1, max_size=12).map(lambda name: f"x{name}y")


@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=5))
def test_every_name_is_recorded(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    found = contents(packed(tmp_path_factory.mktemp("wheel"), {f"native/{name}": c for name, c in files.items()}))
    assert {f"native/{name}" for name in files} <= found.keys()
    check_record(found)


def test_a_record_that_lists_nothing_true(tmp_path: Path) -> None:
    folder, name = unpacked(tmp_path / "unpacked", {"native.py": "", "stripped.so": elf()})
    (folder / "native-1.0.dist-info/RECORD").write_text("ghost.py,sha256=x,1\nnative.py,,\n")
    check_record(contents(make_wheel(folder, name, PIN, target(), (), tmp_path)))
    (folder / "native-1.0.dist-info/RECORD").unlink()
    check_record(contents(make_wheel(folder, name, PIN, target(), (), tmp_path)))


def test_a_distribution_that_carries_others(tmp_path: Path) -> None:
    """setuptools does; their WHEEL and RECORD are data."""
    inner = {
        "native/_vendor/a-1.dist-info/WHEEL": "Tag: x-linux_aarch64\n",
        "native/_vendor/a-1.dist-info/RECORD": "x",
    }
    found = contents(packed(tmp_path, {**inner, "native.so": elf()}))
    assert {path: found[path].decode() for path in inner} == inner
    assert b"manylinux_2_17" in found["native-1.0.dist-info/WHEEL"]
    check_record(found)


def test_no_wheel_at_all(tmp_path: Path) -> None:
    (tmp_path / "native.py").write_text("")
    with pytest.raises(BuildFailed, match="its build made no wheel"):
        make_wheel(tmp_path, "native-1.0-py3-none-any.whl", PIN, target(), (), tmp_path)


def test_another_machine(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed) as caught:
        packed(tmp_path, {"native/x.so": elf("x86_64")})
    assert caught.value.what == "native 1.0 was built for another machine: native/x.so is for x86_64"
    assert list((tmp_path / "into").iterdir()) == []


def test_files_of_other_machines_that_are_not_loaded(tmp_path: Path) -> None:
    wheel = packed(tmp_path, {"native.so": elf(), "tests/data/program": elf("x86_64", "2.38")})
    assert "manylinux_2_17" in wheel.name


@pytest.mark.parametrize(
    ("runtime", "glibc", "words"),
    [
        ("python3.12", "2.38", "native 1.0 was built for glibc 2.38; python3.12 has 2.34"),
        ("python3.11", "2.34", "native 1.0 was built for glibc 2.34; python3.11 has 2.26"),
    ],
)
def test_a_glibc_that_is_too_new(tmp_path: Path, runtime: str, glibc: str, words: str) -> None:
    with pytest.raises(BuildFailed) as caught:
        packed(tmp_path, {"native.so": elf(glibc=glibc)}, on=target(runtime))
    assert caught.value.what == words
    assert caught.value.cure == (
        "build it in AWS's own image, or one with an older system (container: {image: ...} in layers.yaml)"
    )


@pytest.mark.parametrize("content", [b"\x7fELF", b"\x7fELF" + b"\xff" * 200, elf()[:100]])
def test_files_that_no_loader_reads(tmp_path: Path, content: bytes) -> None:
    assert packed(tmp_path, {"native.so": elf(), "tests/broken.so": content}).exists()


@pytest.mark.parametrize("path", ["native/config.py", "native-1.0.dist-info/direct_url.json", "native/bin.dat"])
def test_a_secret_in_a_file(tmp_path: Path, path: str) -> None:
    content = b"\0\xff https://me:s3cret-w\xc3\xb6rd@one.example"
    with pytest.raises(BuildFailed) as caught:
        packed(tmp_path, {"native.py": "", path: content}, secrets=("another", "s3cret-wörd"))
    assert caught.value.what == f"native 1.0 was not packed: {path} holds one of this machine's credentials"
    assert "s3cret" not in str(caught.value)
    assert caught.value.cure
    assert list((tmp_path / "into").iterdir()) == []


def test_a_folder_that_is_no_folder(tmp_path: Path) -> None:
    folder, name = unpacked(tmp_path / "unpacked", {"native.py": ""})
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError):
        make_wheel(folder, name, PIN, target(), (), tmp_path / "file")


def test_a_real_extension(tmp_path: Path) -> None:
    if not shutil.which("gcc"):
        pytest.skip("no gcc")
    machine = os.uname().machine
    if machine not in ("x86_64", "aarch64"):
        pytest.skip(f"no runtime on {machine}")
    (tmp_path / "x.c").write_text("#include <string.h>\nint x(char *a) { return (int) strlen(a); }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", tmp_path / "x.c", "-o", tmp_path / "x.so"], check=True)
    on = target("python3.12", {"aarch64": "arm64"}.get(machine, machine))
    files = {"x.so": (tmp_path / "x.so").read_bytes()}
    wheel = packed(tmp_path, files, f"cp312-cp312-linux_{machine}", on=on)
    assert wheel.name == f"native-1.0-cp312-cp312-manylinux_2_17_{machine}.whl"
    check_record(contents(wheel))
