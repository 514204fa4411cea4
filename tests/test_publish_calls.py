"""What botocore raises, and what it means: a table, with cures that are true and words without secrets."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore import exceptions
from botocore.parsers import ResponseParserError
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import NewConnectionError, ProtocolError, ProxyError

from layerkit.aws import calls, failures
from layerkit.aws.calls import LONGEST, failure, plain, told
from layerkit.errors import ContentError

KEY, SECRET, TOKEN = "AKIAEXAMPLEKEY00", "the-secret-access-key", "the-session-token"
REGION = "eu-west-1"

# --- what AWS's refusals mean -------------------------------------------------------------------------------------


def refusal(
    code: str, words: str = "", status: int = 400, operation: str = "PublishLayerVersion", **more: Any
) -> Any:
    answer = {
        "Error": {"Code": code, "Message": words}, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    } | more  # fmt: skip
    return exceptions.ClientError(answer, operation)


NAME_OF = (
    "User: arn:aws:sts::123456789012:assumed-role/ci/me is not authorized to perform: lambda:PublishLayerVersion on"
)
BUSY = "The operation cannot be performed at this time."
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:web"
LAYER = "arn:aws:lambda:eu-west-1:123456789012:layer:flask"
MEANINGS = [
    # each code, its words, its status, what it is, and a word of the cure
    ("TooManyRequestsException", "Rate exceeded", 429, "Throttled", "run it again"),
    ("ThrottlingException", "Rate exceeded", 400, "Throttled", ""),
    ("Throttling", "Rate exceeded", 400, "Throttled", ""),
    ("RequestLimitExceeded", "", 503, "Throttled", ""),
    ("SlowDown", "Please reduce your request rate.", 503, "Throttled", ""),
    ("Strange", "", 429, "Throttled", ""),
    ("ServiceException", "", 500, "Unanswered", ""),
    ("InternalFailure", "", 500, "Unanswered", ""),
    ("503", "", 503, "Unanswered", ""),
    ("AccessDenied", "", 500, "Unanswered", ""),
    ("RequestTimeout", "Your socket connection to the server was not read", 400, "Unanswered", ""),
    ("NoSuchUpload", "", 404, "Unanswered", ""),
    ("UnrecognizedClientException", "The security token included in the request is invalid.", 403, "NotEnabled",
     "aws account enable-region --region-name eu-west-1"),
    ("OptInRequired", "", 403, "NotEnabled", "enable-region"),
    ("SubscriptionRequiredException", "", 400, "NotEnabled", "enable-region"),
    ("InvalidClientTokenId", "", 403, "CredentialsRefused", "aws sso login"),
    ("ExpiredToken", "", 400, "CredentialsRefused", "same command again"),
    ("ExpiredTokenException", "The security token included in the request is expired", 403, "CredentialsRefused", ""),
    ("RequestExpired", "", 400, "CredentialsRefused", ""),
    ("TokenRefreshRequired", "", 400, "CredentialsRefused", ""),
    ("AccessDeniedException", f"{NAME_OF} resource: x", 403, "Denied", "allow lambda:PublishLayerVersion to these"),
    ("AccessDenied", "Access Denied", 403, "Denied", "allow lambda:PublishLayerVersion"),
    ("AccessDeniedException", f"{NAME_OF} resource: x with an explicit deny in a service control policy", 403,
     "Denied", "explicit deny"),
    ("AccessDeniedException", "Your access has been denied by S3, please make sure your request credentials have "
     "permission to GetObjectVersion for b/k. S3 Error Code: AccessDenied.", 403, "Denied",
     "allow s3:GetObjectVersion"),
    ("InvalidParameterValueException", "CompatibleArchitectures are not supported in eu-west-1. Please remove the "
     "CompatibleArchitectures value from your request and try again", 400, "TagsUnsupported",
     "without architecture tags"),
    ("CodeStorageExceededException", "Code storage limit exceeded.", 400, "Rejected", "delete unused versions"),
    ("RequestEntityTooLargeException", "Request must be smaller than 70167211 bytes", 413, "Rejected", "--bucket"),
    ("PolicyLengthExceededException", "", 400, "Rejected", "organization"),
    ("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than …", 403, "Rejected",
     "if the upload took minutes, use a bucket"),
    ("InvalidSignatureException", "Signature not yet current: …", 403, "Rejected", "clock"),
    ("SignatureDoesNotMatch", "The request signature we calculated …", 403, "Rejected", "secret access key"),
    ("InvalidParameterValueException", "Unzipped size must be smaller than 262144000 bytes", 400, "Rejected",
     "make the layer smaller"),
    ("InvalidParameterValueException", "Could not unzip uploaded file. Please check your file, then try to upload "
     "again.", 400, "Rejected", "layerkit verify"),
    ("InvalidParameterValueException", "Error occurred while GetObject. S3 Error Code: PermanentRedirect. S3 Error "
     "Message: The bucket is in this region: us-east-1.", 400, "Rejected", "use a bucket in eu-west-1"),
    ("InvalidParameterValueException", "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 …", 400,
     "Rejected", "make the bucket"),
    ("InvalidParameterValueException", "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 …", 400,
     "Rejected", "uploads the zip again"),
    ("ValidationException", "1 validation error detected: Value '[python9]' at 'compatibleRuntimes' failed", 400,
     "Rejected", "runtimes"),
    ("PermanentRedirect", "", 301, "Rejected", "with {region} in the bucket's name"),
    ("NoSuchBucket", "The specified bucket does not exist", 404, "Rejected", "make the bucket, in eu-west-1"),
    ("PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the "
     "GetFunction/GetAlias API to retrieve the latest Revision Id", 412, "Stale", "run the same command again"),
    ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412, "Rejected", ""),
    ("ResourceConflictException", f"{BUSY} An update is in progress for resource: {FUNCTION}", 409, "Busy",
     "function-updated-v2"),
    ("ResourceConflictException", f"{BUSY} The function is currently in the following state: Pending", 409, "Busy",
     "function-active-v2"),
    ("ResourceConflictException", f"{BUSY} The resource {FUNCTION} is currently in the following state: 'Pending'. "
     "StateReasonCode: 'Creating'", 409, "Busy", "function-active-v2"),
    ("ResourceConflictException", "The function could not be updated due to a concurrent update operation.", 409,
     "Busy", "function-updated-v2"),
    ("ResourceConflictException", f"{BUSY} The function is currently in the following state: Failed", 409,
     "Rejected", ""),
    ("ResourceConflictException", "The statement id (s1) provided already exists. Please provide a new statement "
     "id, or remove the existing statement.", 409, "Rejected", ""),
    ("ResourceConflictException", "Function already exist: web", 409, "Rejected", ""),
    ("InvalidParameterValueException", "An update is in progress", 400, "Rejected", ""),
    ("ResourceNotFoundException", f"Function not found: {FUNCTION}", 404, "Rejected",
     "aws lambda list-functions --region eu-west-1"),
    ("InvalidParameterValueException", f"Layer version {LAYER}:3 does not exist.", 400, "Rejected",
     f"name another version of {LAYER}, even where"),
    ("ResourceNotFoundException", f"Layer version {LAYER}:3 does not exist.", 404, "Rejected", ""),
    ("InvalidParameterValueException", "Cannot reference more than 5 layers.", 400, "Rejected", "5 is the most"),
    ("InvalidParameterValueException", "Layers consume more than the available size of 262144000 bytes", 400,
     "Rejected", "250 MiB is the most, all unzipped"),
    ("InvalidParameterValueException", "Function code combined with layers exceeds the maximum allowed size of "
     "262144000 bytes. The actual size is 269312453 bytes.", 400, "Rejected", "250 MiB is the most, all unzipped"),
    ("InvalidParameterValueException", "Two different versions of the same layer are not allowed to be referenced "
     f"in the same function. {LAYER}:1 and {LAYER}:2 are versions of the same layer.", 400, "Rejected",
     "one version of each layer"),
    ("InvalidParameterValueException", "Layers are not in the same region as the function. Layers are expected to be "
     "in region eu-west-1.", 400, "Rejected", "name the layers' versions in eu-west-1"),
    ("InvalidParameterValueException", "The runtime parameter of python3.7 is no longer supported for creating or "
     "updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions.",
     400, "Rejected", "a runtime that AWS supports"),
    ("SomethingNew", "words", 400, "Rejected", ""),
]  # fmt: skip


@pytest.mark.parametrize(("code", "words", "status", "kind", "cure"), MEANINGS)
def test_what_a_refusal_means(code: str, words: str, status: int, kind: str, cure: str) -> None:
    found = failure(refusal(code, words, status), "PublishLayerVersion", REGION)
    assert isinstance(found, failures.CallFailed)
    assert type(found).__name__ == kind
    assert isinstance(found, getattr(failures, kind))
    assert (found.operation, found.region, found.code) == ("PublishLayerVersion", REGION, code)
    assert found.words == " ".join(words.split())
    assert cure in found.cure
    if kind == "Rejected" and not cure:
        assert found.cure == ""


def test_a_clock_is_told_alone_where_nothing_was_uploaded() -> None:
    words = "Signature expired: 20260101T000000Z is now earlier than …"
    found = failure(refusal("InvalidSignatureException", words, 403), "ListLayerVersions", REGION)
    assert isinstance(found, failures.Rejected)
    assert found.cure == "set this machine's clock"


@pytest.mark.parametrize(
    ("headers", "more", "after"),
    [
        ({"retry-after": "7"}, {}, 7.0),
        ({}, {"retryAfterSeconds": "2.5"}, 2.5),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:00 GMT"}, {"retryAfterSeconds": "3"}, 3.0),
        ({"retry-after": "-1"}, {}, 0),
        ({"retry-after": "nan"}, {}, 0),
        ({}, {}, 0),
    ],
)
def test_how_long_a_throttle_asks_to_wait(headers: dict[str, str], more: dict[str, str], after: float) -> None:
    error = refusal("TooManyRequestsException", status=429, **more)
    error.response["ResponseMetadata"]["HTTPHeaders"] = headers
    found = failure(error, "GetLayerVersion", REGION)
    assert isinstance(found, failures.Throttled)
    assert found.after == after


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("ListLayerVersions", "lambda:ListLayerVersions"),
        ("UploadPart", "s3:PutObject"),
        ("HeadObject", "s3:GetObject"),
        ("DeleteObject", "s3:DeleteObject and s3:DeleteObjectVersion"),
        ("PutParameter", "ssm:PutParameter"),
        ("DescribeRegions", "ec2:DescribeRegions"),
        ("GetParametersByPath", "ssm:GetParametersByPath"),
        ("DeleteParameter", "ssm:DeleteParameter"),
        ("ListFunctions", "lambda:ListFunctions"),
        ("UpdateFunctionConfiguration", "lambda:UpdateFunctionConfiguration"),
    ],
)
def test_the_permission_that_is_missing(operation: str, action: str) -> None:
    found = failure(refusal("AccessDenied", "Access Denied", 403, operation), operation, REGION)
    assert isinstance(found, failures.Denied)
    assert found.cure.startswith(f"allow {action} to these credentials")
    assert ("same account" in found.cure) == action.startswith("s3:")


USER = "User: arn:aws:iam::123456789012:user/me is not authorized to perform: lambda:GetLayerVersion on resource:"
FOREIGN = "arn:aws:lambda:eu-west-1:210987654321:layer:tracing:3"
UNSHARED = f"account 210987654321 has to share {FOREIGN} with"
PUBLISH = "account 123456789012 (layerkit publish --share 123456789012), if it is there at all"
OWN = "allow lambda:GetLayerVersion to these credentials"
BECAUSE = "policy allows the lambda:GetLayerVersion action"


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (f"{USER} {FOREIGN} because no resource-based {BECAUSE}", f"{UNSHARED} {PUBLISH}"),
        (f"{USER} {FOREIGN}", f"{UNSHARED} {PUBLISH}"),
        (
            f"User is not authorized to perform: lambda:GetLayerVersion on resource: {FOREIGN} because no "
            f"resource-based {BECAUSE}",
            f"{UNSHARED} this account, if it is there at all",
        ),
        (f"{USER} {FOREIGN} because no identity-based {BECAUSE}", OWN),
        (f"{USER} {LAYER}:3 because no identity-based {BECAUSE}", OWN),
        (f"{USER} {LAYER}:3", OWN),
    ],
)
def test_a_layer_that_a_function_may_not_have(words: str, cure: str) -> None:
    error = refusal("AccessDeniedException", words, 403, "UpdateFunctionConfiguration")
    found = failure(error, "UpdateFunctionConfiguration", REGION)
    assert isinstance(found, failures.Denied)
    assert found.cure == cure


def test_credentials_that_botocore_could_not_get_in_the_middle_of_a_call() -> None:
    """An assumed role that is refused is not Lambda's refusal."""
    found = failure(refusal("AccessDenied", "no", 403, "AssumeRole"), "PublishLayerVersion", REGION)
    assert isinstance(found, failures.CredentialsRefused)
    assert found.words == "AssumeRole: no"
    assert isinstance(failure(refusal("Throttling", "", 400, "AssumeRole"), "x", REGION), failures.Throttled)


