"""The text format, and quantiles of what was counted between two scrapes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core.telemetry import exposition, histograms

TEXT = """# HELP podium_request_seconds How long.
# TYPE podium_request_seconds histogram
podium_request_seconds_bucket{path="/invocations",le="0.001"} 10
podium_request_seconds_bucket{path="/invocations",le="0.01"} 90
podium_request_seconds_bucket{path="/invocations",le="+Inf"} 100
podium_request_seconds_bucket{path="/ping",le="+Inf"} 5
podium_requests_total{code="200",note="a \\"quoted\\", comma"} 95
broken line
podium_up nonsense
"""


def test_reads_samples_and_passes_over_the_rest() -> None:
    points = exposition.parse(TEXT)
    assert [p.name for p in points].count("podium_request_seconds_bucket") == 4
    total = next(p for p in points if p.name == "podium_requests_total")
    assert total.value == 95
    assert total.labels["code"] == "200"


def test_a_histogram_sums_over_its_other_labels() -> None:
    buckets = histograms.histogram(exposition.parse(TEXT), "podium_request_seconds")
    assert buckets == {0.001: 10, 0.01: 90, math.inf: 105}


def test_a_quantile_is_interpolated_in_its_bucket() -> None:
    buckets = {0.001: 0.0, 0.01: 100.0, math.inf: 100.0}
    assert histograms.quantile(buckets, 0.5) == pytest.approx(0.0055)
    assert histograms.quantile({0.001: 0.0, math.inf: 4.0}, 0.5) == 0.001
    assert histograms.quantile({}, 0.5) is None
    assert histograms.quantile({0.1: 0.0, math.inf: 0.0}, 0.5) is None


def test_a_counter_that_was_reset_counts_from_nothing() -> None:
    assert histograms.difference({0.1: 3.0, math.inf: 4.0}, {0.1: 10.0, math.inf: 20.0}) == {0.1: 3.0, math.inf: 4.0}
    assert histograms.difference({0.1: 12.0, math.inf: 21.0}, {0.1: 10.0, math.inf: 20.0}) == {0.1: 2.0, math.inf: 1.0}


@given(st.lists(st.floats(0.0001, 0.99), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], q: float) -> None:
    bounds = [0.001, 0.01, 0.05, 0.1, 0.5, 1.0, math.inf]
    buckets = {bound: float(sum(value <= bound for value in values)) for bound in bounds}
    found = histograms.quantile(buckets, q)
    true = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
    upper = next(bound for bound in bounds if true <= bound)
    lower = max([0.0, *(bound for bound in bounds if bound < true)])
    assert found is not None
    assert lower - 1e-9 <= found <= upper + 1e-9
