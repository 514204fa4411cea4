"""Who may be the role: the trust policy for jobs of GitHub or GitLab, which show their OIDC tokens, and no keys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from layerkit.errors import ConfigError
from layerkit.granting.policy import ANY, VERSION
from layerkit.granting.request import check_account

GITHUB, GITLAB = "token.actions.githubusercontent.com", "gitlab.com"
AUDIENCE, AUDIENCES = "sts.amazonaws.com", {"aws-cn": "sts.amazonaws.com.cn"}  # README of configure-aws-credentials
TAGS = "v*"  # no tag has a `:` (git-check-ref-format), so what * stands for is a part of the tag alone
# GitHub Docs: names are letters, digits and hyphens, with _ before an enterprise's short code; "@" is in none
OWNER = r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}"
REPOSITORY = r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}"
IDENTIFIER = r"[1-9][0-9]{0,18}"
ENVIRONMENT = r"(?! )[^*?$\x00-\x1f\x7f-\U0010ffff]{1,255}(?<! )"  # in IAM * and ? are wildcards, ${…} a variable
PROJECT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)+"  # GitLab Docs, "Reserved project names"
ISSUER = r"(?!-)[a-z0-9-]+(?:\.[a-z0-9-]+)+(?:/[A-Za-z0-9._~-]+)*"
RECIPIENT = r"[^*?$\s\x00-\x1f\x7f-\U0010ffff]{1,255}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRequest:
    """Whose jobs are trusted."""

    provider: str  # "github" or "gitlab"
    account: str
    repository: str  # OWNER/NAME, or GROUP/PROJECT with subgroups
    partition: str = "aws"
    environments: tuple[str, ...] = ()  # GitHub's
    owner_id: str = ""
    repository_id: str = ""
    issuer: str = ""  # host of the provider, with its path if it has one; empty: the public one
    audience: str = ""  # empty: AWS's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """A trust policy, and what to say of it."""

    document: dict[str, Any]
    warning: str = ""


def trust(request: TrustRequest) -> Trust:
    """Raises ConfigError for names that cannot be the provider's, so that none can hold a wildcard."""
    check_account(request.account)
    return _gitlab(request) if request.provider == "gitlab" else _github(request)


def _github(request: TrustRequest) -> Trust:
    """Both forms of `sub`: a repository that is renamed, or opts in, changes from one to the other.

    STS looks at some of GitHub's other claims since 2026-01 ("AWS STS now supports validation of select identity
    provider specific claims"), in the partition `aws`.  They hold where `sub` does not: its old form names whoever
    has the name now, and in the new one, * is met not by an id alone but by any text, which another repository of
    the owner can put into a `sub` that it has customised (`repo:OWNER@1/OTHER@2:ref:refs/heads/x/NAME@y:…`).
    """
    issuer = _issuer(request, GITHUB)
    _check_github(request)
    claims = issuer == GITHUB and request.partition == "aws"
    equal: dict[str, Any] = {f"{issuer}:aud": _audience(request)}
    sub = {f"{issuer}:sub": _subjects(request)}
    if request.owner_id:
        if claims:
            equal[f"{issuer}:repository_id"] = request.repository_id
        return Trust(document=_document(request, issuer, "GitHubActions", {"StringEquals": equal | sub}))
    if not claims:
        raise ConfigError(
            "the ids are needed here: another repository of the owner could meet a wildcard in their place",
            where="--owner-id, --repository-id",
            why="AWS looks at the claims that exclude it for github.com alone, and in the partition aws alone",
            cure=_tell(request.repository),
        )
    environments = list(dict.fromkeys(request.environments))
    equal |= {f"{issuer}:environment": environments, f"{issuer}:repository": request.repository}
    document = _document(request, issuer, "GitHubActions", {"StringEquals": equal, "StringLike": sub})
    words = f"without ids the role is open to whoever gets the name {request.repository} after a deletion or rename"
    return Trust(document=document, warning=f"{words}; {_tell(request.repository)}")


def _subjects(request: TrustRequest) -> list[str]:
    """The values of `sub`, old form and new.

    Source: GitHub Docs, "OpenID Connect reference": repo:OWNER/NAME:environment:ENVIRONMENT, and in repositories that
    were made, renamed or moved since 2026-07-15 repo:OWNER@ID/NAME@ID:environment:ENVIRONMENT; a `:` in a value
    becomes %3A.
    """
    owner, name = request.repository.split("/")
    named = f"{owner}@{request.owner_id or ANY}/{name}@{request.repository_id or ANY}"
    places = [one.replace(":", "%3A") for one in dict.fromkeys(request.environments)]
    return [f"repo:{repository}:environment:{one}" for repository in (f"{owner}/{name}", named) for one in places]


def _check_github(request: TrustRequest) -> None:
    _match(request.repository, f"{OWNER}/{REPOSITORY}", "--repository", "OWNER/NAME, as octo-org/layers")
    if not request.environments:
        cure = "name the environment of the job that publishes: --environment NAME"
        raise ConfigError("any job of the repository could publish", where="--environment", cure=cure)
    for one in request.environments:
        _match(one, ENVIRONMENT, "--environment", "at most 255 printable ASCII characters, without *, ? and $")
    if request.owner_id or request.repository_id:
        _match(request.owner_id, IDENTIFIER, "--owner-id", "a number", _tell(request.repository))
        _match(request.repository_id, IDENTIFIER, "--repository-id", "a number", _tell(request.repository))


def _gitlab(request: TrustRequest) -> Trust:
    """The default `sub` of a tag.  Source: GitLab Docs, "OpenID Connect (OIDC) Authentication Using ID Tokens"."""
    issuer = _issuer(request, GITLAB)
    _match(request.repository, PROJECT, "--repository", "GROUP/PROJECT, as octo/layers")
    condition = {
        "StringEquals": {f"{issuer}:aud": _audience(request)},
        "StringLike": {f"{issuer}:sub": f"project_path:{request.repository}:ref_type:tag:ref:{TAGS}"},
    }
    return Trust(document=_document(request, issuer, "GitLabTags", condition))


def _document(request: TrustRequest, issuer: str, sid: str, condition: dict[str, Any]) -> dict[str, Any]:
    provider = f"arn:{request.partition}:iam::{request.account}:oidc-provider/{issuer}"
    statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }
    return {"Version": VERSION, "Statement": [statement]}


def _issuer(request: TrustRequest, public: str) -> str:
    return _match(request.issuer or public, ISSUER, "--issuer", f"a host without https://, as {public}")


def _audience(request: TrustRequest) -> str:
    given = request.audience or AUDIENCES.get(request.partition, AUDIENCE)
    return _match(given, RECIPIENT, "--audience", "printable ASCII characters without spaces, *, ? and $")


def _tell(repository: str) -> str:
    return f"gh api repos/{repository} --jq '.owner.id, .id' tells --owner-id and --repository-id"


def _match(word: str, pattern: str, where: str, rule: str, cure: str = "") -> str:
    """The word, which fits.  Raises ConfigError."""
    if not re.fullmatch(pattern, word):
        raise ConfigError(
            f"{word!r} is not taken here: {rule}" if word else f"is missing: {rule}", where=where, cure=cure
        )
    return word
