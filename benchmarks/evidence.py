"""What evidence costs: python benchmarks/evidence.py [--mebibytes 256] [--rounds 5] [--quick]

Hashing a model's files beside `sha256sum`: CPU time of one large file, and time on the clock of eight files, which are
hashed in parallel. A whole bundle, its files' digests known, beside the start of Python; both by CPU time, with that of
ssh-keygen and git. And the share that checking signatures takes of promotions in which replicas start (`verify:
required`), measured within the promotions, of a real project with MLflow's store, the real serving app and HAProxy.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _measuring import Report, cost, free_port, in_turns, parser, share, timing
from podium.core.config import load
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.rollout.carry_out import RolloutRequest, carry_out
from podium.core.domain.delivery import How
from podium.core.evidence import bundle
from podium.core.evidence.release import release
from podium.core.evidence.subject import named
from podium.core.journal import Journal
from podium.core.signatures import required
from podium.core.signatures.hashing import digests
from rollback import podium, register

# Of `sha256sum`: at least 0.8 of its speed on one core; in parallel over files, as far as there are two.
ONE_CORE, PARALLEL = 1 / 0.8, 0.8
# Starts of Python, of 15 ms on a quiet machine: a second.
BUNDLE = 66.0
PROMOTION = 0.05
FILES = 8
PODIUM_YAML = """\
project: iris
pipelines: {{release: {{steps: {{one: {{run: "true"}}}}}}}}
evidence: {{signers: allowed_signers, key: {key}}}
environments:
  production: {{port: {port}, replicas: 2, keep: 0, verify: required, strategy: {{blue-green: {{drain: 1s}}}}}}
"""


def cpu() -> float:
    """Returns the CPU seconds of this process and of the children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


def hashing(report: Report, scratch: Path, mebibytes: int, rounds: int) -> None:
    one, many = scratch / "one", scratch / "many"
    for place in (one, many):
        place.mkdir()
    block = os.urandom(1 << 20)
    for path, size in [
        (one / "weights", mebibytes),
        *((many / str(each), mebibytes // FILES) for each in range(FILES)),
    ]:
        with path.open("wb") as file:
            for _ in range(size):
                file.write(block)
    names = sorted(map(str, many.iterdir()))
    found = in_turns(
        {
            "one": timing(lambda: digests(None, one), cpu),
            "sha256sum": lambda: cost(["sha256sum", str(one / "weights")]).cpu,
            "many": timing(lambda: digests(None, many)),
            "sha256sum of many": lambda: cost(["sha256sum", *names]).seconds,
        },
        rounds,
    )
    report.compare(f"a file of {mebibytes} MiB, CPU", found["one"], "sha256sum", found["sha256sum"], most=ONE_CORE)
    most = PARALLEL if len(os.sched_getaffinity(0)) > 1 else ONE_CORE
    report.compare(
        f"{FILES} files of {mebibytes // FILES} MiB, clock",
        found["many"],
        "sha256sum",
        found["sha256sum of many"],
        most=most,
    )


class Signed:
    """A project with two versions that are signed, and an environment that serves nothing else."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        key = home / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        (home / "allowed_signers").write_text(f"anna {key.with_name('key.pub').read_text()}")
        (home / "podium.yaml").write_text(PODIUM_YAML.format(port=free_port(), key=key.name))
        register(home)
        podium(home, "versions")
        self.project = load(home)
        self.journal = Journal.open(self.project.state / "journal.db")
        self.runtime = EnvironmentRuntime(self.project, self.journal, self.project.environment("production"))
        self.spent = 0.0
        for number in (1, 2):
            release(self.subject(number), None, who="anna", force=True, why="a benchmark")

    def subject(self, number: int) -> Any:
        version = self.journal.versions.get(self.project.mlflow.model, number)
        assert version is not None
        return named(self.project, self.journal, version)

    def watched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the call with the time that it takes added to `spent`."""

        def measured(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*given, **named)
            finally:
                self.spent += time.perf_counter() - began

        return measured

    def promote(self, number: int) -> float:
        """Returns how long it took."""
        began = time.perf_counter()
        carry_out(self.runtime, RolloutRequest(How.DEPLOY, number, "anna"))
        return time.perf_counter() - began


def promotions(report: Report, project: Signed, rounds: int) -> None:
    required.ensure = project.watched(required.ensure)
    required.why_not = project.watched(required.why_not)
    project.promote(1)
    project.spent, whole = 0.0, 0.0
    for turn in range(rounds):
        required._judged.cache_clear()  # as in a new process
        whole += project.promote(2 - turn % 2)
    report.compare(
        f"checking signatures, of {rounds} promotions", project.spent, "the promotions", whole, most=PROMOTION
    )
    report.figure("a share of", share(project.spent / whole))


def bundles(report: Report, project: Signed, scratch: Path, rounds: int) -> None:
    subject = project.subject(1)
    bundle.write(subject, scratch / "bundle 0")
    numbers = iter(range(1, 1_000))
    found = in_turns(
        {
            "bundle": timing(lambda: bundle.write(subject, scratch / f"bundle {next(numbers)}"), cpu),
            "python": lambda: cost([sys.executable, "-c", "pass"]).cpu,
        },
        rounds,
    )
    report.compare(
        "a bundle, its files' digests known, CPU", found["bundle"], "python -c pass", found["python"], most=BUNDLE
    )


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--mebibytes", type=int, default=256)
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    size, rounds = (16, 1) if asked.quick else (asked.mebibytes, asked.rounds)
    report = Report()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CONFIG_HOME"] = f"{scratch}/config"
        hashing(report, Path(scratch), size, rounds)
        project = Signed(Path(scratch) / "home")
        try:
            bundles(report, project, Path(scratch), rounds)
            promotions(report, project, rounds)
        finally:
            podium(project.project.home, "stop", "-e", "production", "--yes")
            project.journal.close()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