# --- what goes wrong on the way -----------------------------------------------------------------------------------

URL = "https://user:the-password@lambda.eu-west-1.amazonaws.com/"
NEVER = {"endpoint_url": URL, "error": "x"}
CUT = "EOF occurred in violation of protocol (_ssl.c:1007)"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.ConnectionClosedError(**NEVER), "Unanswered"),
        (exceptions.ReadTimeoutError(**NEVER), "Unanswered"),
        (exceptions.HTTPClientError(error="x"), "Unanswered"),
        (exceptions.ResponseStreamingError(error="x"), "Unanswered"),
        (exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), "Unanswered"),
        (ResponseParserError("not XML"), "Unanswered"),
        (ProtocolError("cut"), "Unanswered"),
        (ConnectionResetError("reset"), "Unanswered"),
        (exceptions.SSLError(endpoint_url=URL, error=CUT), "Unanswered"),
        (exceptions.SSLError(endpoint_url=URL, error="[SSL: CERTIFICATE_VERIFY_FAILED] certificate ve"), "Rejected"),
        (exceptions.SSLError(endpoint_url=URL, error="hostname 'a' doesn't match 'b'"), "Rejected"),
        (exceptions.SSLError(endpoint_url=URL, error="[Errno 2] No such file or directory"), "Rejected"),
        (exceptions.ConnectTimeoutError(**NEVER), "Unreachable"),
        (exceptions.EndpointConnectionError(**NEVER), "Unreachable"),
        (
            exceptions.ProxyConnectionError(
                proxy_url="http://proxy", error=ProxyError("x", NewConnectionError(None, "refused"))  # type: ignore[arg-type]
            ),
            "Unreachable",
        ),
        (
            exceptions.ProxyConnectionError(proxy_url="http://proxy", error=ProxyError("x", ConnectionResetError())),
            "Unanswered",
        ),
        (exceptions.NoCredentialsError(), "CredentialsRefused"),
        (exceptions.CredentialRetrievalError(provider="custom-process", error_msg=SECRET), "CredentialsRefused"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg=TOKEN), "CredentialsRefused"),
        (exceptions.UnauthorizedSSOTokenError(), "CredentialsRefused"),
        (exceptions.SSOTokenLoadError(error_msg="x"), "CredentialsRefused"),
        (exceptions.LoginRefreshRequired(), "CredentialsRefused"),
        (exceptions.ParamValidationError(report='Unknown parameter in input: "X"'), "Rejected"),
        (exceptions.UnknownServiceError(service_name="x", known_service_names="y"), "Rejected"),
        (exceptions.NoRegionError(), "Rejected"),
    ],
)  # fmt: skip
def test_what_botocore_raises(error: Exception, kind: str) -> None:
    with pytest.raises(failures.CallFailed) as raised, told("PublishLayerVersion", REGION):
        raise error
    assert type(raised.value).__name__ == kind
    assert raised.value.code == type(error).__name__
    assert raised.value.__suppress_context__
    told_of = f"{raised.value} {raised.value.cure}"
    assert not [secret for secret in (SECRET, TOKEN, "the-password") if secret in told_of]
    assert bool(raised.value.cure) == (kind != "Unanswered")


