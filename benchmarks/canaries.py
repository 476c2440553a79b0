"""How often a canary's analysis is wrong: of versions that are equal, how many it rolls back; of versions with twice
the errors, how many it does not roll back before they have all traffic.

    python benchmarks/canaries.py [--canaries 2000] [--quick]

Each canary has 5 %, 25 % and 50 % of 200 requests/s for a minute each, of which one in a hundred fails, and latencies
of a lognormal distribution; each stage is judged by `core/delivery/rollout/analysis.py`, without rules, and with rules
that compare errors and latency with the version before. The bounds are what rates of 1 % and 10 % would exceed in one
of a hundred runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _measuring import Report, parser

WEIGHTS, SECONDS, RATE = (0.05, 0.25, 0.50), 60.0, 200.0
ERRORS, SPREAD, MEDIAN = 0.01, 0.6, 0.020
FALSE, UNCAUGHT, LUCK = 0.01, 0.10, 0.01


def rules() -> dict[str, tuple[Any, ...]]:
    from podium.core.domain.project import AnalysisRule

    return {
        "no rule": (),
        "errors compared, margin 20 %": (AnalysisRule("error_rate", compare="champion", margin=0.2),),
        "errors and p95 compared, margin 20 %": (
            AnalysisRule("error_rate", compare="champion", margin=0.2),
            AnalysisRule("latency_p95", compare="champion", margin=0.2),
        ),
    }


def window(rng: Any, requests: int, errors: float) -> Any:
    from podium.core.serving.metrics import BUCKETS
    from podium.core.telemetry.windows import Window

    taken = np.sort(rng.lognormal(np.log(MEDIAN), SPREAD, requests))
    bounds = (*BUCKETS, float("inf"))
    counted = np.searchsorted(taken, bounds, side="right").astype(float)
    return Window(requests, int(rng.binomial(requests, errors)), dict(zip(bounds, counted.tolist(), strict=True)))


def failed_at(rng: Any, asked: tuple[Any, ...], errors: float) -> int | None:
    """Returns the stage at which a canary is rolled back; None for one that gets all traffic."""
    from podium.core.delivery.rollout.analysis import judge
    from podium.core.domain.verdicts import Verdict

    for stage, weight in enumerate(WEIGHTS):
        new = int(rng.binomial(round(RATE * SECONDS), weight))
        found = judge(asked, window(rng, new, errors), window(rng, round(RATE * SECONDS) - new, ERRORS))
        if any(each.verdict is Verdict.FAIL for each in found):
            return stage
    return None


def main() -> int:
    from scipy.stats import binom

    options = parser(__doc__)
    options.add_argument("--canaries", type=int, default=2000)
    asked = options.parse_args()
    number = 40 if asked.quick else asked.canaries
    report = Report()
    for name, each in rules().items():
        rng = np.random.default_rng(21)
        equal = sum(failed_at(rng, each, ERRORS) is not None for _ in range(number))
        report.count(f"equal versions, {name}: rolled back", equal, int(binom.ppf(1 - LUCK, number, FALSE)))
        stages = [failed_at(rng, each, 2 * ERRORS) for _ in range(number)]
        missed = sum(stage is None for stage in stages)
        where = ", ".join(f"{sum(s == at for s in stages)} at {weight:.0%}" for at, weight in enumerate(WEIGHTS))
        what = f"twice the errors, {name}: not rolled back"
        report.count(what, missed, int(binom.ppf(1 - LUCK, number, UNCAUGHT)), f" of {number} (caught: {where})")
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
