"""What happened between two readings, through restarts, silences and odd numbers."""

from __future__ import annotations

import math

import pytest
from podium.core.telemetry.exposition import parse
from podium.core.telemetry.histograms import difference, histogram, quantile
from podium.core.telemetry.windows import Counts, Reading, Window, window

NAME = "podium_request_seconds"


def buckets(fast: float, slow: float = 0.0) -> dict[float, float]:
    return {0.01: fast, 1.0: fast + slow, math.inf: fast + slow}


def read(text: str) -> dict[float, float]:
    return histogram(parse(text), NAME)


def test_a_replica_that_was_restarted_between_two_looks_counts_from_its_start() -> None:
    before = Reading({(1, "v1-1"): Counts(500, 5)}, {"v1-1": buckets(400, 100)})
    after = Reading({(1, "v1-1"): Counts(540, 5)}, {"v1-1": buckets(10, 30)})
    seen = window(before, after, ["v1-1"])
    assert (seen.requests, seen.errors) == (40, 0), "the proxy was not restarted, and counted on"
    assert seen.latency == buckets(10, 30)


def test_a_restart_that_has_counted_more_than_before_in_one_bucket_is_seen_by_another() -> None:
    assert difference(buckets(450, 10), buckets(400, 100)) == buckets(450, 10)


def test_counts_that_were_reset_in_one_instance_hide_nothing_of_the_other() -> None:
    before = Reading({(1, "v1-1"): Counts(1000, 10), (2, "v1-1"): Counts(1000, 10)})
    after = Reading({(1, "v1-1"): Counts(7, 1), (2, "v1-1"): Counts(1100, 12)})
    assert window(before, after) == Window(107, 3, {})


def test_fewer_errors_alone_show_a_restart_as_well() -> None:
    assert Counts(600, 2).since(Counts(500, 5)) == Counts(600, 2)
    assert Counts(600, 6).since(Counts(500, 5)) == Counts(100, 1)


def test_zero_requests_have_no_error_rate_and_no_latency() -> None:
    before = Reading({(1, "v1-1"): Counts(100, 3)}, {"v1-1": buckets(90, 10)})
    seen = window(before, before, ["v1-1"])
    assert (seen.requests, seen.errors) == (0, 0)
    assert [seen.value(signal) for signal in ("error_rate", "latency_p50", "latency_p99", "cpu")] == [None] * 4
    assert window(Reading(), Reading()) == Window(0, 0, {})


def test_what_was_not_seen_before_is_left_out() -> None:
    before = Reading({(1, "v1-1"): Counts(10, 0)}, {"v1-1": buckets(1)})
    after = Reading(
        {(1, "v1-1"): Counts(15, 0), (1, "v2-1"): Counts(3, 1), (2, "v1-1"): Counts(9000, 9)},
        {"v1-1": buckets(2), "v2-1": buckets(500)},
    )
    assert window(before, after) == Window(8, 1, buckets(1)), "a server new to a known instance counts from zero"
    assert window(before, after, ["v2-1"]) == Window(3, 1, {})
    assert window(Reading(), after).requests == 9018, "before anything was read, all of it is new"


def test_one_that_does_not_answer_now_adds_nothing() -> None:
    before = Reading({(1, "v1-1"): Counts(10, 0)}, {"v1-1": buckets(50)})
    assert window(before, Reading(), ["v1-1"]) == Window(0, 0, {})


def test_a_share_of_errors_is_never_more_than_all() -> None:
    assert Window(10, 12, {}).value("error_rate") == 1.0  # an aborted request and its answer are counted apart


def test_a_line_that_stands_twice_counts_once() -> None:
    assert read(f'{NAME}_bucket{{le="0.1"}} 5\n{NAME}_bucket{{le="0.1"}} 7\n{NAME}_bucket{{le="+Inf"}} 9\n') == {
        0.1: 5,
        math.inf: 9,
    }
    by_path = f'{NAME}_bucket{{path="/a",le="0.1"}} 5\n{NAME}_bucket{{path="/b",le="0.1"}} 7\n'
    assert read(by_path) == {0.1: 12}, "other labels are other series"


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-3", "nonsense", ""])
def test_a_count_that_is_no_number_is_left_out(value: str) -> None:
    text = f'{NAME}_bucket{{le="0.1"}} 4\n{NAME}_bucket{{le="1"}} {value}\n{NAME}_bucket{{le="+Inf"}} 8\n'
    assert read(text) == {0.1: 4, math.inf: 8}
    assert quantile(read(text), 0.5) == 0.1


@pytest.mark.parametrize("bound", ['le="NaN"', 'le="soon"', 'path="/x"'])
def test_a_bound_that_is_no_number_is_left_out(bound: str) -> None:
    assert read(f'{NAME}_bucket{{{bound}}} 4\n{NAME}_bucket{{le="+Inf"}} 8\n') == {math.inf: 8}


def test_a_histogram_that_knows_no_bound_has_no_better_answer_than_zero() -> None:
    assert quantile({math.inf: 8.0}, 0.5) == 0.0