def test_defects_are_not_hidden() -> None:
    for defect in (TypeError("x"), KeyError("x"), FileNotFoundError("x")):
        with pytest.raises(type(defect)), told("PublishLayerVersion", REGION):
            raise defect


def test_a_failure_of_ours_is_taken_out_of_its_wrapping() -> None:
    with pytest.raises(ContentError, match="changed"), told("PublishLayerVersion", REGION):
        raise exceptions.HTTPClientError(error=ContentError("changed"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "The request signature we calculated does not match. The Canonical String for this request should have "
            f"been\n'POST\n/\nx-amz-security-token:{TOKEN}\n'\n\nThe String-to-Sign should have been\n'AWS4…'",
            "The request signature we calculated does not match.",
        ),
        (f"'abc' not a valid key=value pair in Authorization header: 'AWS4-HMAC-SHA256 Credential={KEY}/x'", None),
        (f"Missing. Authorization=AWS4-HMAC-SHA256 Credential={KEY}, Signature=0123", "Missing."),
        (f"GET https://b/k?X-Amz-Security-Token={TOKEN}&X-Amz-Signature=0123&a=1", None),
        (f"Could not connect to {URL}x", "Could not connect to https://lambda.eu-west-1.amazonaws.com/x"),
        (f"You are not allowed. Encoded authorization failure message: {'x' * 900}", "You are not allowed."),
        ("two\nlines\x1b[31m\tand  more", "two lines [31m and more"),
        ("long words " * 100, None),
    ],
)
def test_words_without_secrets(words: str, expected: str | None) -> None:
    found = plain(words)
    assert expected is None or found == expected
    assert not [secret for secret in (KEY, TOKEN, "the-password", "0123") if secret in found]
    assert len(found) <= LONGEST


@given(st.text(), st.text("abcXYZ019/+=", min_size=160, max_size=900), st.text())
def test_a_session_token_is_never_told(before: str, token: str, after: str) -> None:
    assert token not in plain(before + token + after)


@given(st.text(max_size=3000))
def test_words_are_one_line_and_the_same_when_cut_again(words: str) -> None:
    found = plain(words)
    assert len(found) <= LONGEST
    assert not re.search(r"[\x00-\x1f\x7f]", found)
    assert len(found.splitlines()) <= 1


def test_every_kind_of_failure_can_become_of_a_call() -> None:
    kinds = {kind for kind in vars(failures).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    made = {*calls.KINDS, *calls.WORDED, *calls.BOTOCORES, failures.Rejected}
    assert made == kinds - {failures.CallFailed}
