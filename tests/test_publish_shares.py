"""A policy is brought to what is declared, and nothing else of it is touched."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit.aws.nouns import Policy, Statement
from layerkit.aws.policies import parse
from layerkit.errors import ConfigError
from layerkit.model import Share
from layerkit.publish.shares import Change, compare, from_words, wanted, words

A, B, OWN = "111111111111", "222222222222", "999999999999"
ORG, OTHER = "o-abcdefghij", "o-0123456789"
SIDS = ["layerkit-public", *(f"layerkit-account-{n}" for n in (A, B, OWN)), f"layerkit-organization-{ORG}"]

SHARES = st.one_of(
    st.builds(Share, public=st.booleans()),
    st.builds(
        Share,
        accounts=st.lists(st.sampled_from([A, B, OWN]), max_size=4).map(tuple),
        organization=st.sampled_from(["", ORG, OTHER]),
    ),
    st.just(Share(public=True, accounts=(A,), organization=ORG)),
)
STATEMENTS = st.builds(
    Statement,
    sid=st.sampled_from([*SIDS, "mine", "theirs", "layerkit-public-2", "layerkit"]),
    principal=st.sampled_from(["*", A, B, OWN, '{"AWS": "arn:aws:iam::1:user/x"}']),
    organization=st.sampled_from(["", "", ORG, OTHER]),
    plain=st.sampled_from([True, True, False]),
)
POLICIES = st.lists(STATEMENTS, max_size=6, unique_by=lambda one: one.sid).map(lambda s: Policy(statements=tuple(s)))


def applied(policy: Policy, change: Change) -> Policy:
    """AWS's: a statement is removed by its id, and an id that is there cannot be added."""
    left = {one.sid: one for one in policy.statements}
    for one in change.remove:
        del left[one.sid]
    for one in change.add:
        assert one.sid not in left
        left[one.sid] = one
    return Policy(statements=tuple(left.values()))


def grants(statements: tuple[Statement, ...]) -> set[tuple[str, str]]:
    return {(one.principal, one.organization) for one in statements if one.plain}


@given(SHARES, POLICIES, st.booleans(), st.sampled_from(["", OWN]))
def test_a_policy_comes_to_what_is_declared(share: Share, policy: Policy, prune: bool, own: str) -> None:
    change = compare(share, policy, prune=prune, own_account=own)
    after = applied(policy, change)
    again = compare(share, after, prune=prune, own_account=own)
    assert (again.add, again.remove, again.nothing) == ((), (), True)
    needed = grants(wanted(share)) - {(own, "")}
    assert needed <= grants(after.statements)
    kept = {one for one in policy.statements if one not in change.remove}
    assert set(change.foreign) <= kept
    assert set(change.foreign) == set(again.foreign)
    if prune:
        assert change.foreign == ()
        assert grants(after.statements) <= needed | {(own, "")}
        assert all(one.plain for one in after.statements)
    else:
        assert {one.sid for one in change.remove} <= {*SIDS, f"layerkit-organization-{OTHER}"}
        assert grants(after.statements) <= grants(wanted(share)) | grants(change.foreign)


@given(SHARES)
def test_ids_are_what_aws_takes_and_derive_from_content(share: Share) -> None:
    statements = wanted(share)
    assert all(re.fullmatch(r"[a-zA-Z0-9-_]{1,100}", one.sid) for one in statements)
    assert len({one.sid for one in statements}) == len(grants(statements)) == len(statements)


def test_each_declared_grant_is_a_statement() -> None:
    share = Share(accounts=(B, A), organization=ORG)
    assert wanted(share) == (
        Statement(sid=f"layerkit-account-{A}", principal=A),
        Statement(sid=f"layerkit-account-{B}", principal=B),
        Statement(sid=f"layerkit-organization-{ORG}", principal="*", organization=ORG),
    )
    assert wanted(Share(public=True)) == (Statement(sid="layerkit-public", principal="*"),)
    assert wanted(Share()) == ()


def test_a_statement_under_another_id_counts() -> None:
    policy = Policy(statements=(Statement(sid="by-hand", principal="*"),))
    assert compare(Share(public=True), policy) == Change()


def test_what_is_declared_no_more_is_taken_back() -> None:
    ours = Statement(sid="layerkit-public", principal="*")
    theirs = Statement(sid="by-hand", principal=A)
    policy = Policy(statements=(ours, theirs))
    assert compare(Share(), policy) == Change(remove=(ours,), foreign=(theirs,))
    assert compare(Share(), policy, prune=True) == Change(remove=(ours, theirs))


def test_our_id_with_other_content_is_written_anew() -> None:
    wrong = Statement(sid="layerkit-public", principal=A)
    right = Statement(sid="layerkit-public", principal="*")
    change = compare(Share(public=True), Policy(statements=(wrong,)))
    assert change == Change(remove=(wrong,), add=(right,))


def test_the_own_account_needs_no_statement() -> None:
    share = Share(accounts=(A, OWN))
    assert compare(share, Policy(), own_account=OWN).add == (Statement(sid=f"layerkit-account-{A}", principal=A),)
    there = Policy(statements=wanted(share))
    assert compare(share, there, own_account=OWN) == Change()


# AWS's JSON


