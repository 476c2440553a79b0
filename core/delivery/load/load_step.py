"""The check `load` of a gate: the candidate, where it is staged, under a stated rate of requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...domain.delivery import Replica
from ...domain.gates.checks import LoadCheck
from ...domain.models import CHAMPION, Version
from ...domain.project import Check
from ...domain.text.format import count, milliseconds
from ...domain.verdicts import CheckResult, Verdict
from ...errors import PodiumError, Refused, RunFailed
from ...quality.reasons import told
from ..environment import history
from ..environment.front import own_ways
from ..environment.runtime import EnvironmentRuntime, ensure_same_model
from ..proxy.transport import DirectTransport
from ..replay.shadows import Shadows
from ..rollout import verify
from ..rollout.carry_out import fetch
from .driving import Load, LoadRequest, send
from .judging import LoadFigures, figures, late, limits, memory, slowdown, too_slow
from .memory import Memory
from .requests import requests_for

if TYPE_CHECKING:
    from ...engine.context import StepContext

# How often candidate and champion are measured beside each other, and how long both are used to the load before.
_PAIRS = 6
_SETTLE_SECONDS = 2.0


def gate_check(context: StepContext, check: Check, candidate: Version) -> Sequence[CheckResult]:
    """Carries out the check: one result for each limit. A version that is not staged, a generator that cannot keep the
    rate, or a replica that changes meanwhile is an error."""
    assert check.load is not None
    name = f"load on {check.load.environment}"
    try:
        return _LoadTest(context, check.load, candidate, name).carry_out()
    except PodiumError as error:
        if error.exit_code == 130:
            raise
        return (CheckResult(name, Verdict.ERROR, told(error)),)


class _LoadTest:
    def __init__(self, context: StepContext, check: LoadCheck, candidate: Version, name: str) -> None:
        self._context, self._check, self._candidate, self._name = context, check, candidate, name
        config = context.project.environment(check.environment)
        self._runtime = EnvironmentRuntime(context.project, context.journal, config, say=context.log)

    def carry_out(self) -> Sequence[CheckResult]:
        runtime, context = self._runtime, self._context
        self._ensure_staged()
        why = f"load of version {self._candidate.version}"
        with context.journal.locks.take(f"load on {runtime.name}", context.run.who, why):
            files = runtime.files.directory(self._candidate.version)
            requests, words = requests_for(runtime, context, self._candidate, files)
            runtime.say(f"{self._check.rate:g} requests/s for {self._check.seconds:g} s: {words}")
            results = self._through_the_front(requests)
            return [*results, *(self._beside_the_champion(requests) if self._check.compare else ())]

    def _ensure_staged(self) -> None:
        runtime, number = self._runtime, self._candidate.version
        if runtime.environment.protected:
            raise Refused(f"{runtime.name} is protected: a load there would be one on what serves")
        if not isinstance(runtime.transport, DirectTransport):
            raise Refused(
                f"the replicas of {runtime.name} are on another machine, and the line to it would be measured too",
                hint="stage the version on this machine",
            )
        ensure_same_model(runtime, self._candidate)
        serving = history.EnvironmentHistory.load(runtime.journal, runtime.model, runtime.name).answering
        if serving != number:
            found = "nothing serves" if serving is None else f"version {serving} serves"
            raise RunFailed(
                f"{found} {runtime.name}, not version {number}",
                hint=f"put a step `uses: deploy` with environment: {runtime.name} before the gate",
            )

    # -- what clients of the environment get

    def _through_the_front(self, requests: Sequence[LoadRequest]) -> Sequence[CheckResult]:
        runtime, check = self._runtime, self._check
        if not check.limited:
            return ()
        config = runtime.environment
        replicas = runtime.running(self._candidate.version)
        peak = Memory(runtime, replicas)
        door = own_ways(runtime)[0]
        found = self._measured(
            door.address, config.port, requests, check.rate, check.seconds, peak.look, unix=door.unix
        )
        self._ensure_staged()
        if {each.id for each in replicas} != {each.id for each in runtime.running(self._candidate.version)}:
            raise RunFailed(f"replicas of {runtime.name} came or went under the load", hint="read the replicas' logs")
        runtime.say(_words(found))
        results = limits(self._name, found, check)
        if any(each.verdict is Verdict.FAIL for each in results):
            _refuse(late(found), found)
        if check.memory is not None:
            results.append(memory(self._name, peak.peak, len(replicas), check.memory))
        return results

    def _measured(
        self,
        host: str,
        port: int,
        requests: Sequence[LoadRequest],
        rate: float,
        seconds: float,
        look: Callable[[], None] = lambda: None,
        *,
        unix: str = "",
    ) -> LoadFigures:
        found = figures(send(Load(host, port, requests, rate, seconds, unix=unix), look), rate)
        _refuse(too_slow(found, rate), found)
        return found

    # -- compared with the champion

    def _beside_the_champion(self, requests: Sequence[LoadRequest]) -> Sequence[CheckResult]:
        """Sends the same load, as much as one replica of the environment gets, to one replica of each, in turns of
        which either begins half: what the machine does meanwhile moves both of a pair."""
        runtime, check, name = self._runtime, self._check, f"{self._name} against {CHAMPION}"
        number = self._champion()
        if number is None:
            return (CheckResult(name, Verdict.PASS, "no champion to compare with"),)
        if number == self._candidate.version:
            return (CheckResult(name, Verdict.PASS, "the candidate is the champion"),)
        rate = check.rate / runtime.environment.replicas
        digests = {each: fetch(runtime, each) for each in (number, self._candidate.version)}
        with Shadows(runtime, who=self._context.run.who, why=f"load of version {self._candidate.version}") as shadows:
            theirs, mine = (
                shadows.start(side, version, digests[version])
                for side, version in (("champion", number), ("candidate", self._candidate.version))
            )
            shadows.wait()
            for row in (theirs, mine):
                verify.warm_up(runtime, [row], runtime.files.directory(row.version))
            for row in (theirs, mine):  # what a replica does for the first time under load is not measured
                send(Load(row.address, row.port, requests, rate, _SETTLE_SECONDS))
            pairs = [self._pair(mine, theirs, requests, rate, first=place % 2 == 0) for place in range(_PAIRS)]
        compared = slowdown(self._name, pairs, number, check.max_slowdown)
        if compared.verdict is not Verdict.PASS:
            slowest = max(each.latency["p95"] for pair in pairs for each in pair)
            for each in (each for pair in pairs for each in pair):
                _refuse(late(each, slowest), each)
        errors = (sum(pair[side].errors for pair in pairs) for side in (0, 1))
        return (compared, _more_errors(name, *errors))

    def _pair(
        self, mine: Replica, theirs: Replica, requests: Sequence[LoadRequest], rate: float, *, first: bool
    ) -> tuple[LoadFigures, LoadFigures]:
        """Measures both, directly after each other; `first` tells whether the candidate begins."""
        found: dict[int, LoadFigures] = {}
        for row in (mine, theirs) if first else (theirs, mine):
            seconds = self._check.seconds / _PAIRS
            found[row.version] = self._measured(row.address, row.port, requests, rate, seconds)
            self._runtime.say(f"version {row.version}: {_words(found[row.version])}")
        return found[mine.version], found[theirs.version]

    def _champion(self) -> int | None:
        from ...registry import open_registry

        registry = open_registry(self._context.project.mlflow, self._context.project.state)
        try:
            return registry.aliases(self._candidate.model).get(CHAMPION)
        finally:
            registry.close()


def _more_errors(name: str, mine: int, theirs: int) -> CheckResult:
    verdict = Verdict.FAIL if mine > theirs else Verdict.PASS
    return CheckResult(f"{name}: errors", verdict, f"{count(mine, 'error')} against {theirs}", value=float(mine))


def _refuse(why: str, found: LoadFigures) -> None:
    if why:
        raise RunFailed(f"{why} ({_words(found)})", hint="ask for a lower rate, or use a machine with more CPUs")


def _words(found: LoadFigures) -> str:
    times = ", ".join(f"{name} {milliseconds(value)}" for name, value in found.latency.items())
    return f"{times}, {count(found.errors, 'error')} of {count(found.requests, 'request')}, {found.rate:.4g}/s achieved"
