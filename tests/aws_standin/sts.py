"""STS: who calls, and credentials of a role for a token of somebody else's (OpenID Connect)."""

from __future__ import annotations

import base64
import json
import re
import secrets
import time

from aws_standin.asked import Asked, Operation, failed
from aws_standin.iam import Context, Role, Session, holds, like, several, texts
from aws_standin.nouns import Answer, Json, Refused, Request
from aws_standin.others import action, form
from aws_standin.refusals import query, xml

NAMESPACE = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
DENIED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
GITHUB = "token.actions.githubusercontent.com"
GITHUB_CLAIMS = (
    "actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref", "ref", "repository", "repository_id",
    "workflow",
)  # fmt: skip
LONGEST_TOKEN = 20_000  # characters: the model


def sts(request: Request) -> Operation:
    name = action(request)
    works = {"GetCallerIdentity": _get_caller_identity, "AssumeRoleWithWebIdentity": _assume}
    return Operation(name=name, resource=_field(request, "RoleArn"), work=works.get(name, _unknown))


def _field(request: Request, name: str) -> str:
    return form(request).get(name, [""])[0]


def _unknown(asked: Asked) -> Answer:
    raise Refused("InvalidAction", f"Could not find operation {action(asked.request)} for version 2011-06-15")


def _get_caller_identity(asked: Asked) -> Answer:
    caller = asked.caller
    session = caller.session.name if caller.session else "ci"
    return xml(
        f"<GetCallerIdentityResponse {NAMESPACE}><GetCallerIdentityResult>"
        f"<Arn>{caller.identity}</Arn><UserId>AROA:{session}</UserId><Account>{caller.account}</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )


def _assume(asked: Asked) -> Answer:
    """STS API reference, AssumeRoleWithWebIdentity; the signature of the token is not looked at."""
    arn, name = _field(asked.request, "RoleArn"), _field(asked.request, "RoleSessionName")
    seconds = _seconds(asked.request)
    _check(arn, name)
    claims = _claims(_field(asked.request, "WebIdentityToken"))
    provider = str(claims.get("iss", "")).removeprefix("https://")
    now = time.time()
    if float(claims.get("exp", now + 1)) <= now:
        words = f"Token expired: current date/time {now:.0f} must be before the expiration date/time {claims['exp']}"
        return query("sts", "ExpiredTokenException", words, Refused("ExpiredTokenException", words, 400))
    role, account = asked.world.roles.get(arn), arn.split(":")[4]
    federated = f"arn:{arn.split(':')[1]}:iam::{account}:oidc-provider/{provider}"
    if not any(federated in _federated(one.trust) for one in asked.world.roles.values() if one.account == account):
        # configure-aws-credentials#280, #721
        words = f"No OpenIDConnect provider found in your account for {claims.get('iss')}"
        raise Refused("InvalidIdentityToken", words)
    if not role or not trusts(role, federated, provider, claims):
        raise Refused("AccessDenied", DENIED)
    if seconds > role.longest:
        words = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise Refused("ValidationError", words)
    return _credentials(asked, role, name, now + seconds, str(claims.get("sub", "")), federated)


def _seconds(request: Request) -> int:
    text = _field(request, "DurationSeconds") or "3600"
    seconds = int(text) if re.fullmatch(r"\d{1,6}", text) else 0
    if not 900 <= seconds <= 43_200:
        bound = "greater than or equal to 900" if seconds < 900 else "less than or equal to 43200"
        raise _wrong(failed(text, "durationSeconds", f"have value {bound}"))
    return seconds


def _check(arn: str, name: str) -> None:
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/.+", arn):
        raise Refused("ValidationError", f"{arn} is invalid")
    if not re.fullmatch(r"[\w+=,.@-]{2,64}", name):
        raise _wrong(failed(name, "roleSessionName", r"satisfy regular expression pattern: [\w+=,.@-]*"))


def _wrong(failure: str) -> Refused:
    return Refused("ValidationError", f"1 validation error detected: {failure}")


def _claims(token: str) -> Json:
    try:
        _, middle, _ = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except ValueError:
        claims = None
    if not isinstance(claims, dict) or len(token) > LONGEST_TOKEN:
        words = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
        raise Refused("InvalidIdentityToken", words)
    return claims


def _federated(trust: Json) -> list[str]:
    """The providers that a trust policy names."""
    principals = [statement.get("Principal") for statement in several(trust.get("Statement"))]
    return [arn for one in principals if isinstance(one, dict) for arn in texts(one.get("Federated"))]


def trusts(role: Role, federated: str, provider: str, claims: Json) -> bool:
    """Whether a role's trust policy lets a token in: a statement allows it, and none denies it.

    AWS knows only these claims of a provider's (IAM user guide, "Available keys for AWS OIDC federation"), and of
    GitHub's some more since 2026-01 (AWS, "What's new": "STS now supports validation of select identity provider
    specific claims"; the keys are those of aws-actions/configure-aws-credentials' README).
    """
    claimed = GITHUB_CLAIMS if provider == GITHUB and federated.startswith("arn:aws:") else ()
    context: Context = {
        f"{provider}:aud": tuple(texts(claims.get("azp") or claims.get("aud"))),
        f"{provider}:oaud": tuple(texts(claims.get("aud"))) if "azp" in claims else (),
        f"{provider}:sub": tuple(texts(claims.get("sub"))), f"{provider}:amr": tuple(texts(claims.get("amr"))),
        **{f"{provider}:{name}": tuple(texts(claims.get(name))) for name in claimed},
    }  # fmt: skip
    effects = {
        statement["Effect"]
        for statement in several(role.trust.get("Statement"))
        if federated in _federated({"Statement": statement})
        and any(like(one.lower(), "sts:assumerolewithwebidentity") for one in texts(statement.get("Action")))
        and holds(statement, context)
    }
    return effects == {"Allow"}


def _credentials(asked: Asked, role: Role, name: str, until: float, subject: str, federated: str) -> Answer:
    key = "ASIA" + "".join(secrets.choice(ALPHABET) for _ in range(16))
    token = secrets.token_urlsafe(48)
    with asked.world.lock:
        asked.world.sessions[key] = Session(role=role, name=name, token=token, until=until)
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
    return xml(
        f"<AssumeRoleWithWebIdentityResponse {NAMESPACE}><AssumeRoleWithWebIdentityResult>"
        f"<SubjectFromWebIdentityToken>{subject}</SubjectFromWebIdentityToken><Provider>{federated}</Provider>"
        f"<AssumedRoleUser><AssumedRoleId>AROA:{name}</AssumedRoleId><Arn>{role.session_arn(name)}</Arn>"
        f"</AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secrets.token_urlsafe(30)}"
        f"</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{expires}</Expiration></Credentials>"
        "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )
