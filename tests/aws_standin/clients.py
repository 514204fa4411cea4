"""boto3 clients of a stand-in, and small zips to publish."""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import Any

from aws_standin.standin import Standin


def client(
    aws: Standin | str, service: str = "lambda", region: str = "us-east-1", *, key: str = "testing", **config: Any
) -> Any:
    """One of a stand-in, or of a URL, that repeats nothing.

    key: "bad", "expired", or twelve digits for another account.
    """
    import boto3
    from botocore.config import Config

    settings = {"retries": {"total_max_attempts": 1}, "connect_timeout": 5, "read_timeout": 60, **config}
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=aws if isinstance(aws, str) else aws.url,
        aws_access_key_id=key,
        aws_secret_access_key="testing",
        config=Config(**settings),
    )


def zipped(files: dict[str, bytes]) -> bytes:
    """The same bytes for the same files."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return made.getvalue()
