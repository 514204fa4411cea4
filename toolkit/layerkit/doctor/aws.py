"""Whose credentials AWS takes, and the regions to publish to."""

from __future__ import annotations

import difflib
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from layerkit.doctor.findings import Finding
from layerkit.doctor.project import FILE


def account(regions: Sequence[str]) -> list[Finding]:
    """Whose credentials AWS takes, and whether it has the regions.  Its words may hold a token, so none is told."""
    import boto3
    from botocore import exceptions
    from botocore.config import Config

    name, method = "AWS credentials", ""
    profile = os.environ.get("AWS_PROFILE", "")
    option = f" --profile {shlex.quote(profile)}" if profile else ""
    cures = {
        "env": "export AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN again",
        "sso": "aws sso login",
    }
    try:
        session = boto3.Session()
    except exceptions.BotoCoreError as error:
        return [Finding(name, "fail", f"{profile or 'default'}: {type(error).__name__}", f"aws configure{option}")]
    where = _regions(session, regions, option)
    region = session.region_name or next(iter(regions), "us-east-1")
    try:
        credentials = session.get_credentials()
        if not credentials:
            return [Finding(name, "fail", "none found", f"aws configure{option}"), where]
        method = str(credentials.method)
        limits = Config(connect_timeout=4, read_timeout=6, retries={"total_max_attempts": 2})
        number = session.client("sts", region_name=region, config=limits).get_caller_identity()["Account"]
        return [Finding(name, "ok", f"account {number}, by {method}{option and f', profile {profile}'}"), where]
    except exceptions.ClientError as error:
        words = f"AWS refuses those of {method} ({error.response['Error']['Code']})"
        cure = cures.get(method, f"aws configure{option}")
    except (exceptions.SSOError, exceptions.TokenRetrievalError) as error:
        words, cure = type(error).__name__, f"{cures['sso']}{option}"
    except exceptions.LoginError as error:
        words, cure = type(error).__name__, f"aws login{option}"
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        words = f"AWS does not answer in {region} ({type(error).__name__})"
        cure = f"check the network and the proxy settings: curl -sSI https://sts.{region}.amazonaws.com"
    except exceptions.BotoCoreError as error:
        words, cure = type(error).__name__, f"aws configure{option}"
    return [Finding(name, "fail", words, cure), where]


def _regions(session: Any, wanted: Sequence[str], option: str) -> Finding:
    name, configured = "AWS regions", session.region_name
    if not wanted and not configured:
        cure = f"aws configure set region us-east-1{option}"
        return Finding(name, "warn", f"none in {FILE} (publish: regions) and none configured", cure)
    parts = session.get_available_partitions()
    known = {region for part in parts for region in session.get_available_regions("lambda", partition_name=part)}
    strange = [region for region in wanted or [configured] if region not in known]
    if strange:
        close = sorted(difflib.get_close_matches(strange[0], sorted(known), n=2))
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        cure = f"{shlex.quote(sys.executable)} -m pip install --upgrade boto3, if AWS has it"
        return Finding(name, "warn", f"{', '.join(strange)}: unknown to botocore{hint}", cure)
    told = f"{', '.join(wanted)} ({FILE})" if wanted else f"{configured} (configured)"
    return Finding(name, "ok", told)
