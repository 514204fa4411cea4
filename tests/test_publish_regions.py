"""Which regions a run is for, whoever names them, and what is told of names that are none."""

from __future__ import annotations

import pytest

from layerkit.aws.regions import Chosen, choose, partition_of
from layerkit.errors import AwsError, ConfigError

KNOWN = {
    "aws": ["us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1"],
    "aws-cn": ["cn-north-1"],
    "aws-us-gov": ["us-gov-west-1"],
    "aws-eusc": ["eusc-de-east-1"],
}


@pytest.mark.parametrize(
    ("given", "declared", "configured", "names"),
    [
        (["us-east-1"], ["eu-west-1"], "us-west-2", ("us-east-1",)),
        ([], ["eu-west-1", "us-east-1"], "us-west-2", ("eu-west-1", "us-east-1")),
        ([], [], "us-west-2", ("us-west-2",)),
        (["us-east-1,eu-west-1", "us-west-2"], [], "", ("us-east-1", "eu-west-1", "us-west-2")),
        (["us-east-1, eu-west-1,", "us-east-1"], [], "", ("us-east-1", "eu-west-1")),
        (["us-east-1 eu-west-1\n"], [], "", ("us-east-1", "eu-west-1")),
        (["cn-north-1"], [], "us-east-1", ("cn-north-1",)),
    ],
)
def test_the_command_line_goes_before_the_file_and_the_file_before_the_configuration(
    given: list[str], declared: list[str], configured: str, names: tuple[str, ...]
) -> None:
    assert choose(given, declared, configured, KNOWN) == Chosen(names=names)


def test_no_region_at_all() -> None:
    with pytest.raises(AwsError) as caught:
        choose([], [], "", KNOWN)
    assert str(caught.value).startswith("there is no region\n  To do: give --region us-east-1")


@pytest.mark.parametrize("given", [[""], [" "], [","], ["", ""]])
def test_an_empty_flag_is_not_the_file(given: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        choose(given, ["us-east-1"], "us-east-1", KNOWN)
    assert (caught.value.where, caught.value.what) == ("--region", "names no region")


def test_names_that_are_none_are_told_all_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        choose(["us-east-1a,eu-west-1", "US-WEST-2,virginia"], [], "", KNOWN)
    assert caught.value.why.splitlines() == [
        "'us-east-1a' is not an AWS region; did you mean 'us-east-1'?",
        "'US-WEST-2' is not an AWS region; did you mean 'us-west-2'?",
        "'virginia' is not an AWS region",
    ]
    assert (caught.value.where, caught.value.exit_code) == ("--region", 3)


@pytest.mark.parametrize(
    ("declared", "configured", "where"),
    [(["x"], "us-east-1", "layers.yaml: publish.regions"), ([], "x", "the AWS configuration")],
)
def test_it_is_told_who_named_it(declared: list[str], configured: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose([], declared, configured, KNOWN)
    assert caught.value.where == where
    assert where in caught.value.cure


def test_a_region_that_is_not_known_is_warned_of() -> None:
    chosen = choose(["us-est-1,xx-nowhere-1"], [], "", KNOWN)
    assert chosen.names == ("us-est-1", "xx-nowhere-1")
    assert chosen.warnings == (
        "us-est-1 is no region that layerkit knows; did you mean 'us-east-1'?",
        "xx-nowhere-1 is no region that layerkit knows",
    )


@pytest.mark.parametrize("given", ["us-east-1,cn-north-1", "us-gov-west-1,us-east-1", "us-east-1,cn-north-2"])
def test_no_run_is_for_two_partitions(given: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose([given], [], "", KNOWN)
    assert caught.value.what == "regions of two partitions of AWS have no credentials in common"
    assert "aws: us-east-1" in caught.value.why
    assert "--profile" in caught.value.cure


def test_credentials_of_another_partition() -> None:
    with pytest.raises(ConfigError) as caught:
        choose(["cn-north-1"], [], "", KNOWN, partition="aws")
    assert caught.value.what == "the credentials are of the partition aws, and the regions are not"
    assert caught.value.why == "aws-cn: cn-north-1"
    assert choose(["us-east-1"], [], "", KNOWN, partition="aws").names == ("us-east-1",)
    assert choose(["xx-new-1"], [], "", KNOWN, partition="aws").names == ("xx-new-1",)


@pytest.mark.parametrize(
    ("name", "partition"),
    [
        ("us-east-1", "aws"),
        ("us-east-9", "aws"),
        ("ap-east-1", "aws"),
        ("eu-east-1", "aws"),  # not eusc
        ("cn-south-1", "aws-cn"),
        ("us-gov-east-1", "aws-us-gov"),
        ("eusc-fr-west-1", "aws-eusc"),
        ("us-new-1", ""),  # as near to aws as to aws-us-gov
        ("xx-new-1", ""),
    ],
)
def test_partitions_of_new_regions_are_those_of_their_neighbours(name: str, partition: str) -> None:
    assert partition_of(name, KNOWN) == partition
