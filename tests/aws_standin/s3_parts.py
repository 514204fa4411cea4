"""S3's uploads in parts."""

from __future__ import annotations

import base64
import hashlib
import re
import time
import uuid
from html import unescape
from xml.sax.saxutils import escape

from aws_standin.asked import Asked
from aws_standin.checksums import COMPUTED, PREFIX, checksum, decoded
from aws_standin.nouns import Answer, Refused
from aws_standin.refusals import xml
from aws_standin.s3_buckets import add, bucket_of, check_condition, version_header, versioned
from aws_standin.s3_objects import kept_headers, moment
from aws_standin.world import Bucket, Stored, Upload

SMALLEST = 5 * 1024 * 1024  # bytes of a part but the last: Amazon S3 multipart upload limits
NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
GONE = (
    "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
    "completed."
)
LOST = (
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified "
    "entity tag may not match the part's entity tag."
)


def create_upload(asked: Asked) -> Answer:
    bucket, key, request = bucket_of(asked), asked.arguments[1], asked.request
    algorithm = request.header("x-amz-checksum-algorithm").lower()
    kind = request.header("x-amz-checksum-type").upper()
    if kind == "FULL_OBJECT" and algorithm.startswith("sha"):
        words = f"The FULL_OBJECT checksum type cannot be used with the {algorithm} checksum algorithm."
        raise Refused("InvalidRequest", words)
    number = uuid.uuid4().hex
    with asked.world.lock:
        bucket.uploads[number] = Upload(
            key=key, headers=kept_headers(request), algorithm=algorithm, composite=kind != "FULL_OBJECT",
            started=time.time(),
        )  # fmt: skip
    told = {"x-amz-checksum-algorithm": algorithm.upper()} if algorithm else {}
    return xml(
        f"<InitiateMultipartUploadResult {NAMESPACE}><Bucket>{bucket.name}</Bucket><Key>{escape(key)}</Key>"
        f"<UploadId>{number}</UploadId></InitiateMultipartUploadResult>",
        headers=told,
    )


def _upload(asked: Asked, bucket: Bucket) -> Upload:
    found = bucket.uploads.get(asked.query.get("uploadId", ""))
    if not found or found.key != asked.arguments[1]:
        raise Refused("NoSuchUpload", GONE)
    return found


