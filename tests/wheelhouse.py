"""Tiny real wheels, and a package index on loopback that serves them: uv runs for real, without a network."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def make_wheel(
    name: str,
    version: str = "1.0",
    files: Mapping[str, bytes | str] | None = None,
    *,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    metadata: str = "",
    console_script: str = "",
    unlisted: Sequence[str] = (),
    ghosts: Sequence[str] = (),
) -> tuple[str, bytes]:
    """(file name, bytes) of a wheel with these files; without any, it has one module of its name.

    Its RECORD leaves out the `unlisted` files and names `ghosts` that are not there, as careless wheels do.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    contents: dict[str, bytes | str] = dict(
        files if files is not None else {f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n"}
    )
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    contents[f"{info}/METADATA"] = "\n".join(lines) + f"\n{metadata}\n"
    contents[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
    if console_script:
        contents[f"{info}/entry_points.txt"] = f"[console_scripts]\n{console_script}\n"
    rows = [f"{path},sha256=x,1" for path in ghosts]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in contents.items():
            data = content.encode() if isinstance(content, str) else content
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows += [f"{path},sha256={digest},{len(data)}"] if path not in unlisted else []
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), data)
        archive.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,", ""]))
    return f"{stem}-{tag}.whl", stream.getvalue()


def make_sdist(name: str, version: str = "1.0") -> tuple[str, bytes]:
    """(file name, bytes) of a source distribution with static metadata."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path, text in {
            "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n",
            "pyproject.toml": f'[project]\nname = "{name}"\nversion = "{version}"\n',
        }.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return f"{name}-{version}.tar.gz", stream.getvalue()


BACKEND = """
import base64, hashlib, os, subprocess, sys, sysconfig, zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    name, version, tag, files = NAME, VERSION, 'py3-none-any', {}
    def compiled(source, *flags):
        # a real extension of the interpreter that builds
        suffix = sysconfig.get_config_var('EXT_SUFFIX')
        include = sysconfig.get_paths()['include']
        subprocess.run(['gcc', '-g', '-shared', '-fPIC', '-I' + include, source, '-o', 'made.so', *flags], check=True)
        with open('made.so', 'rb') as file:
            files[os.path.splitext(source)[0] + suffix] = file.read()
        return f'cp{sys.version_info[0]}{sys.version_info[1]}-' * 2 + 'linux_' + os.uname().machine
    BODY
    info = f'{name}-{version}.dist-info'
    files[f'{info}/METADATA'] = f'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n'.encode()
    files[f'{info}/WHEEL'] = f'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}\\n'.encode()
    rows = []
    wheel = f'{name}-{version}-{tag}.whl'
    with zipfile.ZipFile(os.path.join(directory, wheel), 'w') as archive:
        for path, data in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()
            rows.append(f'{path},sha256={digest},{len(data)}')
            archive.writestr(path, data)
        archive.writestr(f'{info}/RECORD', '\\n'.join([*rows, f'{info}/RECORD,,', '']))
    return wheel
"""
EXTENSION = """
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "NAME", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_NAME(void) { return PyModule_Create(&module); }
"""


def make_source(
    name: str,
    version: str = "1.0",
    body: str = "files['{name}.py'] = b''",
    files: Mapping[str, str] | None = None,
    requires: Sequence[str] = (),
) -> tuple[str, bytes]:
    """(file name, bytes) of a source distribution that really builds, by a backend of its own that needs no other.

    `body` is what its build does: it fills `files`, may call `compiled('x.c')` and set `tag` to its answer.
    """
    indented = body.replace("{name}", name).strip().replace("\n", "\n    ")
    backend = BACKEND.replace("NAME", repr(name)).replace("VERSION", repr(version)).replace("BODY", indented)
    contents = {
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": f'[project]\nname = "{name}"\nversion = "{version}"\n'
        f"[build-system]\nrequires = {json.dumps(list(requires))}\n"
        'build-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": backend,
        **(files or {}),
    }
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path, text in contents.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return f"{name}-{version}.tar.gz", stream.getvalue()


@dataclass
class Index:
    """What the server serves, and how it fails."""

    files: dict[str, bytes] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)  # as announced; of the bytes unless changed
    status: int = 200
    port: int = 0
    requests: list[str] = field(default_factory=list)
    credentials: str = ""  # "user:password" that must be given

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/simple"

    def add(self, *wheels: tuple[str, bytes]) -> None:
        for name, content in wheels:
            self.files[name] = content
            self.hashes[name] = hashlib.sha256(content).hexdigest()

    def page(self, project: str) -> str | None:
        found = [
            name
            for name in sorted(self.files)
            if re.sub(r"[-_.]+", "-", re.split(r"-\d", name)[0]).lower() == project
        ]
        links = [f'<a href="/files/{name}#sha256={self.hashes[name]}">{name}</a>' for name in found]
        return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>" if links else None


@contextmanager
def serve(index: Index) -> Iterator[Index]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.requests.append(self.path)
            kind, _, name = self.path.strip("/").partition("/")
            content: bytes | None = None
            wanted = "Basic " + base64.b64encode(index.credentials.encode()).decode()
            if index.credentials and self.headers.get("authorization") != wanted:
                self.send_response(401)
                self.send_header("www-authenticate", "Basic")
                self.send_header("content-length", "0")
                self.end_headers()
                return
            if index.status == 200 and kind == "simple":
                page = index.page(name)
                content = page.encode() if page else None
            elif index.status == 200:
                content = index.files.get(name)
            status = 200 if content is not None else 404 if index.status == 200 else index.status
            self.send_response(status)
            self.send_header("content-type", "text/html" if kind == "simple" else "application/octet-stream")
            self.send_header("content-length", str(len(content or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content or b"")

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # uv closes a connection once it has read what it needs

    with Server(("127.0.0.1", 0), Handler) as server:
        index.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()
