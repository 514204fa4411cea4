"""How each service words a refusal: its HTTP status, headers and document."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from xml.sax.saxutils import escape

from aws_standin.nouns import Answer, Refused

# botocore 1.44.5, lambda/2015-03-31; ThrottlingException and the common errors: as recorded
STATUS = {
    "AccessDeniedException": 403, "ExpiredTokenException": 403, "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403, "PreconditionFailedException": 412,
    "RequestEntityTooLargeException": 413, "ResourceConflictException": 409, "ResourceNotFoundException": 404,
    "ServiceException": 500, "InternalFailure": 500, "InternalServerError": 500, "InternalServerException": 500,
    "ServiceUnavailable": 503, "ServiceUnavailableException": 503, "SlowDown": 503, "TooManyRequestsException": 429,
    "UnrecognizedClientException": 403, "ServiceQuotaExceededException": 402,
}  # fmt: skip
# Amazon S3 API reference, "Error responses"
S3_STATUS = {
    "AccessDenied": 403, "BucketAlreadyExists": 409, "BucketAlreadyOwnedByYou": 409, "BucketNotEmpty": 409,
    "InternalError": 500, "InvalidAccessKeyId": 403, "InvalidRange": 416, "MethodNotAllowed": 405,
    "NoSuchBucket": 404, "NoSuchKey": 404, "NoSuchUpload": 404, "NoSuchVersion": 404, "NotImplemented": 501,
    "PermanentRedirect": 301, "PreconditionFailed": 412, "ServiceUnavailable": 503, "SlowDown": 503,
}  # fmt: skip
QUERY_STATUS = {
    "AccessDenied": 403, "AuthFailure": 401, "ExpiredToken": 403, "InvalidClientTokenId": 403,
    "MissingAuthenticationToken": 403, "InternalFailure": 500, "InternalError": 500, "ServiceUnavailable": 503,
    "Unavailable": 503, "UnauthorizedOperation": 403,
}  # fmt: skip
MESSAGES = {
    "AccessDenied": "Access Denied",
    "CodeStorageExceededException": "Code storage limit exceeded.",
    "ExpiredToken": "The provided token has expired.",
    "ExpiredTokenException": "The security token included in the request is expired",
    "InternalError": "We encountered an internal error. Please try again.",
    "InvalidSignatureException": "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z "
    "(20260101T001000Z - 5 min.)",  # instana/nodejs#1275
    "ServiceException": "An error occurred and the request cannot be processed.",
    "SlowDown": "Please reduce your request rate.",
    "ThrottlingException": "Rate exceeded",
    "TooManyRequestsException": "Rate exceeded",
    "UnrecognizedClientException": "The security token included in the request is invalid.",
}
# the same refusal has another name in other services (their public references, "Common errors")
NAMES = {
    ("s3", "ExpiredTokenException"): "ExpiredToken", ("s3", "UnrecognizedClientException"): "InvalidAccessKeyId",
    ("s3", "AccessDeniedException"): "AccessDenied", ("s3", "MissingAuthenticationTokenException"): "AccessDenied",
    ("s3", "ServiceException"): "InternalError", ("s3", "ThrottlingException"): "SlowDown",
    ("s3", "TooManyRequestsException"): "SlowDown",
    ("sts", "ExpiredTokenException"): "ExpiredToken", ("sts", "UnrecognizedClientException"): "InvalidClientTokenId",
    ("sts", "MissingAuthenticationTokenException"): "MissingAuthenticationToken",
    ("sts", "AccessDeniedException"): "AccessDenied", ("sts", "ThrottlingException"): "Throttling",
    ("sts", "ServiceException"): "InternalFailure",
    ("ec2", "ExpiredTokenException"): "RequestExpired", ("ec2", "UnrecognizedClientException"): "AuthFailure",
    ("ec2", "MissingAuthenticationTokenException"): "AuthFailure", ("ec2", "ServiceException"): "InternalError",
    ("ec2", "AccessDeniedException"): "UnauthorizedOperation", ("ec2", "ThrottlingException"): "RequestLimitExceeded",
    ("ssm", "ServiceException"): "InternalServerError", ("ssm", "TooManyRequestsException"): "ThrottlingException",
}  # fmt: skip


def render(service: str, refused: Refused) -> Answer:
    """The answer in the service's own shape."""
    code = NAMES.get((service, refused.code), refused.code)
    message = refused.message or MESSAGES.get(code, code)
    if service == "s3":
        return _s3(code, message, refused)
    if service in ("sts", "ec2"):
        return query(service, code, message, refused)
    if service == "ssm":  # JSON 1.1: every refusal of the client's is a 400
        status = refused.status or (500 if code.startswith("Internal") else 400)
        return _json(status, {"__type": code, "message": message})
    return _rest(code, message, refused)


def _rest(code: str, message: str, refused: Refused) -> Answer:
    """Lambda writes `Message` in some documents, and a `Type` in most: the model's error shapes, and as recorded."""
    status = refused.status or STATUS.get(code, 400)
    document = {"Message" if code in ("ResourceNotFoundException", "ServiceException") else "message": message}
    if code not in ("ValidationException", "AccessDeniedException", "ThrottlingException"):
        document["Type"] = "Service" if status >= 500 else "User"
    headers = {"x-amzn-ErrorType": code}
    if code == "TooManyRequestsException":
        document["Reason"] = "CallerRateLimitExceeded"
        headers["Retry-After"] = "1"
    return _json(status, document, headers)


def _json(status: int, document: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
    typed = {"Content-Type": "application/json", **(headers or {})}
    return Answer(status=status, body=json.dumps(document).encode(), headers=typed)


def _s3(code: str, message: str, refused: Refused) -> Answer:
    status = refused.status or S3_STATUS.get(code, 400)
    extra = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in refused.extra.items() if name[0].isupper())
    headers = {name.replace("_", "-"): value for name, value in refused.extra.items() if not name[0].isupper()}
    body = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{extra}</Error>"
    return xml(body, status, headers)


def query(service: str, code: str, message: str, refused: Refused) -> Answer:
    status = refused.status or QUERY_STATUS.get(code, 400)
    error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if service == "ec2":
        return xml(
            f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{uuid.uuid4()}</RequestID></Response>",
            status,
        )
    return xml(
        f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>{error}</Error>'
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>",
        status,
    )


def xml(document: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{document}'.encode()
    return Answer(status=status, body=body, headers={"Content-Type": "application/xml", **(headers or {})})
