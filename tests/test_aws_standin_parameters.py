"""The AWS stand-in's parameters: found by path and type, and secrets that stay secret."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from aws_standin import Standin, serve
from aws_standin.clients import client
from test_aws_standin import refusal

HERE = "us-east-1"


@pytest.fixture
def aws() -> Iterator[Standin]:
    with serve(rate=0) as running:
        yield running


@pytest.fixture
def parameters(aws: Standin) -> Iterator[Any]:
    with closing(client(aws, "ssm", parameter_validation=False)) as made:
        yield made


@pytest.fixture
def under(parameters: Any) -> Callable[..., list[str]]:
    for name in ("alone", "/top", "/a/x", "/a/b/y", "/ab/z"):
        parameters.put_parameter(Name=name, Value="v", Type="String")
    return lambda path, **given: [
        one["Name"] for one in parameters.get_parameters_by_path(Path=path, **given)["Parameters"]
    ]


def test_one_level_or_all(under: Callable[..., list[str]]) -> None:
    assert under("/a") == under("/a/") == ["/a/x"]
    assert under("/a", Recursive=True) == ["/a/b/y", "/a/x"]
    assert under("/none", Recursive=True) == []


def test_the_root_has_all(under: Callable[..., list[str]]) -> None:
    assert sorted(under("/")) == ["/top", "alone"]
    assert sorted(under("/", Recursive=True)) == ["/a/b/y", "/a/x", "/ab/z", "/top", "alone"]


def test_pages(parameters: Any) -> None:
    for number in range(23):
        parameters.put_parameter(Name=f"/p/{number:02d}", Value="v", Type="String")
    pages = list(parameters.get_paginator("get_parameters_by_path").paginate(Path="/p"))
    assert [len(page["Parameters"]) for page in pages] == [10, 10, 3]
    call = partial(parameters.get_parameters_by_path, Path="/p")
    assert refusal(call, MaxResults=11)[1] == "ValidationException"
    assert refusal(call, NextToken="mine")[:2] == (400, "InvalidNextToken")


def test_types(parameters: Any) -> None:
    parameters.put_parameter(Name="/p/open", Value="open", Type="String")
    parameters.put_parameter(Name="/p/secret", Value="secret", Type="SecureString")
    call = partial(parameters.get_parameters_by_path, Path="/p")
    plain = {"ParameterFilters": [{"Key": "Type", "Values": ["String", "StringList"]}]}
    assert [one["Name"] for one in call(**plain)["Parameters"]] == ["/p/open"]
    secret = call(ParameterFilters=[{"Key": "Type", "Option": "Equals", "Values": ["SecureString"]}])
    assert [one["Name"] for one in secret["Parameters"]] == ["/p/secret"]
    for one, code in (
        ({"Key": "Name", "Values": ["x"]}, "InvalidFilterKey"),
        ({"Key": "Type", "Option": "BeginsWith", "Values": ["String"]}, "InvalidFilterOption"),
        ({"Key": "Type", "Values": ["Number"]}, "InvalidFilterValue"),
    ):
        assert refusal(call, ParameterFilters=[one])[:2] == (400, code)


def test_a_secret_stays_one(parameters: Any) -> None:
    parameters.put_parameter(Name="/p/secret", Value="secret", Type="SecureString")

    def told(**given: bool) -> set[str]:
        by_path = parameters.get_parameters_by_path(Path="/p", **given)["Parameters"]
        by_name = parameters.get_parameters(Names=["/p/secret"], **given)["Parameters"]
        return {one["Value"] for one in (*by_path, *by_name)}

    [encrypted] = told()
    assert "secret" not in encrypted
    assert told(WithDecryption=True) == {"secret"}
    assert parameters.get_parameter(Name="/p/secret")["Parameter"]["Value"] == encrypted


def test_deletion(aws: Standin, parameters: Any) -> None:
    parameters.put_parameter(Name="/p", Value="v", Type="String")
    parameters.delete_parameter(Name="/p")
    assert refusal(parameters.delete_parameter, Name="/p")[:2] == (400, "ParameterNotFound")
    assert aws.parameters(HERE) == {}
