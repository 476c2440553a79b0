"""A project with a history, for the tests of the screens and for the README's picture: real journal, real logs, fixed
times.

Only what needs processes (proxy, replicas, agent) is said rather than real: `SeededCockpit` overrides those
questions of the façade and no other.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from podium.core.alerts.standing import statuses
from podium.core.changes import RUN_VERBS, ensure_agreed
from podium.core.cockpit import Cockpit
from podium.core.cockpit.agent import Agent
from podium.core.cockpit.alerts import Alerts
from podium.core.cockpit.changes import Changes
from podium.core.cockpit.containers import Containers
from podium.core.cockpit.environments import Environments
from podium.core.cockpit.runs import Runs
from podium.core.delivery.rollout import canary_plans
from podium.core.domain.containers import EngineSnapshot
from podium.core.domain.delivery import (
    CanaryRequest,
    CanaryStatus,
    Deployment,
    DeploymentState,
    EnvironmentStatus,
    How,
    Replica,
    ReplicaState,
)
from podium.core.domain.models import Version
from podium.core.domain.monitoring import AlertStatus
from podium.core.domain.plans import Change, Plan, VersionChange
from podium.core.domain.repair import Difference, DifferenceKind, Severity
from podium.core.domain.runs import PIPELINE, Run, RunState, Step, StepState, Trigger
from podium.core.domain.verdicts import CheckResult, GateReport, Verdict
from podium.core.domain.watching import SIGNALS, AgentStatus, Sample
from podium.core.engine.paths import step_log
from podium.core.journal import Journal

NOW = 1_763_892_600.0  # 2025-11-23 10:10:00 UTC
MODEL = "flight-delay"
PROJECT = """\
project: flight-delay
pipelines:
  release:
    on: {push: main}
    params: {until: 2013-07}
    steps:
      unit: {run: pytest -q tests}
      data: {run: "python prepare.py", outputs: [data/]}
      train:
        needs: [unit, data]
        matrix: {depth: [4, 8], rate: [0.05, 0.1]}
        run: python train.py --depth ${{ matrix.depth }} --rate ${{ matrix.rate }}
      candidate:  {uses: register, needs: [train], metric: roc_auc, goal: maximize}
      gate:       {uses: gate, needs: [candidate], gate: quality}
      staging:    {uses: deploy, needs: [gate], environment: staging}
      smoke:      {run: python smoke.py, needs: [staging]}
      production: {uses: promote, needs: [smoke], environment: production, approval: required}
gates:
  quality: {data: data/test.parquet, target: late, checks: [{metric: roc_auc, at_least: 0.6}]}
environments:
  staging:    {driver: process, port: 5101}
  production: {driver: process, port: 5100, replicas: 2, protected: true}
