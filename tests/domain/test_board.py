"""What the board says of an environment and of infrastructure."""

from __future__ import annotations

from dataclasses import replace

from podium.core.domain.delivery import EnvironmentStatus, Replica, ReplicaState
from podium.core.domain.infra.board import Mark, of_environment, of_infra
from podium.core.domain.infra.declared import Declared, DeclaredKind, DeclaredState
from podium.core.domain.infra.plan import Drift, InfraStatus
from podium.core.domain.monitoring import AlertState, AlertStatus
from podium.core.domain.repair import Difference, DifferenceKind
from podium.core.domain.verdicts import Source, Verdict, VersionVerdict

NOW = 1_000_000.0
STATUS = EnvironmentStatus(
    "production", "process", "http://127.0.0.1:5100", True, "champion", "rolling", 3, 2, None,
    (Replica("p-v3-1", "production", 3, "v3-1", 1, ReplicaState.READY),), proxy_alive=True,
)  # fmt: skip
AS_DECLARED = Declared(DeclaredKind.ENVIRONMENT, "production", "v3 serves as declared")


def alert(state: AlertState, name: str = "slow", *, absent: bool = False) -> AlertStatus:
    return AlertStatus(name, "production", "latency", state, NOW - 60, value=0.3, limit=0.2, absent=absent)


def test_all_is_well_only_where_somebody_looks() -> None:
    quiet = of_environment(AS_DECLARED, STATUS, [alert(AlertState.INACTIVE)], (), NOW)
    assert [each.mark for each in quiet.answers] == [Mark.GOOD] * 3 and quiet.mark is Mark.GOOD and quiet.protected
    assert quiet.model.words == "v3, 1 alert quiet" and quiet.real.words == "1 replica ready"
    elsewhere = replace(alert(AlertState.FIRING), environment="staging")
    unwatched = of_environment(AS_DECLARED, STATUS, [elsewhere], (), NOW)
    assert unwatched.model.mark is Mark.UNKNOWN and "no alert of podium.yaml watches it" in unwatched.model.words
    assert unwatched.mark is Mark.UNKNOWN


def test_what_fires_comes_before_what_has_no_data() -> None:
    dark = alert(AlertState.NO_DATA, "drift", absent=True)
    both = of_environment(AS_DECLARED, STATUS, [dark, alert(AlertState.FIRING)], (), NOW)
    assert both.model.mark is Mark.BAD and both.model.words.startswith("v3: slow fires, ")
    alone = of_environment(AS_DECLARED, STATUS, [dark, alert(AlertState.INACTIVE)], (), NOW)
    assert alone.model.mark is Mark.UNKNOWN and alone.model.words == "v3: drift has no data"
    still = of_environment(AS_DECLARED, STATUS, [alert(AlertState.INACTIVE, absent=True)], (), NOW)
    assert still.model.mark is Mark.UNKNOWN, "an alert that was quiet and has no data now says nothing"
    pending = of_environment(AS_DECLARED, STATUS, [alert(AlertState.PENDING)], (), NOW)
    assert (pending.model.mark, pending.model.words) == (Mark.UNKNOWN, "v3: slow is pending")


def test_a_quarantined_version_that_serves_is_not_well() -> None:
    word = VersionVerdict(3, Source.QUARANTINE, Verdict.FAIL, NOW, who="anna")
    row = of_environment(AS_DECLARED, STATUS, [alert(AlertState.INACTIVE)], [word], NOW)
    assert (row.model.mark, row.model.words) == (Mark.BAD, "v3 is quarantined")


def test_what_runs_is_told_by_its_worst_difference_and_what_is_away_is_unknown() -> None:
    away = Difference(DifferenceKind.GONE, "p-v3-2", "p-v3-2 is dead")
    more = Difference(DifferenceKind.ALIAS, "champion", "the alias is on version 2")
    row = of_environment(AS_DECLARED, replace(STATUS, differences=(away, more)), [], (), NOW)
    assert (row.real.mark, row.real.words) == (Mark.BAD, "p-v3-2 is dead, and 1 more")
    unseen = replace(STATUS, replicas=(replace(STATUS.replicas[0], state=ReplicaState.UNKNOWN),))
    assert of_environment(AS_DECLARED, unseen, [], (), NOW).real.mark is Mark.UNKNOWN
    down = of_environment(AS_DECLARED, replace(STATUS, proxy_alive=False), [], (), NOW)
    assert (down.real.mark, down.real.words) == (Mark.BAD, "proxy is gone")
    changing = of_environment(AS_DECLARED, replace(STATUS, locked_by="run 7"), [], (), NOW)
    assert changing.real.mark is Mark.UNKNOWN and "run 7" in changing.real.words


def test_infrastructure_that_nobody_has_looked_at_is_not_called_good() -> None:
    good = Declared(DeclaredKind.INFRA, "net", "applied")
    applied = InfraStatus("net", "terraform", "infra", applied=NOW - 3600)
    row = of_infra(good, applied, NOW)
    assert (row.declared.mark, row.real.mark, row.model.mark) == (Mark.GOOD, Mark.UNKNOWN, Mark.NONE)
    assert row.mark is Mark.UNKNOWN and "nobody has looked" in row.real.words
    seen = of_infra(good, replace(applied, drifted=(), drift_at=NOW - 7200), NOW)
    assert (seen.mark, seen.real.words) == (Mark.GOOD, "as it was applied, looked at 2h ago")
    moved = replace(applied, drifted=(Drift("a.b", "a"), Drift("a.c", "a")), drift_at=NOW - 60)
    assert of_infra(good, moved, NOW).real.words.startswith("2 resources drifted, looked at ")
    differs = Declared(DeclaredKind.INFRA, "net", "its last apply was cut short", DeclaredState.DIFFERS)
    assert of_infra(differs, applied, NOW).declared.mark is Mark.BAD
    never = of_infra(Declared(DeclaredKind.INFRA, "net", "unknown"), InfraStatus("net", "terraform", "infra"), NOW)
    assert never.declared.mark is Mark.UNKNOWN
