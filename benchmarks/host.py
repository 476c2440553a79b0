"""A machine that serves and trains: python benchmarks/host.py [--rounds 3] [--seconds 10] [--connections 4] [--quick]

p99 of a replica that serves a small scikit-learn model (tables), asked as fast as it answers: at rest, beside a run of
two training steps that each use all cores, and beside the same run with `nice: 0`, in turns. The steps are real ones
of a real `podium run` (scikit-learn's random forests, a thread per core each). Shown as ratios to p99 at rest, with
the share of its own speed at which the training went on."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from _measuring import Report, parser, per_second, share
from serving import BODIES, Measured, our_server, save, with_python, with_wrk

# p99 beside two training steps, in multiples of that at rest.
BOUND = 1.5
PATIENCE = 120.0
WARM_UP = 2.0
CASES = ("at rest", "beside training", "beside training, nice: 0")
TRAIN = """
import sys
from pathlib import Path
import numpy as np
from sklearn.ensemble import RandomForestClassifier

rows = np.random.default_rng(1).normal(size=(2_000, 20))
truth = rows[:, 0] + rows[:, 1] ** 2 > 1
done = Path(sys.argv[1])
while True:
    RandomForestClassifier(20, n_jobs=-1).fit(rows, truth)
    with done.open("a") as file:
        file.write(".")
"""


@dataclass(frozen=True)
class Round:
    """What was measured once: of the served model, and fits per second of both steps together."""

    served: Measured
    fits: float = 0.0


def project(home: Path, nice: int | None) -> None:
    steps = "\n".join(f"      {name}: {{run: '{sys.executable} train.py {name}'}}" for name in ("one", "two"))
    first = "" if nice is None else f"nice: {nice}\n"
    home.mkdir(exist_ok=True)
    (home / "train.py").write_text(TRAIN)
    (home / "podium.yaml").write_text(f"{first}project: bench\npipelines:\n  main:\n    steps:\n{steps}\n")


def fits(home: Path) -> int:
    return sum((home / name).stat().st_size for name in ("one", "two") if (home / name).exists())


@contextmanager
def training(home: Path) -> Iterator[None]:
    """A run of both steps, from when both train until it is cancelled."""
    podium = str(Path(sys.executable).parent / "podium")
    for name in ("one", "two"):
        (home / name).unlink(missing_ok=True)
    run = subprocess.run(
        [podium, "run", "main", "-d", "--jobs", "2"], cwd=home, capture_output=True, text=True, check=True, timeout=60
    )
    number = run.stdout.strip()
    try:
        deadline = time.monotonic() + PATIENCE
        while not all((home / name).exists() for name in ("one", "two")):
            if time.monotonic() > deadline:
                raise SystemExit("the training does not begin")
            time.sleep(0.1)
        yield
    finally:
        subprocess.run([podium, "cancel", number], cwd=home, capture_output=True, check=True, timeout=60)
        while (found := subprocess.run([podium, "ps", "-o", "json"], cwd=home, capture_output=True, timeout=60)) and (
            b'"running"' in found.stdout
        ):
            time.sleep(0.2)


def asked(url: str, connections: int, seconds: float) -> Measured:
    load = with_wrk if shutil.which("wrk") else with_python
    load(url, BODIES["table"], connections, WARM_UP)
    return load(url, BODIES["table"], connections, seconds)


def measure(case: str, url: str, homes: dict[str, Path], connections: int, seconds: float) -> Round:
    if case not in homes:
        return Round(asked(url, connections, seconds))
    home = homes[case]
    with training(home):
        before, began = fits(home), time.monotonic()
        served = asked(url, connections, seconds)
        return Round(served, (fits(home) - before) / (time.monotonic() - began))


def trained_alone(home: Path, seconds: float) -> float:
    """Fits per second with nothing beside."""
    with training(home):
        before, began = fits(home), time.monotonic()
        time.sleep(seconds)
        return (fits(home) - before) / (time.monotonic() - began)


def tell(report: Report, rounds: dict[str, list[Round]], alone: float) -> None:
    def middle(case: str, name: str) -> float:
        return statistics.median(getattr(each.served, name) for each in rounds[case])

    for case, most in ((CASES[1], BOUND), (CASES[2], None)):
        for name in ("p50", "p99"):
            ours, rest = middle(case, name) / 1e3, middle(CASES[0], name) / 1e3
            report.compare(f"{name} {case}", ours, CASES[0], rest, most=most if name == "p99" else None)
        report.compare(
            f"{case}, answered", middle(case, "rate"), CASES[0], middle(CASES[0], "rate"), show=per_second("requests")
        )
        fits_now = statistics.median(each.fits for each in rounds[case])
        report.figure(f"{case}, speed of the training", share(fits_now / alone if alone else 0.0) + " of that alone")
    report.count("errors", sum(each.served.errors for found in rounds.values() for each in found), 0)


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--rounds", type=int, default=3)
    options_of.add_argument("--seconds", type=float, default=10.0)
    options_of.add_argument("--connections", type=int, default=4)
    options = options_of.parse_args()
    count, seconds = (1, 1.0) if options.quick else (options.rounds, options.seconds)
    report = Report()
    rounds: dict[str, list[Round]] = {case: [] for case in CASES}
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        homes = {CASES[1]: scratch / "low", CASES[2]: scratch / "same"}
        project(homes[CASES[1]], None)
        project(homes[CASES[2]], 0)
        save(scratch / "model", "table")
        alone = trained_alone(homes[CASES[1]], seconds)
        with our_server(scratch / "model", "uvloop", scratch / "server.log") as server:
            for _ in range(count):
                for case in CASES:
                    rounds[case].append(measure(case, server.url, homes, options.connections, seconds))
    tell(report, rounds, alone)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