"""
COMMITS = (
    "9c1f2ab4d05e77aa10c3b2b5d0f7e1a2c3d4e5f6",
    "4be07d1922cf4a6c8d9e0f1a2b3c4d5e6f708192",
    "e81a55c3047b9d6e2f1a0b9c8d7e6f5a4b3c2d1e",
    "71d3c0feb8a24956103f7e8d9c0b1a2f3e4d5c6b",
)
_STEPS: tuple[tuple[str, tuple[str, ...], str, float], ...] = (
    ("unit", (), "", 3.2),
    ("data", (), "", 4.1),
    ("train[depth=4,rate=0.05]", ("unit", "data"), "", 9.4),
    ("train[depth=4,rate=0.1]", ("unit", "data"), "", 8.8),
    ("train[depth=8,rate=0.05]", ("unit", "data"), "", 12.7),
    ("train[depth=8,rate=0.1]", ("unit", "data"), "", 12.1),
    ("candidate", tuple(f"train[depth={d},rate={r}]" for d in (4, 8) for r in ("0.05", "0.1")), "register", 1.4),
    ("gate", ("candidate",), "gate", 2.6),
    ("staging", ("gate",), "deploy", 2.2),
    ("smoke", ("staging",), "", 0.8),
    ("production", ("smoke",), "promote", 2.9),
)


class _Runs(Runs):
    """Runs count as alive, for no worker stands behind them."""

    def recover(self) -> list[int]:
        return []

    def shell_command(self, run: int, step: str, *, program: Sequence[str]) -> list[str]:
        return ["shell-of", str(run), step]


class _Agent(Agent):
    def __init__(self, seeded: SeededCockpit) -> None:
        super().__init__(seeded._opened)
        self.seeded = seeded

    def status(self) -> AgentStatus:
        return self.seeded.agent_status


class _Alerts(Alerts):
    def __init__(self, seeded: SeededCockpit) -> None:
        super().__init__(seeded._opened)
        self.seeded = seeded

    def list(self) -> Sequence[AlertStatus]:
        return statuses(self.seeded.project.config, self._opened.journal, self.seeded.clock_now)


class _Containers(Containers):
    def __init__(self, seeded: SeededCockpit) -> None:
        super().__init__(seeded._opened)
        self.seeded = seeded

    def shell_command(
        self, environment: str, container: str, *, program: Sequence[str], confirmed: str = ""
    ) -> list[str]:
        super().shell_command(environment, container, program=program, confirmed=confirmed)
        return ["shell-in", f"{environment}/{container}"]

    def look(self, environment: str) -> EngineSnapshot | None:
        snapshot = self._opened.journal.snapshots.get(environment)
        return (
            None
            if snapshot is None or not self.seeded.looks
            else replace(snapshot, at=self.seeded.clock_now, message="")
        )


class _Environments(Environments):
    def __init__(self, seeded: SeededCockpit) -> None:
        super().__init__(seeded._opened)
        self.seeded = seeded

    def list(self) -> Sequence[EnvironmentStatus]:
        return [self._status(name) for name in self._opened.config.environments]

    def get(self, name: str) -> EnvironmentStatus:
        return self._status(name)

    def _status(self, name: str) -> EnvironmentStatus:
        spec = self._opened.config.environments[name]
        current = self._opened.journal.ledger.current(name)
        replicas = tuple(self._opened.journal.replicas.of(name))
        back = next((r.version for r in replicas if r.state is ReplicaState.WARM), None)
        return EnvironmentStatus(
            name,
            spec.driver,
            f"http://127.0.0.1:{spec.port}",
            spec.protected,
            "champion" if spec.protected else "",
            "blue-green",
            current.to_version if current else None,
            back,
            current,
            replicas,
            differences=tuple(
                Difference(DifferenceKind.ALIAS, name, words, Severity.WARNING)
                for words in self.seeded.differences
                if spec.protected
            ),
            rollback_to=back,
            rollback_seconds=0.4 if back else None,
            rollback_note=f"version {back} is warm" if back else "there is no earlier version to go back to",
            proxy_alive=current is not None,
            canary=self.seeded.canaries.get(name),
            model=self._opened.config.model_of(name),
        )

    def canary(self, environment: str) -> CanaryStatus | None:
        return self.seeded.canaries.get(environment)


class _Changes(Changes):
    """Plans are made up, except those for a canary and a shell; what is applied is written down."""

    def __init__(self, seeded: SeededCockpit) -> None:
        super().__init__(seeded._opened)
        self.seeded = seeded

    def plan(self, verb: str, target: str, **arguments: Any) -> Plan:
        if verb in RUN_VERBS:
            return super().plan(verb, target, **arguments)
        config = self._opened.config.environment(target)
        if verb in set(CanaryRequest):
            return canary_plans.planned(config, self.seeded.canaries[target], CanaryRequest(verb))
        if verb == "shell":
            return super().plan(verb, target, **arguments)
        made = {"repair": self._repair, "restart": self._restart}.get(verb)
        plan = made(target, **arguments) if made is not None else self._rollout(verb, target, **arguments)
        return replace(plan, type_to_confirm=target if config.protected else "")

    def _repair(self, target: str) -> Plan:
        found = (
            Difference(
                DifferenceKind.GONE,
                f"{target}-v3-1",
                f"{target}-v3-1 is gone: its container was removed",
                repair="start it again",
            ),
            Difference(
                DifferenceKind.WEIGHT,
                f"{target}-v3-2",
                f"the proxy gives {target}-v3-2 weight 50 instead of 100",
                Severity.WARNING,
                "set it to 100",
            ),
            Difference(
                DifferenceKind.STRAY,
                "quirky_euler",
                "quirky_euler has this environment's labels and is not known",
                Severity.WARNING,
            ),
        )
        steps = (
            f"start {target}-v3-1 again from e3b0c44298fc",
            "wait until it is healthy",
            "tell the proxy the weights",
        )
        left = "a repair can do nothing about this: quirky_euler has this environment's labels and is not known"
        return Plan(
            target,
            "repair",
            f"Repair {target}",
            "Repair",
            f"podium repair -e {target}",
            differences=found,
            steps=steps,
            warnings=(left,),
            expected_seconds=6.0,
            kept_in="audit",
        )

    def _restart(self, target: str, *, replica: str) -> Plan:
        steps = (
            "take its traffic away",
            f"restart the container of {replica}",
            "wait until it is healthy",
            "give it its traffic back",
        )
        what = f"the proxy of {target}" if replica == "proxy" else replica
        return Plan(
            target,
            "restart",
            f"Restart {what}",
            "Restart",
            f"podium repair -e {target} --restart {replica}",
            steps=steps,
            expected_seconds=4.0,
            step="repair",
            arguments={"restart": replica},
            kept_in="audit",
        )

    def _rollout(self, verb: str, target: str, *, version: int | None = None, force: bool = False) -> Plan:
        versions = {v.version: v for v in self.seeded.models.versions()}
        promotes = verb != "rollback"
        number = version or (4 if promotes else 2)
        action = {"promote": "Promote", "deploy": "Deploy"}.get(verb, "Roll back")
        return Plan(
            target,
            verb,
            f"{action} {MODEL} v{number} to {target}" if promotes else f"{action} {target} to v{number}",
            action,
            f"podium {verb} v{number} -e {target}",
            changes=(
                Change(f"traffic of {target}", "v3", f"v{number}"),
                Change("alias champion", "v3", f"v{number}"),
                Change("alias previous", "v2", "v3"),
            ),
            steps=(
                f"start 2 replicas of version {number} beside what serves",
                "wait until they are healthy, and have each predict",
                f"give version {number} all traffic at once",
                "move the aliases in the registry",
                "let requests in flight finish; keep 1 earlier version warm",
                "verify which version answers",
            ),
            expected_seconds=6.0 if promotes else 0.4,
            versions=VersionChange(MODEL, number, 3, versions.get(number), versions.get(3)),
            arguments={"version": str(number)},
            refusal=self.seeded.refusal,
            overridable=bool(self.seeded.refusal),
        )

    def apply(self, plan: Plan, *, confirmed: str = "", why: str = "", force: bool = False) -> Run | None:
        ensure_agreed(plan, confirmed=confirmed, why=why, force=force)
        if plan.verb in RUN_VERBS:
            self.seeded.continued.append((plan, why))
            return None
        if plan.verb in set(CanaryRequest):
            self.seeded.requested.append((plan.target, CanaryRequest(plan.verb), why))
            return None
        if plan.versions is not None:
            self.seeded.applied.append((plan, why, force))
            kind = plan.verb
        else:
            self.seeded.repaired.append((plan.target, plan.arguments.get("restart", ""), why))
            kind = "deploy"
        journal, now = self._opened.journal, self.seeded.clock_now
        return _create(journal, kind, plan.target, COMMITS[0], now, why=why, params=plan.arguments)


class SeededCockpit(Cockpit):
    """The façade on a seeded journal. A test may replace what is said of agent, differences and canaries, and finds
    in `applied`, `repaired`, `requested` and `continued` what was asked."""

    agent_status = AgentStatus(True, 4242, "build-1", "anna from 10.0.0.7", NOW - 86_400, NOW)
    differences: tuple[str, ...] = ()
    canaries: Mapping[str, CanaryStatus] = {}
    clock_now = NOW
    looks = True
    refusal = ""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.applied: list[tuple[Plan, str, bool]] = []
        self.repaired: list[tuple[str, str, str]] = []
        self.requested: list[tuple[str, CanaryRequest, str]] = []
        self.continued: list[tuple[Plan, str]] = []
        self.runs = _Runs(self._opened)
        self.agent = _Agent(self)
        self.alerts = _Alerts(self)
        self.containers = _Containers(self)
        self.environments = _Environments(self)
        self.changes = _Changes(self)


def seed(home: Path, *, runs: int = 14, config: str = PROJECT, now: float = NOW) -> SeededCockpit:
    """Write the project into `home`; the cockpit to show it with."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "podium.yaml").write_text(config, encoding="utf-8")
    state = home / ".podium"
    state.mkdir(mode=0o700, exist_ok=True)
    with Journal.open(state / "journal.db") as journal, journal.transaction():
        _versions(journal, now)
        _runs(journal, state, runs, now)
        _environments(journal, now)
        _samples(journal, now)
    cockpit = SeededCockpit(home)
    cockpit.clock_now = now
    return cockpit