def upload_part(asked: Asked) -> Answer:
    bucket, text = bucket_of(asked), asked.query.get("partNumber", "")
    if not text.isdigit() or not 1 <= int(text) <= 10000:
        raise Refused("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    upload = _upload(asked, bucket)
    data, checksums = decoded(asked.request)
    if upload.algorithm and upload.algorithm not in checksums and checksums:
        given = ", ".join(checksums)
        words = f"expected checksum Type: {upload.algorithm}, actual checksum Type: {given}"
        raise Refused("InvalidRequest", f"Checksum Type mismatch occurred, {words}")
    etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
    part = Stored(version="", blob=asked.world.blob(data), checksums=checksums, etag=etag, modified=time.time())
    with asked.world.lock:
        _upload(asked, bucket).parts[int(text)] = part
    return Answer(headers={"ETag": etag, **{PREFIX + name: value for name, value in checksums.items()}})


def complete_upload(asked: Asked) -> Answer:
    bucket, key = bucket_of(asked), asked.arguments[1]
    with asked.world.lock:
        upload = _upload(asked, bucket)
        parts = _chosen(asked, upload)
    data = b"".join(part.blob.data for part in parts if part.blob)
    if asked.request.header("x-amz-mp-object-size") not in ("", str(len(data))):
        words = "The provided 'x-amz-mp-object-size' header does not match what was computed."
        raise Refused("InvalidRequest", words)
    checksums = _whole(asked, upload, parts, data)
    digest = hashlib.md5(b"".join(bytes.fromhex(part.etag[1:-1]) for part in parts), usedforsecurity=False)
    stored = Stored(
        version="", blob=asked.world.blob(data), headers=upload.headers, checksums=checksums,
        etag=f'"{digest.hexdigest()}-{len(parts)}"',
    )  # fmt: skip
    with asked.world.lock:
        _upload(asked, bucket)
        check_condition(asked, bucket, key)
        del bucket.uploads[asked.query["uploadId"]]
        stored.version = versioned(bucket)
        add(bucket, key, stored)
    told = "".join(f"<Checksum{name.upper()}>{value}</Checksum{name.upper()}>" for name, value in checksums.items())
    return xml(
        f"<CompleteMultipartUploadResult {NAMESPACE}><Bucket>{bucket.name}</Bucket><Key>{escape(key)}</Key>"
        f"<ETag>{escape(stored.etag)}</ETag>{told}</CompleteMultipartUploadResult>",
        headers=version_header(stored),
    )


def _chosen(asked: Asked, upload: Upload) -> list[Stored]:
    """The parts that the request names, checked."""
    texts = re.findall(r"<Part>(.*?)</Part>", asked.request.body.decode(), re.DOTALL)
    wanted = [{name: unescape(value) for name, value in re.findall(r"<(\w+)>([^<]*)</\1>", text)} for text in texts]
    numbers = [int(one.get("PartNumber", 0)) for one in wanted]
    if not numbers:
        raise Refused("MalformedXML", "The XML you provided was not well-formed or did not validate.")
    if numbers != sorted(set(numbers)):
        raise Refused("InvalidPartOrder", "The list of parts was not in ascending order.")
    parts = []
    for number, one in zip(numbers, wanted, strict=True):
        part = upload.parts.get(number)
        if not part or part.etag.strip('"') != one.get("ETag", "").strip('"'):
            raise Refused("InvalidPart", LOST)
        for algorithm, value in part.checksums.items():
            if one.get(f"Checksum{algorithm.upper()}", value) != value:
                raise Refused("InvalidPart", LOST)
        parts.append(part)
    for part in parts[:-1]:
        if part.blob and len(part.blob.data) < SMALLEST:
            raise Refused("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
    return parts


def _whole(asked: Asked, upload: Upload, parts: list[Stored], data: bytes) -> dict[str, str]:
    """The object's checksum: of the parts' checksums, or of all bytes."""
    name = upload.algorithm
    if name not in COMPUTED:
        return {}
    if not upload.composite:
        made = checksum(name, data)
    else:
        each = b"".join(
            base64.b64decode(part.checksums.get(name) or checksum(name, part.blob.data if part.blob else b""))
            for part in parts
        )
        made = f"{checksum(name, each)}-{len(parts)}"
    given = asked.request.header(PREFIX + name)
    if given and given.partition("-")[0] != made.partition("-")[0]:
        raise Refused("BadDigest", f"The {name} you specified did not match the calculated checksum.")
    return {name: made}


def abort_upload(asked: Asked) -> Answer:
    bucket = bucket_of(asked)
    with asked.world.lock:
        _upload(asked, bucket)
        del bucket.uploads[asked.query["uploadId"]]
    return Answer(status=204)


def list_uploads(asked: Asked) -> Answer:
    bucket, prefix = bucket_of(asked), asked.query.get("prefix", "")
    with asked.world.lock:
        found = [
            (one.key, number, one.started) for number, one in bucket.uploads.items() if one.key.startswith(prefix)
        ]
    items = "".join(
        f"<Upload><Key>{escape(key)}</Key><UploadId>{number}</UploadId><Initiated>{moment(started)}</Initiated></Upload>"
        for key, number, started in sorted(found)
    )
    return xml(
        f"<ListMultipartUploadsResult {NAMESPACE}><Bucket>{bucket.name}</Bucket><IsTruncated>false</IsTruncated>"
        f"{items}</ListMultipartUploadsResult>"
    )


def list_parts(asked: Asked) -> Answer:
    bucket = bucket_of(asked)
    with asked.world.lock:
        parts = sorted(_upload(asked, bucket).parts.items())
    items = "".join(
        f"<Part><PartNumber>{number}</PartNumber><LastModified>{moment(part.modified)}</LastModified>"
        f"<ETag>{escape(part.etag)}</ETag><Size>{len(part.blob.data) if part.blob else 0}</Size></Part>"
        for number, part in parts
    )
    return xml(
        f"<ListPartsResult {NAMESPACE}><Bucket>{bucket.name}</Bucket><Key>{escape(asked.arguments[1])}</Key>"
        f"<UploadId>{asked.query['uploadId']}</UploadId><IsTruncated>false</IsTruncated>{items}</ListPartsResult>"
    )
