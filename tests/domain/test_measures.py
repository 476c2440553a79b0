"""How values of monitors and their thresholds read."""

from __future__ import annotations

import pytest
from podium.core.domain.monitoring import MonitorKind
from podium.core.domain.monitors.thresholds import threshold
from podium.core.domain.project import AlertRule, MonitorSpec
from podium.core.domain.text import measures
from podium.core.domain.text.format import exact_duration, figures

SIGNAL, DRIFT, DATA, AGE, LABELS = (
    *(MonitorKind.SIGNAL, MonitorKind.DRIFT, MonitorKind.DATA),
    *(MonitorKind.FRESHNESS, MonitorKind.LABELS),
)


@pytest.mark.parametrize(
    ("kind", "measure", "amount", "words"),
    [
        (SIGNAL, "error_rate", 0.05, "5 %"),
        (SIGNAL, "error_rate", 0.0005, "0.05 %"),
        (SIGNAL, "cpu", 1.5, "150 %"),
        (SIGNAL, "latency_p95", 0.2, "200 ms"),
        (SIGNAL, "latency_p95", 1.005, "1.005 s"),
        (SIGNAL, "memory", 500 * 2**20, "524.3 MB (500 MiB)"),
        (SIGNAL, "memory", 2 * 2**30, "2.147 GB (2 GiB)"),
        (SIGNAL, "memory", 5e8, "500 MB"),
        (SIGNAL, "requests", 12_345.0, "12,345/s"),
        (SIGNAL, "restarts", 3.0, "3"),
        (SIGNAL, "no_traffic", 600.0, "10m"),
        (DATA, "any", 0.01, "1 %"),
        (DRIFT, "psi", 0.25, "0.25"),
        (AGE, "model", 3 * 86_400.0, "3d"),
        (AGE, "data", 36 * 3600.0, "1d12h"),
        (LABELS, "delay", 90.0, "1m30s"),
        (LABELS, "share", 0.5, "50 %"),
        (MonitorKind.INFRA, "net", 2.0, "2"),
        (SIGNAL, "memory", float("inf"), "inf"),
        (AGE, "model", float("nan"), "NaN"),
    ],
)
def test_a_threshold_reads_as_it_was_written(kind: MonitorKind, measure: str, amount: float, words: str) -> None:
    assert measures.limit(kind, measure, amount) == words


@pytest.mark.parametrize(
    ("kind", "measure", "amount", "limit", "words"),
    [
        (SIGNAL, "error_rate", 0.25, 0.1, "25.0 %"),
        (SIGNAL, "error_rate", 0.0504, 0.05, "5.04 %"),
        (SIGNAL, "error_rate", 0.0500001, 0.05, "5.00001 %"),
        (SIGNAL, "error_rate", 0.05, 0.05, "5.0 %"),
        (AGE, "model", 3 * 86_400.0 + 1200, 3 * 86_400.0, "3d20m"),
        (DRIFT, "psi", 0.08392, 0.08391, "0.08392"),
        (SIGNAL, "error_rate", 0.3, None, "30.0 %"),
        (SIGNAL, "error_rate", None, 0.1, "–"),
        (AGE, "model", float("inf"), 60.0, "inf"),
    ],
)
def test_a_value_never_reads_as_the_threshold_that_it_is_beyond(
    kind: MonitorKind, measure: str, amount: float | None, limit: float | None, words: str
) -> None:
    assert measures.beside(kind, measure, amount, limit) == words


def test_words_of_a_threshold() -> None:
    monitor = MonitorSpec("m", DRIFT, "production", "psi")
    assert threshold(AlertRule("a", "m", above=0.25, band="significant"), monitor) == "above 0.25 (significant)"
    assert threshold(AlertRule("a", "m", below=0.7), monitor) == "below 0.7"
    rare = AlertRule("a", "m", false_alarms=1 / 30)
    assert threshold(rare, monitor) == "false alarms 1/month"
    assert threshold(rare, monitor, 0.083914) == "above 0.08391 (false alarms 1/month)"


def test_figures_have_no_noise() -> None:
    assert [figures(each, 4) for each in (9999.4, 9999.6, 0.1 + 0.2, 1234567.8)] == [
        "9999",
        "10,000",
        "0.3",
        "1,234,568",
    ]
    lengths = {0.0: "0s", 0.05: "0.05s", 59.9: "59.9s", 60.0000002: "1m", 86_400.0: "1d", -1.0: "0s"}
    assert {each: exact_duration(each) for each in lengths} == lengths
