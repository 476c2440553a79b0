"""Distances and estimates beside Evidently's and NannyML's on the same rows: benchmarks/_monitoring_peers.py recorded
theirs, with their versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from podium.core.monitoring.statistics import cbpe, distances

PEERS: dict[str, Any] = json.loads((Path(__file__).parent / "peers.json").read_text(encoding="utf-8"))


def column(values: list[Any]) -> Any:
    return np.array(values, dtype=object if isinstance(values[0], str) else None)


@pytest.mark.parametrize("case", PEERS["columns"], ids=lambda case: case["name"])
def test_distances_are_those_of_evidently(case: dict[str, Any]) -> None:
    before, now = column(case["reference"]), column(case["current"])
    theirs = dict(PEERS["evidently"]["found"][case["name"]])
    for measure in ("psi", "js", "wasserstein"):
        if measure in theirs:
            assert distances.distance(measure, before, now) == pytest.approx(theirs.pop(measure), abs=1e-6)
    if "ks_p" in theirs:
        assert distances.ks_p_value(before, now) == pytest.approx(theirs.pop("ks_p"), abs=1e-6)
    elif case["name"] != "a new word":  # of which Evidently's statistic is infinite
        assert distances.chi2_p_value(before, now) == pytest.approx(theirs.pop("chi2_p"), abs=1e-6)
    else:
        assert theirs.pop("chi2_p") == 0.0 and distances.chi2_p_value(before, now) < 1e-6
    assert not theirs


@pytest.mark.parametrize("case", PEERS["scores"], ids=lambda case: case["name"])
def test_estimates_are_those_of_nannyml(case: dict[str, Any]) -> None:
    theirs = PEERS["nannyml"]["found"][case["name"]]
    found = cbpe.calibration(np.array(case["truth"]), np.array(case["reference"]))
    assert found.needed == theirs["needs_calibration"]
    scores = np.array(case["current"])
    probabilities, labels = found.calibrate(scores), (scores >= 0.5).astype(float)
    for metric in cbpe.METRICS:
        assert cbpe.estimate(metric, scores, probabilities, labels) == pytest.approx(theirs[metric], abs=1e-3)