def document(**fields: object) -> str:
    statement = {
        "Sid": "x",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "lambda:GetLayerVersion",
        "Resource": "arn:aws:lambda:us-east-1:999999999999:layer:flask:1",
    }
    return json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": [statement | fields]})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Statement(sid="x", principal="*")),
        ({"Principal": {"AWS": "*"}}, Statement(sid="x", principal="*")),
        ({"Principal": {"AWS": f"arn:aws:iam::{A}:root"}}, Statement(sid="x", principal=A)),
        ({"Principal": {"AWS": f"arn:aws-cn:iam::{A}:root"}}, Statement(sid="x", principal=A)),
        ({"Principal": {"AWS": [f"arn:aws-us-gov:iam::{A}:root"]}}, Statement(sid="x", principal=A)),
        ({"Principal": {"AWS": A}}, Statement(sid="x", principal=A)),
        ({"Action": ["lambda:GetLayerVersion"]}, Statement(sid="x", principal="*")),
        (
            {"Condition": {"StringEquals": {"aws:PrincipalOrgID": ORG}}},
            Statement(sid="x", principal="*", organization=ORG),
        ),
        (
            {"Condition": {"StringEquals": {"aws:PrincipalOrgID": [ORG]}}},
            Statement(sid="x", principal="*", organization=ORG),
        ),
    ],
)
def test_statements_as_layerkit_would_write_them(fields: dict[str, object], expected: Statement) -> None:
    assert parse(document(**fields), "r1") == Policy(statements=(expected,), revision="r1")


@pytest.mark.parametrize(
    "fields",
    [
        {"Effect": "Deny"},
        {"Action": "lambda:*"},
        {"Action": ["lambda:GetLayerVersion", "lambda:ListLayers"]},
        {"Principal": {"AWS": [A, B]}},
        {"Principal": {"AWS": f"arn:aws:iam::{A}:user/x"}},
        {"Principal": {"AWS": "AIDAABCDEFGHIJKLMNOPQ"}},
        {"Principal": {"Service": "lambda.amazonaws.com"}},
        {"Principal": {"AWS": A, "Service": "lambda.amazonaws.com"}},
        {"Principal": None, "NotPrincipal": {"AWS": A}},
        {"NotResource": "x"},
        {"Condition": {"StringLike": {"aws:PrincipalOrgID": "o-*"}}},
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": [ORG, OTHER]}}},
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": ""}}},
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": ORG, "aws:SourceIp": "1.2.3.4"}}},
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": ORG}, "Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": "x"},
        {"Principal": {"AWS": A}, "Condition": {"StringEquals": {"aws:PrincipalOrgID": ORG}}},
    ],
    ids=json.dumps,
)
def test_statements_on_other_terms_are_never_taken_for_ours(fields: dict[str, object]) -> None:
    policy = parse(document(**fields))
    assert not policy.statements[0].plain
    for share in (Share(public=True), Share(accounts=(A, B)), Share(organization=ORG)):
        change = compare(share, policy)
        assert (change.add, change.foreign) == (wanted(share), policy.statements)


@given(SHARES)
def test_what_layerkit_writes_is_read_back(share: Share) -> None:
    def aws(one: Statement) -> dict[str, object]:
        data: dict[str, object] = {"Sid": one.sid, "Effect": "Allow", "Action": "lambda:GetLayerVersion"}
        data["Principal"] = "*" if one.principal == "*" else {"AWS": f"arn:aws:iam::{one.principal}:root"}
        if one.organization:
            data["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": one.organization}}
        return data

    text = json.dumps({"Statement": [aws(one) for one in wanted(share)]})
    assert parse(text).statements == wanted(share)


def test_a_single_statement_needs_no_list() -> None:
    assert parse('{"Statement": {"Sid": "a"}}').statements[0].sid == "a"


@pytest.mark.parametrize("text", ["", "[]", "null", '{"Statement": ["x"]}', '{"Statement": 1}', "{"])
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's words or ours
        parse(text)


def test_words_for_people() -> None:
    assert words(()) == "private"
    assert words(wanted(Share(public=True))) == "public"
    assert words(wanted(Share(accounts=(A,), organization=ORG))) == f"account {A}, organization {ORG}"
    foreign = Statement(sid="by-hand", principal=A)
    odd = Statement(sid="odd", principal="*", plain=False)
    assert words([foreign, odd]) == f"statement 'by-hand' (account {A}), statement 'odd' (*, on other terms)"


# --share


@pytest.mark.parametrize(
    ("given_words", "share"),
    [
        (["private"], Share()),
        (["public"], Share(public=True)),
        (["public,public", "public"], Share(public=True)),
        ([A], Share(accounts=(A,))),
        ([f"{A}, {B}", A], Share(accounts=(A, B))),
        ([f"{ORG},{B}"], Share(accounts=(B,), organization=ORG)),
    ],
)
def test_shares_on_the_command_line(given_words: list[str], share: Share) -> None:
    assert from_words(given_words) == share


@pytest.mark.parametrize(
    ("given_words", "message"),
    [
        ([], "'' is not private, public, an account's number"),
        ([""], "'' is not private"),
        ([f"{A},"], "'' is not private"),
        (
            ["pubic"],
            "'pubic' is not private, public, an account's number (12 digits) or an organization's id; did you ",
        ),
        (["12345"], "'12345' is not private, public, an account's number (12 digits) or an organization's id"),
        (["o-ABC"], "'o-ABC' is not"),
        (["public", "private"], "public stands alone, and here it is given with private"),
        (["private", A], f"private stands alone, and here it is given with {A}"),
        ([f"{ORG},public"], f"public stands alone, and here it is given with {ORG}"),
        ([ORG, OTHER], f"one organization at most can be given, and here are {ORG} and {OTHER}"),
    ],
)
def test_shares_that_are_none(given_words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_words(given_words)
    assert caught.value.what.startswith(message)
    assert (caught.value.where, caught.value.exit_code) == ("--share", 3)
    assert "To do: for instance --share" in str(caught.value)
