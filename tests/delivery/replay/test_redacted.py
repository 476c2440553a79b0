"""A replay of requests of which some columns were never kept."""

from __future__ import annotations

from podium.core.delivery.replay.replay_step import carry_out
from podium.core.domain.replay import ReplayLimits, ReplayReport
from podium.core.domain.verdicts import Verdict

from tests.delivery.light import World
from tests.delivery.replay.test_replay import fill

# A new version answers so many requests before it gets one that was captured.
WARM_UP = 20


def replayed(world: World, **candidate: object) -> ReplayReport:
    world.version(1, answer=1)
    world.version(2, answer=1, **candidate)
    world.deploy(1)
    directory = world.runtime.directory / "capture"
    fill(directory, 120, output='{"predictions": [7]}')
    path = directory / "capture-20001.jsonl"
    path.write_text(path.read_text().replace('"request_id"', '"redacted": ["email"], "request_id"'))
    return carry_out(world.runtime, 2, ReplayLimits(max_slowdown=100.0), who="anna")


def test_versions_that_need_what_is_never_kept_cannot_be_replayed(world: World) -> None:
    found = replayed(world, status=400, fails_after=WARM_UP)
    assert found.verdict is Verdict.ERROR and "lack email" in found.checks[0].message


def test_versions_that_do_not_need_it_are_compared(world: World) -> None:
    found = replayed(world)
    assert (found.verdict, found.rows) == (Verdict.PASS, 120), found.checks
    assert found.unsteady == 0, "then it answered to more than is sent now"
