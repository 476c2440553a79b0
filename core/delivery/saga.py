"""A change of what an environment serves, as a saga: phases kept in the ledger, each with its undo, so that neither a failure nor a crash leaves
anything half done. The version that served before is never stopped before the new one has been verified."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..domain.delivery import Deployment, DeploymentState, How, Plan, Replica, ReplicaState
from ..domain.runs import Trigger
from ..domain.verdicts import Verdict
from ..errors import PodiumError, Refused, RunFailed, UsageError
from . import analysis, checking, labels, past, phases, plans, proxy, undoing
from .site import Site
from .strategies import FULL, Stage, stages
from .tending import tend

WATCH_SECONDS = 0.5
_RETRIES = 4
_RETRY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a step was asked to do. `force` is a person's reason, empty without one. `seen` is what their plan rested on.

    `asked` is when (seconds since the epoch), for measuring how long it takes until traffic has moved.
    """

    how: How
    version: int
    who: str
    why: str = ""
    trigger: Trigger = Trigger.PERSON
    run_id: int | None = None
    force: str = ""
    seen: Mapping[str, str] = field(default_factory=dict[str, str])
    asked: float = 0.0


def check(site: Site, order: Order, *, holding: bool = False) -> Plan:
    """The plan as the world is now; `holding` when the environment's lock is ours.

    Refused when it must not be carried out, or when the world is not the one that was planned in.
    """
    plan = plans.plan(site.project, site.journal, order.how, site.name, order.version, holding=holding)
    for key, before in order.seen.items():
        now = plan.seen.get(key, before)
        if now != before:
            raise Refused(f"{site.name} changed since this was planned: {key} was {before} and is {now}", hint="look again, then plan anew")
    entry = site.journal.quarantine.find(plan.model, order.version, site.version(order.version).commit)
    if entry is not None and order.trigger is not Trigger.PERSON and order.how is not How.ROLLBACK:
        raise Refused(
            f"version {order.version} or its commit is quarantined, and a {order.trigger} may not deploy it: {entry.why or 'no reason was given'}",
            hint=f"a person can lift it: podium quarantine lift {entry.version}",
        )
    if plan.refusal and not (plan.force and order.force):
        hint = "a person can do it all the same: --force --why REASON; both are kept in the ledger" if plan.force else ""
        raise Refused(plan.refusal, hint=hint)
    return plan


def fetch(site: Site, version: int) -> str:
    """The digest of the version's files, brought here first where they are not. Asks the registry only then."""
    running = next((r.digest for r in site.running(version) if r.digest), None)
    digest = running or site.fetched(version)
    if digest is not None:
        return digest
    from ..registry import open_registry

    site.say(f"fetching {site.project.mlflow.model} version {version}")
    registry = open_registry(site.project.mlflow, site.project.state)
    try:
        return registry.fetch(site.project.mlflow.model, version, site.files(version))
    finally:
        registry.close()


def begin(site: Site, order: Order, digest: str) -> Deployment:
    """The row of the ledger; the environment is ours."""
    commit = site.version(order.version).commit
    deployment = site.journal.ledger.begin(
        environment=site.name, how=order.how, model=site.project.mlflow.model, to_version=order.version,
        from_version=past.serving(site.journal, site.name), who=order.who, why=order.force or order.why,
        run_id=order.run_id, commit=commit, digest=digest,
        strategy="blue-green" if order.how is How.ROLLBACK else site.environment.strategy.kind, forced=bool(order.force),
    )  # fmt: skip
    site.journal.audit.add(order.who, str(order.how), f"{site.name} version {order.version}", order.force or order.why)
    return deployment


