"""CI runs of a Git host that answers from memory, for the screen, the commands and the façade."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from podium.core.domain.hosts import (
    CiApproval,
    CiJob,
    CiLog,
    CiRun,
    CiState,
    CiStep,
    HostFeature,
    RateLimit,
    Workflow,
)
from podium.core.errors import NotFound, PodiumError

from .seed import COMMITS, NOW, SeededCockpit

REPO = "acme/flight-delay"
CONFIG = f"\ngit: {{host: {{kind: github, repo: {REPO}}}}}\n"


def run(id: int, name: str, state: CiState, age: float, **more: Any) -> CiRun:
    at = NOW - age
    return CiRun(str(id), REPO, name, state, **{"branch": "main", "number": id, "created": at, "updated": at, **more})


RUNS = (
    run(110, "docs", CiState.RUNNING, 30, sha=COMMITS[3], title="Try a higher rate", event="push", actor="anna"),
    run(109, "release", CiState.WAITING, 300, sha=COMMITS[3], title="Try a higher rate", event="push", actor="anna"),
    run(108, "test", CiState.FAILED, 600, sha=COMMITS[3], title="Try a higher rate", event="push", actor="anna"),
    run(107, "test", CiState.SUCCEEDED, 7200, sha=COMMITS[2], title="Learn until July", event="push", actor="anna"),
    run(106, "test", CiState.FAILED, 9000, sha=COMMITS[1], title="Deeper trees", event="push", actor="anna"),
    run(105, "test", CiState.FAILED, 9900, branch="deeper", title="\x1b[2Jdeeper \u202e::error::x", event="push"),
)
JOBS = (
    CiJob("901", "108", "lint", CiState.SUCCEEDED, started=NOW - 700, ended=NOW - 680),
    CiJob(
        "902",
        "108",
        "unit",
        CiState.FAILED,
        started=NOW - 680,
        ended=NOW - 600,
        reason="exit code 1",
        steps=(
            CiStep(1, "Check out", CiState.SUCCEEDED, NOW - 680, NOW - 670),
            CiStep(2, "pytest", CiState.FAILED, NOW - 670, NOW - 600),
        ),
    ),
    CiJob("903", "108", "deploy", CiState.SKIPPED),
)
LOG = "collected 3 items\n\x1b[31mFAILED\x1b[0m tests/test_model.py::test_auc\n\x1b]0;title\x07E   assert 0.61 > 0.65\n"


class FakeHost:
    """What `open_host` would return. `asked` has every call that changes something, `failing` is raised by the next
    ones."""

    name = f"github.com/{REPO}"
    kind = "github"
    url = f"https://github.com/{REPO}"
    clone_url = f"https://github.com/{REPO}.git"

    def __init__(self, runs: Sequence[CiRun] = RUNS) -> None:
        self.runs = list(runs)
        self.missing: Mapping[HostFeature, str] = {}
        self.rate = RateLimit(5000, 4990)
        self.calls = ()
        self.asked: list[tuple[object, ...]] = []
        self.looks = 0
        self.closed = 0
        self.failing: PodiumError | None = None
        self.waits = (CiApproval("7", "109", "production"),)
        self.pieces: Callable[[str, int], CiLog] = lambda _job, offset: CiLog(LOG[offset:], len(LOG), True)

    def _ask(self, *call: object) -> None:
        if self.failing is not None:
            raise self.failing
        self.asked.append(call)

    def close(self) -> None:
        self.closed += 1

    def ci_runs(self, *, limit: int = 30, sha: str = "", branch: str = "") -> Sequence[CiRun]:
        self.looks += 1
        if self.failing is not None:
            raise self.failing
        return self.runs[:limit]

    def ci_run(self, run: str, repo: str = "") -> CiRun:
        for each in self.runs:
            if each.id == run:
                return each
        raise NotFound(f"{self.name} has no CI run {run}")

    def ci_jobs(self, run: str, repo: str = "") -> Sequence[CiJob]:
        return [replace(job, run=run) for job in JOBS] if run == "108" else []

    def ci_log(self, job: str, *, offset: int = 0, repo: str = "") -> CiLog:
        return self.pieces(job, offset)

    def ci_rerun(self, run: str, *, failed: bool = True, repo: str = "") -> None:
        self._ask("rerun", run, failed)

    def ci_cancel(self, run: str, repo: str = "") -> None:
        self._ask("cancel", run)

    def ci_approvals(self, run: str, repo: str = "") -> Sequence[CiApproval]:
        return [each for each in self.waits if each.run == run]

    def ci_approve(self, approval: CiApproval, *, why: str) -> None:
        self._ask("approve", approval.run, approval.environment, why)

    def workflows(self) -> Sequence[Workflow]:
        return [Workflow("55", "nightly", ".github/workflows/nightly.yml", ("rounds",))]

    def ci_start(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        self._ask("start", workflow, ref, dict(inputs))


def seed_ci(
    cockpit: SeededCockpit, host: FakeHost | None = None, *, configured: bool = False, at: float = NOW
) -> FakeHost:
    """Gives the project a host that was asked just now, unless podium.yaml has one; returns it."""
    from podium.core.triggers.inbox import collect

    host = host or FakeHost()
    if not configured:
        config = cockpit.home / "podium.yaml"
        config.write_text(config.read_text() + CONFIG)
        cockpit.changed()
    cockpit.ci._open = lambda _project: host  # type: ignore[assignment,return-value]
    collect(cockpit.journal, host, at)  # type: ignore[arg-type]
    return host
