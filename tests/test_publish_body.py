"""A zip on its way into a request: byte by byte what botocore would have sent, and never held."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from base64 import b64encode
from functools import partial
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from aws_standin import Standin, serve
from layerkit.aws.body import BLOCK, Body, opened, sending, stream
from layerkit.aws.layers import AwsLayers
from layerkit.aws.nouns import Candidate
from layerkit.errors import ContentError, MachineError
from publishing import peak_of


class Free:
    """A pace without a limit."""

    def turn(self) -> None:
        pass

    def slow_down(self, after: float = 0) -> None:
        raise AssertionError("nothing is throttled here")


def candidate(path: Path, content: bytes) -> Candidate:
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return Candidate(
        layer="a", name="a", path=path, size=len(content), sha256=digest, runtimes=("python3.12",), architectures=()
    )


def layers(aws: Standin) -> AwsLayers:
    client = boto3.client(
        "lambda", region_name="eu-west-1", endpoint_url=aws.url, aws_access_key_id="testing",
        aws_secret_access_key="testing", config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
    )  # fmt: skip
    return AwsLayers("eu-west-1", Free(), client)


@pytest.mark.parametrize("size", [1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 2])
@pytest.mark.parametrize("most", [1000, 16384, 1 << 20, -1])
def test_the_body_is_the_json_with_the_zip_in_base64(tmp_path: Path, size: int, most: int) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    zip_file = candidate(tmp_path / "a.zip", content)
    made = json.dumps({"Description": 'with "ZipFile": "hash" ☃', "Content": {"ZipFile": "hash"}}).encode()
    whole = json.dumps(
        {"Description": 'with "ZipFile": "hash" ☃', "Content": {"ZipFile": b64encode(content).decode()}}
    )
    with opened(zip_file) as file:
        streamed = Body(file, zip_file, made)
        for _ in range(2):  # for the signature, and to be sent
            found = b""
            while part := streamed.read(most):
                assert most < 0 or len(part) <= most
                found += part
                assert streamed.tell() == len(found)
            assert found == whole.encode()
            assert len(streamed) == len(found)
            streamed.seek(0)
        assert streamed.tell() == 0
        for offset, whence in ((1, 0), (0, 2)):
            with pytest.raises(io.UnsupportedOperation):
                streamed.seek(offset, whence)


@given(st.binary(min_size=1, max_size=300), st.lists(st.integers(1, 50), min_size=1))
def test_any_zip_read_by_any_counts(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, sizes: list[int]
) -> None:
    zip_file = candidate(tmp_path_factory.mktemp("any") / "a.zip", content)
    with opened(zip_file) as file:
        streamed, found = Body(file, zip_file, b'{"Content": {"ZipFile": ""}}'), b""
        while part := streamed.read(sizes[len(found) % len(sizes)]):
            found += part
    assert json.loads(found)["Content"]["ZipFile"] == b64encode(content).decode()


def test_a_zip_that_changed_is_not_sent_whole(tmp_path: Path) -> None:
    zip_file = candidate(tmp_path / "a.zip", b"a" * (2 * BLOCK))
    for content in (b"a" * (2 * BLOCK - 1) + b"b", b"b" + b"a" * (2 * BLOCK - 1), b"a" * BLOCK, b""):
        with opened(zip_file) as file:
            streamed = Body(file, zip_file, b'{"Content": {"ZipFile": ""}}')
            zip_file.path.write_bytes(content)
            found = b""
            with pytest.raises(ContentError, match="has changed since it was verified"):
                while part := streamed.read():
                    found += part
        assert not found.endswith(b"}")
        zip_file.path.write_bytes(b"a" * (2 * BLOCK))


def test_a_zip_that_grew_or_is_gone(tmp_path: Path) -> None:
    zip_file = candidate(tmp_path / "a.zip", b"a")
    zip_file.path.write_bytes(b"ab")
    with pytest.raises(ContentError, match="has changed") as changed, opened(zip_file):
        pass
    assert changed.value.where == str(zip_file.path)
    assert changed.value.cure.endswith("layerkit build")
    zip_file.path.unlink()
    with pytest.raises(MachineError, match="cannot be read"), opened(zip_file):
        pass


# --- through botocore, on real HTTP -------------------------------------------------------------------------------


def a_zip(content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("python/a.bin", content)
    return made.getvalue()


def test_aws_gets_the_zip_byte_by_byte(tmp_path: Path) -> None:
    content = a_zip(bytes(range(251)) * 4000)
    zip_file = candidate(tmp_path / "a.zip", content)
    with serve(rate=0) as aws:
        made = layers(aws).publish(zip_file)
        (call,) = aws.calls()
        assert aws.archive("eu-west-1", "a", 1) == content
    assert (made.code_sha256, made.size, made.runtimes) == (zip_file.code_sha256, len(content), ("python3.12",))
    assert (call.operation, call.status) == ("PublishLayerVersion", 201)
    plain = {"Content": {"ZipFile": b64encode(content).decode()}, "CompatibleRuntimes": ["python3.12"]}
    assert call.size == len(json.dumps(plain))


def test_a_zip_that_changes_before_it_is_signed(tmp_path: Path) -> None:
    content = a_zip(b"a")
    zip_file = candidate(tmp_path / "a.zip", content)
    zip_file.path.write_bytes(content[:-1] + b"!")
    with serve(rate=0) as aws:
        with pytest.raises(ContentError):
            layers(aws).publish(zip_file)
        assert aws.calls() == []


def test_a_zip_that_changes_while_it_is_sent(tmp_path: Path) -> None:
    """botocore wraps whatever is raised while it sends."""
    content = a_zip(b"a" * BLOCK)
    zip_file = candidate(tmp_path / "a.zip", content)
    with serve(rate=0) as aws:
        asked = layers(aws)

        def change(**_: object) -> None:  # after it is signed
            zip_file.path.write_bytes(content[:-1] + b"!")

        asked._client.meta.events.register("before-send.lambda.PublishLayerVersion", change)
        with pytest.raises(ContentError):
            asked.publish(zip_file)
        assert aws.versions("eu-west-1", "a") == []


def test_other_calls_and_other_threads_keep_their_body(tmp_path: Path) -> None:
    content = a_zip(b"a")
    zip_file = candidate(tmp_path / "a.zip", content)
    other = a_zip(b"other")
    with serve(rate=0) as aws:
        asked = layers(aws)
        client = asked._client
        with sending(zip_file):
            thread = threading.Thread(
                target=client.publish_layer_version, kwargs={"LayerName": "b", "Content": {"ZipFile": other}}
            )
            thread.start()
            thread.join()
            client.list_layer_versions(LayerName="b")
        client.publish_layer_version(LayerName="c", Content={"ZipFile": other})
        assert aws.archive("eu-west-1", "b", 1) == aws.archive("eu-west-1", "c", 1) == other


def test_memory_does_not_grow_with_zips_and_regions(tmp_path: Path) -> None:
    """Without a server in this process: botocore signs each body, and it is read once more as if it were sent."""
    size, regions = 8_000_000, 12
    zip_file = candidate(tmp_path / "a.zip", bytes(size))
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name="eu-west-1")
    clients = [session.client("lambda", endpoint_url="http://127.0.0.1:9") for _ in range(regions)]
    read: list[int] = []
    together = threading.Barrier(regions)

    def send(request: object, **_: object) -> object:
        together.wait()
        count = 0
        while part := request.body.read(16384):  # type: ignore[attr-defined]
            count += len(part)
        read.append(count)
        raise MachineError("not sent")

    def publish(client: object) -> None:
        with sending(zip_file) as content, pytest.raises(MachineError):
            client.publish_layer_version(LayerName="a", Content={"ZipFile": content})  # type: ignore[attr-defined]

    for client in clients:
        stream(client)
        client.meta.events.register("before-send.lambda.PublishLayerVersion", send)
    peak = peak_of([partial(publish, client) for client in clients])
    assert len(read) == regions
    assert min(read) > size * 4 / 3
    assert peak < size, f"{peak} bytes for {regions} times {size}"