class Saga:
    """One deployment under way. `apart` has the registry asked by another process (for the agent). `asked` as in Order."""

    def __init__(self, site: Site, deployment: Deployment, *, asked: float = 0.0, apart: bool = False) -> None:
        self.site = site
        self.deployment = deployment
        self.data: dict[str, object] = dict(deployment.data)
        self.asked = asked or deployment.at
        self.apart = apart
        self.warnings: list[str] = []
        self.before = analysis.Reading({}, {})

    @property
    def version(self) -> int:
        return self.deployment.to_version

    @property
    def forced(self) -> bool:
        return self.deployment.forced

    def run(self) -> Deployment:
        """All phases that are not done yet. On any failure what was changed is put back and the failure raised again."""
        try:
            for phase in phases.after(self.deployment.phase):
                getattr(self, phase)()
                self.note(phase)
        except BaseException as error:
            self.give_up(error)
            raise
        self.site.journal.ledger.finish(self.deployment.id, DeploymentState.SUCCEEDED, "; ".join(self.warnings))
        return self.site.journal.ledger.get(self.deployment.id)

    def note(self, phase: str) -> None:
        self.data = {**self.site.journal.ledger.get(self.deployment.id).data, **self.data}
        self.site.journal.ledger.phase(self.deployment.id, phase, self.data)
        self.deployment = replace(self.deployment, phase=phase)

    def give_up(self, error: BaseException) -> None:
        """Undo; but a rollback whose traffic has moved stays where it is: that was the point of it."""
        reason = str(error) or type(error).__name__
        if self.deployment.how is How.ROLLBACK and phases.reached(self.deployment.phase, phases.SHIFTED):
            self.site.journal.ledger.finish(self.deployment.id, DeploymentState.FAILED, f"traffic has moved, but: {reason}")
            return
        self.site.say("putting back what was")
        problems = undoing.undo(self.site, self.deployment, self._labels_undo)
        left = f" (not all could be put back: {'; '.join(problems)})" if problems else ""
        failed = isinstance(error, PodiumError) and error.exit_code != 130
        state = DeploymentState.FAILED if failed or problems else DeploymentState.UNDONE
        self.site.journal.ledger.finish(self.deployment.id, state, f"{reason}{left}")

    # The phases, by the names in phases.py

    def read(self) -> None:
        """Note what the undo needs, before anything is changed."""
        rows = self.site.replicas()
        missing = [self.site.replica_id(self.version, n) for n in self.site.missing(self.version)]
        self.data |= {
            "weights": {row.id: row.weight for row in rows if row.id not in missing},
            "new": missing,
            "proxy": proxy.alive(self.site.directory),
        }

    def started(self) -> None:
        for number in self.site.missing(self.version):
            self.site.start(self.version, number, self.deployment.digest)

    def healthy(self) -> None:
        """The new replicas answer, and the proxy knows them, with weight 0."""
        began = time.monotonic()
        new = self._new()
        if new:
            self.site.wait_healthy(new, tick=lambda: tend(self.site, skip=new))
            self.data["start_seconds"] = round(time.monotonic() - began, 3)
        if new or not proxy.alive(self.site.directory):
            self.site.sync()

    def warmed(self) -> None:
        new = [row for row in self.site.replicas(self.version) if row.id in self._new()]
        if new:
            self.site.say(f"warm-up: {checking.warm_up(self.site, new, self.site.files(self.version))}")

    def shifted(self) -> None:
        """Traffic goes over, stage by stage."""
        new = [row for row in self.site.replicas(self.version) if self._number(row) <= self.site.environment.replicas]
        old = [row for row in self.site.replicas() if row.weight and row.version != self.version]
        self.site.wait_up([row.slot for row in new])
        strategy = self.site.environment.strategy
        if self.deployment.how is How.ROLLBACK:
            strategy = replace(strategy, kind="blue-green")
        self.before = analysis.read(proxy.stats(self.site.directory), (), latency=False)
        for stage in stages(strategy, [r.id for r in new], [r.id for r in old]):
            reading = analysis.read(proxy.stats(self.site.directory), [*new, *old]) if stage.hold else None
            self.site.weigh(stage.weights)
            if stage.share < FULL:
                self.data["share"] = stage.share
                self.note(self.deployment.phase)
                self._hold(stage, reading, new, old)
        took = time.time() - self.asked
        self.data |= {"share": FULL, "traffic_seconds": round(took, 3)}
        self.site.say(f"version {self.version} has all traffic of {self.site.name}, {took:.2f} s after it was asked for")

    def aliased(self) -> None:
        """Quarantine what was rolled back, and move the aliases. A rollback goes on where the registry does not answer."""
        rollback = self.deployment.how is How.ROLLBACK
        if rollback:
            self._quarantine()
        if not past.carries(self.site.project, self.site.name) or self.deployment.how is How.DEPLOY:
            return
        try:
            for line in self._labels_finish():
                self.site.say(line)
        except PodiumError as error:
            if not rollback:
                raise
            self._warn(f"the aliases were not moved: {error}")

    def drained(self) -> None:
        """Until the old replicas have answered what they were asked, `drain` seconds at most."""
        busy = self.site.drain([row for row in self.site.replicas() if row.state is ReplicaState.DRAINING])
        if busy:
            self._warn(f"{', '.join(sorted(busy))} still answered requests after {self.site.environment.strategy.drain:g} s")
        for row in self.site.replicas():
            if row.state is ReplicaState.DRAINING:
                self.site.journal.replicas.put(replace(row, state=ReplicaState.WARM))

    def verified(self) -> None:
        rows = [row for row in self.site.replicas(self.version) if row.weight]
        if self.deployment.how is not How.ROLLBACK and rows:
            checking.watch(self.site, rows, self.before, seconds=WATCH_SECONDS)
        self.site.say(f"verified: {checking.verify(self.site, self.version)}")

    def kept(self) -> None:
        """Earlier versions beyond `keep` are stopped, never the one that a rollback would bring back first."""
        back = past.good_before(self.site.project, self.site.journal, self.site.name, leaving=self.version)
        serving = past.serving(self.site.journal, self.site.name)
        ranked = [self._next_back(back, serving), serving, *past.earlier(self.site.journal, self.site.name)]
        keep = set(list(dict.fromkeys(v for v in ranked if v not in (None, self.version)))[: self.site.environment.keep])
        surplus = [
            row
            for row in self.site.replicas()
            if not row.weight and row.version not in keep and (row.version != self.version or self._number(row) > self.site.environment.replicas)
        ]
        self.site.retire(surplus)

    # What the phases are made of

    def _new(self) -> list[str]:
        new = self.data.get("new")
        return [str(name) for name in new] if isinstance(new, list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]

    @staticmethod
    def _number(row: Replica) -> int:
        return int(row.slot.rpartition("-")[2])

    def _next_back(self, back: int | None, serving: int | None) -> int | None:
        """What a rollback from the new version will bring back: the one that served until now, unless it is the one being left."""
        if serving in (None, self.version) or self.site.journal.quarantine.find(self.deployment.model, serving):
            return back
        return serving

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        self.site.say(f"warning: {text}")

    def _quarantine(self) -> None:
        left = self.deployment.from_version
        if left is None or left == self.version:
            return
        why = self.deployment.why or f"rolled back from {self.site.name}"
        self.site.journal.quarantine.add(self.deployment.model, left, self.site.version(left).commit, self.deployment.who, why)
        self.site.say(f"version {left} is quarantined")

    def _labels_finish(self) -> list[str]:
        if self.apart:
            return labels.apart(self.site.project, self.deployment, "finish")
        return labels.finish(self.site.project, self.site.journal, self.deployment)

    def _labels_undo(self, deployment: Deployment) -> list[str]:
        if self.apart:
            return labels.apart(self.site.project, deployment, "undo")
        return labels.undo(self.site.project, self.site.journal, deployment)

    def _hold(self, stage: Stage, reading: analysis.Reading | None, new: Sequence[Replica], old: Sequence[Replica]) -> None:
        """Stay at a stage for its time, looking after everything, then judge it; RunFailed unless it may go on."""
        if reading is None:
            self._wait(0.2)
            return
        rules = self.site.environment.strategy.analysis
        self.site.say(f"version {self.version} has {stage.share} % of the traffic for {stage.hold:g} s")
        self._wait(stage.hold)
        found, words = self._judge(rules, reading, new, old)
        for _ in range(_RETRIES):
            if found is not Verdict.ERROR:
                break
            self._wait(min(_RETRY_SECONDS, stage.hold))
            found, words = self._judge(rules, reading, new, old)
        self.site.say(f"{stage.share} %: {found}: {words}")
        if found is Verdict.INCONCLUSIVE and not self.forced:
            raise RunFailed(f"the canary is inconclusive at {stage.share} %: {words}", hint="a person decides: --force --why REASON goes on")
        if found in (Verdict.FAIL, Verdict.ERROR):
            raise RunFailed(f"the canary ends in {found} at {stage.share} %: {words}", hint="the version before has all traffic again")

    def _judge(
        self, rules: Sequence[Mapping[str, object]], reading: analysis.Reading, new: Sequence[Replica], old: Sequence[Replica]
    ) -> tuple[Verdict, str]:
        if not rules:
            return Verdict.PASS, "nothing is analysed"
        after = analysis.read(proxy.stats(self.site.directory), [*new, *old])
        fresh, before = (analysis.window(reading, after, [row.slot for row in rows]) for rows in (new, old))
        results = analysis.judge(rules, fresh, before)
        return analysis.verdict(results), "; ".join(result.message for result in results)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            tend(self.site)
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 1.0))


def ensure_possible(site: Site) -> None:
    """UsageError before anything is fetched or started where the environment's port belongs to somebody else."""
    from . import ports

    if not proxy.alive(site.directory):
        ports.require(site.environment.bind, site.environment.port, environment=site.name)
    if site.environment.replicas < 1:
        raise UsageError(f"environments.{site.name}.replicas is {site.environment.replicas}", hint="at least 1")
