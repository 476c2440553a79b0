"""The text that Prometheus, and the agent, read."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from podium.core.serving.metrics import BUCKETS, Metrics, labels

SAMPLE = re.compile(r'^[a-z_]+(\{([a-z]+="(\\.|[^"\\\n])*",?)*\})? [-+.\de]+$')


def test_buckets_are_fine_enough_for_a_quantile() -> None:
    assert BUCKETS[0] == 0.0001
    assert 45 < BUCKETS[-1] < 120
    assert all(1.2 < high / low < 1.3 for low, high in pairwise(BUCKETS))


@given(
    seconds=st.lists(st.floats(0, 200), max_size=50),
    codes=st.lists(st.sampled_from([200, 400, 500]), min_size=50, max_size=50),
)
def test_every_line_is_well_formed_and_the_histogram_adds_up(seconds: list[float], codes: list[int]) -> None:
    metrics = Metrics({"model": "m", "version": "3"})
    for code, value in zip(codes, seconds, strict=False):
        metrics.observe(code, value, 2)
    lines = metrics.text({"captured": 1}).splitlines()
    assert all(line.startswith("# ") or SAMPLE.match(line) for line in lines)
    counts = [int(line.rpartition(" ")[2]) for line in lines if line.startswith("podium_request_seconds_bucket")]
    assert counts == sorted(counts)
    assert counts[-1] == len(seconds)
    for bound, count in zip(BUCKETS, counts, strict=False):
        assert count == sum(value <= bound for value in seconds)
    assert f"podium_rows_total {2 * len(seconds)}" in lines


@given(value=st.text())
def test_no_label_can_break_out(value: str) -> None:
    line = f"m{labels({'model': value})} 1"
    assert line.count("\n") == 0
    inner = line[len('m{model="') : -len('"} 1')]
    assert re.fullmatch(r'(\\\\|\\"|\\n|[^"\\\n])*', inner)
    assert (
        inner.replace("\\\\", "\0").replace('\\"', '"').replace("\\n", "\n").replace("\0", "\\") == value
        or "\0" in value
    )