def empty(home: Path, *, config: str = PROJECT) -> SeededCockpit:
    """A project of which nothing was ever run."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "podium.yaml").write_text(config, encoding="utf-8")
    (home / ".podium").mkdir(mode=0o700, exist_ok=True)
    Journal.open(home / ".podium" / "journal.db").close()
    cockpit = SeededCockpit(home)
    cockpit.agent_status = AgentStatus(False, message="no agent watches this project")
    return cockpit


def _sql(journal: Journal, sql: str, values: Sequence[object]) -> None:
    journal._database.run(sql, values)


def _create(
    journal: Journal,
    kind: str,
    name: str,
    commit: str,
    at: float,
    *,
    trigger: Trigger = Trigger.PERSON,
    why: str = "",
    params: dict[str, str] | None = None,
    dirty: bool = False,
) -> Run:
    who = "anna from 10.0.0.7" if trigger is Trigger.PERSON else "agent"
    return journal.runs.create(
        kind=kind,
        name=name,
        trigger=trigger,
        who=who,
        why=why,
        commit=commit,
        branch="main",
        dirty=dirty,
        params=params or {},
        created=at,
    )


def _runs(journal: Journal, state: Path, count: int, now: float) -> None:
    """Old runs that all went well, and above them the interesting ones."""
    interesting = 7
    for index in range(max(0, count - interesting)):
        at = now - 86_400 * 2 - 1800.0 * (count - index)
        run = _create(
            journal,
            PIPELINE,
            "release",
            COMMITS[index % 4],
            at,
            trigger=Trigger.SCHEDULE if index % 5 == 0 else Trigger.PUSH,
        )
        _finish(journal, run, RunState.SUCCEEDED, at, at + 38 + index % 7)
    at = now - 26 * 3600
    run = _create(
        journal,
        PIPELINE,
        "release",
        COMMITS[0],
        at,
        trigger=Trigger.PUSH,
        why="push to main",
        params={"until": "2013-07"},
    )
    _steps(journal, state, run, at, {})
    _finish(journal, run, RunState.SUCCEEDED, at, at + 41)
    run = _create(
        journal,
        "promote",
        "production",
        COMMITS[0],
        now - 25 * 3600,
        params={"version": "3"},
        why="autumn schedule",
    )
    _finish(journal, run, RunState.SUCCEEDED, now - 25 * 3600, now - 25 * 3600 + 6.1)
    at = now - 5 * 3600
    run = _create(
        journal,
        PIPELINE,
        "release",
        COMMITS[1],
        at,
        trigger=Trigger.PUSH,
        why="push to main",
        params={"until": "2013-07"},
    )
    _steps(journal, state, run, at, {"gate": StepState.FAILED}, cached={"unit", "data"})
    _finish(journal, run, RunState.FAILED, at, at + 24, "gate quality refused v2: roc_auc is lower than the champion's")
    at = now - 3 * 3600
    run = _create(journal, PIPELINE, "nightly", COMMITS[1], at, trigger=Trigger.SCHEDULE, why="0 3 * * *")
    _finish(journal, run, RunState.CANCELLED, at, at + 12, "cancelled by anna from 10.0.0.7")
    at = now - 2 * 3600
    run = _create(
        journal,
        PIPELINE,
        "release",
        COMMITS[2],
        at,
        dirty=True,
        why="trying rate 0.2",
        params={"until": "2013-08"},
    )
    _steps(journal, state, run, at, {"train[depth=8,rate=0.1]": StepState.INTERRUPTED})
    _finish(journal, run, RunState.INTERRUPTED, at, at + 31, "its worker is gone")
    at = now - 300
    run = _create(
        journal,
        PIPELINE,
        "release",
        COMMITS[3],
        at,
        trigger=Trigger.PUSH,
        why="push to main",
        params={"until": "2013-07"},
    )
    _steps(journal, state, run, at, {"production": StepState.WAITING}, cached={"unit", "data"})
    _sql(journal, "UPDATE runs SET state = 'waiting', started = ? WHERE id = ?", (at, run.id))
    at = now - 21
    run = _create(
        journal,
        PIPELINE,
        "release",
        COMMITS[3],
        at,
        trigger=Trigger.PERSON,
        why="with a longer window",
        params={"until": "2013-08"},
    )
    _steps(
        journal,
        state,
        run,
        at,
        {"train[depth=8,rate=0.1]": StepState.RUNNING, "train[depth=8,rate=0.05]": StepState.RUNNING},
    )
    _sql(journal, "UPDATE runs SET state = 'running', started = ? WHERE id = ?", (at, run.id))


def _finish(journal: Journal, run: Run, state: RunState, started: float, ended: float, message: str = "") -> None:
    _sql(
        journal,
        "UPDATE runs SET state = ?, started = ?, ended = ?, message = ? WHERE id = ?",
        (str(state), started, ended, message, run.id),
    )


def _steps(
    journal: Journal, state: Path, run: Run, at: float, stops: dict[str, StepState], cached: set[str] | None = None
) -> None:
    """The steps of a release; those in `stops` are where it stands, what needs them has not run."""
    ends: dict[str, float | None] = {}
    steps: list[Step] = []
    for position, (name, needed, uses, took) in enumerate(_STEPS):
        known = [ends.get(need) for need in needed]
        if any(end is None for end in known):
            over = any(s in (StepState.FAILED,) for s in stops.values())
            steps.append(
                Step(
                    run.id,
                    name,
                    position,
                    StepState.SKIPPED if over else StepState.PENDING,
                    needed,
                    uses,
                    message="gate failed" if over else "",
                )
            )
            ends[name] = None
            continue
        started = max([at + 0.2, *(end for end in known if end is not None)])
        outcome = stops.get(name, StepState.SUCCEEDED)
        is_cached = name in (cached or ())
        ended = started + (0.05 if is_cached else took)
        ends[name] = ended if outcome is StepState.SUCCEEDED else None
        results: dict[str, object] = {}
        message = ""
        if uses == "register":
            results = {"version": 4, "model": MODEL}
        if uses == "gate":
            results = {"verdict": "fail" if outcome is StepState.FAILED else "pass", "version": 4}
        if outcome is StepState.WAITING:
            message = "waits for approval"
        shown_end = None if outcome in (StepState.RUNNING, StepState.WAITING) else ended
        steps.append(
            Step(
                run.id,
                name,
                position,
                outcome,
                needed,
                uses,
                "" if uses else f"python {name.split('[')[0]}.py",
                1,
                is_cached,
                run.id - 1 if is_cached else None,
                f"key-{run.id}-{name}",
                0 if outcome is StepState.SUCCEEDED else None,
                started,
                shown_end,
                message,
                results,
            )
        )
        write_log(state, run.id, name, started, outcome)
    journal.steps.add(run.id, steps)


def write_log(state: Path, run_id: int, name: str, at: float, outcome: StepState, *, rounds: int = 60) -> Path:
    """A log such as a training script writes, in the stored form."""
    path = step_log(state, run_id, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [("p", f"step {name}, run {run_id}, attempt 1")]
    if name.startswith("train"):
        chance = random.Random(f"{run_id}{name}")
        lines += [
            ("o", "reading data/train.parquet: 173,018 rows, 14 features"),
            ("e", "UserWarning: 1,204 rows without weather were left out"),
        ]
        auc = 0.612
        for round_ in range(1, rounds + 1):
            auc += (0.742 - auc) * 0.06 + chance.uniform(-0.0006, 0.0006)
            if round_ % 20 == 0:
                lines.append(
                    ("o", f'{{"level": "info", "message": "checkpoint", "round": {round_}, "roc_auc": {auc:.4f}}}')
                )
            else:
                lines.append(("o", f"round {round_:>3}  loss {0.69 - (auc - 0.6):.4f}  roc_auc {auc:.4f}"))
    elif name == "unit":
        lines += [
            ("o", "...................                                                      [100%]"),
            ("o", "\x1b[32m19 passed\x1b[0m in 2.81s"),
        ]
    elif name == "gate" and outcome is StepState.FAILED:
        lines += [
            ("o", "quality: comparing v4 with champion v3 on 41,732 rows"),
            ("e", "roc_auc 0.7011 against 0.7198: difference -0.0187 (95 %: -0.0231 … -0.0142) is below -0.005"),
        ]
    else:
        lines += [("o", f"{name} is done")]
    if outcome is StepState.SUCCEEDED:
        lines.append(("p", "exit code 0"))
    with path.open("w", encoding="utf-8") as file:
        for index, (stream, text) in enumerate(lines):
            stamp = at + index * 0.13
            file.write(
                f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(stamp))}.{int(stamp * 1000) % 1000:03d}Z {stream}"
                f" {text}\n"
            )
    return path


def _versions(journal: Journal, now: float) -> None:
    figures = ((0.6872, 0.4021, 0.4187), (0.7011, 0.3954, 0.4102), (0.7198, 0.3871, 0.4311), (0.7263, 0.3829, 0.4298))
    versions = [
        Version(
            MODEL,
            number,
            now - 86_400 * (8 - 2 * number),
            mlflow_run=f"{number}a7c2e1f09b34d8e",
            commit=COMMITS[number - 1],
            run_id=number,
            digest=f"sha256:{number}f3a9c1e27b4",
            aliases={4: ("challenger",), 3: ("champion",), 2: ("previous",)}.get(number, ()),
            verdict=Verdict.FAIL if number == 1 else Verdict.PASS,
            metrics={"roc_auc": auc, "log_loss": loss, "recall": recall},
            params={"depth": str(4 + 4 * (number > 2)), "rate": "0.05" if number < 4 else "0.1", "rounds": "60"},
        )
        for number, (auc, loss, recall) in enumerate(figures, 1)
    ]
    journal.versions.replace(MODEL, versions[::-1], "seed")
    journal.gates.add(
        GateReport(
            "quality",
            MODEL,
            4,
            3,
            Verdict.PASS,
            (
                CheckResult("roc_auc at least 0.6", Verdict.PASS, "0.7263", 0.7263, None, None, None, 0.6, 41_732),
                CheckResult(
                    "roc_auc vs champion",
                    Verdict.PASS,
                    "+0.0065, 95 % +0.0031 … +0.0099, margin 0.005",
                    0.7263,
                    0.7198,
                    0.0031,
                    0.0099,
                    -0.005,
                    41_732,
                ),
                CheckResult("latency p95", Verdict.PASS, "8.1 ms, at most 50 ms", 0.0081, None, None, None, 0.05, 200),
                CheckResult("schema unchanged", Verdict.PASS, "14 columns as before"),
            ),
            now - 280,
            13,
            "data/test.parquet",
            41_732,
        )
    )
    journal.gates.add(
        GateReport(
            "quality",
            MODEL,
            1,
            None,
            Verdict.FAIL,
            (
                CheckResult(
                    "recall at least 0.42", Verdict.FAIL, "0.4187 is below 0.42", 0.4187, None, None, None, 0.42, 41_732
                ),
            ),
            now - 86_400 * 6,
            1,
            "data/test.parquet",
            41_732,
        )
    )


def _environments(journal: Journal, now: float) -> None:
    history = (
        ("staging", How.DEPLOY, 3, 2, 27 * 3600, "agent", "push to main"),
        ("production", How.PROMOTE, 2, 1, 60 * 3600, "anna from 10.0.0.7", "more data"),
        ("production", How.ROLLBACK, 1, 2, 55 * 3600, "ben", "p95 doubled"),
        ("production", How.PROMOTE, 2, 1, 50 * 3600, "anna from 10.0.0.7", "with the index back"),
        ("production", How.PROMOTE, 3, 2, 25 * 3600, "anna from 10.0.0.7", "autumn schedule"),
        ("staging", How.DEPLOY, 4, 3, 290, "agent", "push to main"),
    )
    for environment, how, to, before, age, who, why in history:
        row: Deployment = journal.ledger.begin(
            environment=environment,
            how=how,
            model=MODEL,
            to_version=to,
            from_version=before,
            who=who,
            why=why,
            commit=COMMITS[to - 1],
            strategy="blue-green",
            run_id=9,
        )
        journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
        _sql(
            journal,
            "UPDATE deployments SET at = ?, ended = ? WHERE id = ?",
            (now - age, now - age + (0.4 if how is How.ROLLBACK else 6.1), row.id),
        )
    rows = (
        ("staging", 4, ReplicaState.READY, 100, 290),
        ("production", 3, ReplicaState.READY, 100, 25 * 3600),
        ("production", 3, ReplicaState.READY, 100, 25 * 3600),
        ("production", 2, ReplicaState.WARM, 0, 50 * 3600),
    )
    for index, (environment, version, state, weight, age) in enumerate(rows):
        journal.replicas.put(
            Replica(
                f"{environment}-v{version}-{index}",
                environment,
                version,
                f"s{index + 1}",
                42_100 + index,
                state,
                weight=weight,
                started=now - age,
            )
        )


def _samples(journal: Journal, now: float, *, seconds: int = 900) -> None:
    """A quarter of an hour in which the requests wander like a day's traffic."""
    chance = random.Random(7)
    samples: list[Sample] = []
    for second in range(0, seconds, 5):
        at = now - seconds + second
        load = 120 + 60 * math.sin(second / 130) + chance.uniform(-8, 8)
        values = {
            "requests": load,
            "error_rate": 0.004 if 500 < second < 560 else 0.0,
            "latency_p50": 0.0031 + load / 90_000,
            "latency_p95": 0.0078 + load / 30_000 + chance.uniform(0, 0.001),
            "latency_p99": 0.013 + load / 20_000,
            "cpu": load / 500,
            "memory": 161e6 + second * 4_000,
        }
        samples += [Sample("production", signal, at, values[signal]) for signal in SIGNALS]
        samples += [
            Sample("staging", signal, at, values[signal] * (0.05 if signal in ("requests", "cpu") else 1))
            for signal in SIGNALS
        ]
    journal.samples.add(samples)
