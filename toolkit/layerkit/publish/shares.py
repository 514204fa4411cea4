"""Who may use a layer version: what is declared against the policy that AWS has.

Sharing is state.  A statement's id derives from what it grants, so layerkit knows its own ones without remembering:
those are added and removed as layers.yaml says.  All others are the user's, and are removed only where that is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from layerkit.aws.nouns import Policy, Statement
from layerkit.aws.policies import EVERYONE
from layerkit.errors import ConfigError
from layerkit.model import Share
from layerkit.publishing import ACCOUNT, ORGANIZATION
from layerkit.reader import nearest

PUBLIC = "layerkit-public"
OURS = re.compile(rf"{PUBLIC}|layerkit-account-{ACCOUNT}|layerkit-organization-{ORGANIZATION}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What brings a policy to what is declared.  `remove` comes first: AWS takes no statement id twice."""

    remove: tuple[Statement, ...] = ()
    add: tuple[Statement, ...] = ()
    foreign: tuple[Statement, ...] = ()  # not layerkit's and not declared: shown, and left

    @property
    def nothing(self) -> bool:
        """Whether the policy is as declared already."""
        return not self.add and not self.remove


def wanted(share: Share) -> tuple[Statement, ...]:
    """The statements that grant exactly what is declared, each by itself: a public one makes no other superfluous."""
    found = [Statement(sid=PUBLIC, principal=EVERYONE)] if share.public else []
    accounts = sorted(set(share.accounts))
    found += [Statement(sid=f"layerkit-account-{account}", principal=account) for account in accounts]
    if share.organization:
        sid = f"layerkit-organization-{share.organization}"
        found.append(Statement(sid=sid, principal=EVERYONE, organization=share.organization))
    return tuple(found)


def compare(share: Share, policy: Policy, *, prune: bool = False, own_account: str = "") -> Change:
    """What to add and remove so that the policy grants what is declared, and with `prune` nothing else.

    A statement that grants what is declared counts under any id.  `own_account` (12 digits) needs no statement, so
    that one layers.yaml may serve all accounts of a company: one is never added for it.
    """
    declared = wanted(share)
    ids = {statement.sid: statement for statement in declared}
    grants = {_grant(statement) for statement in declared}
    remove, foreign, there = [], [], set()
    for statement in policy.statements:
        taken = ids.get(statement.sid)  # its id is needed for something else than it grants
        if taken and _grant(taken) != _grant(statement):
            remove.append(statement)
        elif statement.plain and _grant(statement) in grants:
            there.add(_grant(statement))
        elif OURS.fullmatch(statement.sid) or (prune and statement.sid):
            remove.append(statement)
        else:
            foreign.append(statement)
    add = [one for one in declared if _grant(one) not in there and one.principal != own_account]
    return Change(remove=tuple(remove), add=tuple(add), foreign=tuple(foreign))


def words(statements: Iterable[Statement]) -> str:
    """Who may use it, for people: "public", "account 123456789012"; "private" where there is no statement."""
    return ", ".join(map(_words, statements)) or "private"


def from_words(given: Sequence[str]) -> Share:
    """The Share of `--share`: private, public, numbers of accounts, an organization's id; also with commas between.

    Raises ConfigError for what is none of these, and for what contradicts itself.
    """
    found = list(dict.fromkeys(word.strip() for one in given for word in one.split(",")))
    accounts = tuple(word for word in found if re.fullmatch(ACCOUNT, word))
    organizations = [word for word in found if re.fullmatch(ORGANIZATION, word)]
    alone = [word for word in found if word in ("private", "public")]
    for word in found or [""]:
        if word not in (*accounts, *organizations, *alone):
            message = f"{word!r} is not private, public, an account's number (12 digits) or an organization's id"
            close = nearest(word, ("private", "public"))
            raise _mistake(message + (close if "did you mean" in close else ""))
    if alone and len(found) > 1:
        others = ", ".join(word for word in found if word != alone[0])
        raise _mistake(f"{alone[0]} stands alone, and here it is given with {others}")
    if len(organizations) > 1:
        raise _mistake(f"one organization at most can be given, and here are {' and '.join(organizations)}")
    return Share(public=alone == ["public"], accounts=accounts, organization="".join(organizations))


def _mistake(what: str) -> ConfigError:
    return ConfigError(what, where="--share", cure="for instance --share public, or --share 123456789012")


def _grant(statement: Statement) -> tuple[str, str]:
    return statement.principal, statement.organization


def _words(statement: Statement) -> str:
    if not statement.plain:
        whom = f"{statement.principal}, on other terms"
    elif statement.organization:
        whom = f"organization {statement.organization}"
    else:
        whom = "public" if statement.principal == EVERYONE else f"account {statement.principal}"
    ours = statement.plain and OURS.fullmatch(statement.sid)
    return whom if ours else f"statement {statement.sid!r} ({whom})"
