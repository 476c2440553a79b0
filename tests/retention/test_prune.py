"""What is pruned, and above all what is not."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.changes import plan
from podium.core.domain.delivery import DeploymentState, How
from podium.core.domain.models import Version
from podium.core.domain.monitoring import Measurement, MonitorKind
from podium.core.domain.project import Project, Retain
from podium.core.domain.runs import RunState, Step, StepState
from podium.core.domain.watching import read_pruned
from podium.core.engine.cache.store import Cache
from podium.core.errors import NotFound, Refused
from podium.core.journal import Journal
from podium.core.retention import prune as module
from podium.core.retention.kinds import KINDS, named
from podium.core.retention.prune import Nightly, prune
from podium.core.retention.scene import Scene, clock_trouble

from .conftest import DAY, age

Make = Callable[..., int]
File = Callable[..., Path]


def pruned(project: Project, journal: Journal, *kinds: str) -> dict[str, int]:
    """Prunes; returns kind -> how many entries went."""
    chosen = [kind for kind in KINDS if kind.find and (not kinds or kind.name in kinds)]
    done, troubles = prune(Scene(project, journal, time.time()), chosen)
    assert troubles == []
    counts = Counter[str]()
    for each in done:
        counts[each.kind] += each.entries
    return dict(counts)


def shorter(project: Project, **keys: float) -> Project:
    return replace(project, retain=replace(project.retain, **keys))


# -- runs ------------------------------------------------------------------------------------------------------------


def test_old_runs_go_with_their_files_and_young_ones_stay(project: Project, journal: Journal, run: Make) -> None:
    old, middle, young = run(400), run(200), run(1)
    assert pruned(project, journal) == {"logs": 2, "runs": 1}
    assert [each.id for each in journal.runs.page()] == [young, middle]
    assert sorted(os.listdir(project.state / "runs")) == [str(young)]
    assert pruned(project, journal) == {} and old not in {each.id for each in journal.runs.page()}


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING, RunState.WAITING])
def test_a_run_that_is_running_loses_nothing(project: Project, journal: Journal, run: Make, state: RunState) -> None:
    number = run(900, state)
    (project.state / "worktrees" / str(number)).mkdir(parents=True)
    assert pruned(project, journal) == {}
    assert (project.state / "worktrees" / str(number)).is_dir() and journal.runs.get(number).state is state


def test_what_an_auditor_needs_stays_whatever_the_keys_say(project: Project, journal: Journal, run: Make) -> None:
    change, training = run(100, kind="promote"), run(100)
    short = shorter(project, logs=DAY, runs=DAY, logs_size=0)
    assert pruned(short, journal) == {"logs": 1, "runs": 1}
    assert [each.id for each in journal.runs.page()] == [change]
    assert (project.state / "runs" / str(change)).is_dir() and not (project.state / "runs" / str(training)).exists()
    assert pruned(shorter(short, evidence=DAY), journal) == {"logs": 1, "runs": 1}


def test_what_something_stands_on_stays(project: Project, journal: Journal, run: Make) -> None:
    made, deployed, origin, free = run(900), run(900), run(900), run(900)
    journal.versions.replace("shop", [Version("shop", 1, 1.0, run_id=made)], "x")
    journal.ledger.begin(
        environment="production",
        how=How.PROMOTE,
        model="shop",
        to_version=1,
        from_version=None,
        who="a",
        run_id=deployed,
    )
    later = run(1)
    step = Step(later, "train", 0, StepState.SUCCEEDED, cached=True, origin=origin)
    journal.steps.add(later, [step])
    assert pruned(project, journal)["runs"] == 1
    assert {each.id for each in journal.runs.page()} == {made, deployed, origin, later} and free


def test_an_interrupted_run_keeps_what_its_resume_needs(project: Project, journal: Journal, run: Make) -> None:
    interrupted, failed = run(200, RunState.INTERRUPTED), run(200, RunState.FAILED)
    for number in (interrupted, failed):
        (project.state / "worktrees" / str(number)).mkdir(parents=True)
    assert pruned(project, journal) == {"worktrees": 1, "logs": 1}
    assert os.listdir(project.state / "worktrees") == [str(interrupted)]
    assert os.listdir(project.state / "runs") == [str(interrupted)]


def test_a_run_that_starts_again_while_it_is_pruned_keeps_its_worktree(
    project: Project, journal: Journal, run: Make
) -> None:
    number = run(20, RunState.FAILED)
    (project.state / "worktrees" / str(number)).mkdir(parents=True)
    items = list(named("worktrees").find[0](Scene(project, journal, time.time())))  # type: ignore[union-attr]
    journal.runs.set_state(number, RunState.QUEUED)
    assert [item.remove() for item in items] == [0]
    assert (project.state / "worktrees" / str(number)).is_dir()


def test_logs_are_bounded_by_their_size_the_oldest_first(project: Project, journal: Journal, run: Make) -> None:
    numbers = [run(age, log=200_000) for age in (5, 4, 3, 2, 1)]
    aside = project.state / "runs" / str(numbers[0]) / "aside"
    aside.mkdir()
    assert pruned(shorter(project, logs_size=650_000), journal) == {"logs": 2}
    left = sorted(map(int, os.listdir(project.state / "runs")))
    assert left == [numbers[0], *numbers[3:]], "a person's own files were put aside in the first"


def test_a_directory_without_a_row_goes_by_its_files(project: Project, journal: Journal, file: File) -> None:
    file("runs/77/a.log", days=200), file("runs/78/a.log", days=1)
    assert pruned(project, journal) == {"logs": 1}
    assert os.listdir(project.state / "runs") == ["78"]


def test_what_was_half_removed_is_removed(project: Project, journal: Journal, file: File) -> None:
    file("runs/.gone-3-17/a.log")
    assert pruned(project, journal) == {"temporary": 1} and os.listdir(project.state / "runs") == []


# -- what cannot be removed ------------------------------------------------------------------------------------------


def test_a_directory_that_is_a_link_is_left_alone_and_named(
    project: Project, journal: Journal, run: Make, tmp_path: Path
) -> None:
    run(900)
    elsewhere = tmp_path / "big disk"
    (project.state / "runs").rename(elsewhere)
    (project.state / "runs").symlink_to(elsewhere)
    found = plan(project, journal, "prune", "state", kinds=("logs",))
    assert found.nothing_to_do and "is a link to" in found.warnings[0]
    assert pruned(project, journal, "logs") == {} and len(os.listdir(elsewhere)) == 1


def test_links_in_it_are_removed_and_not_followed(
    project: Project, journal: Journal, run: Make, tmp_path: Path
) -> None:
    number = run(900)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "dear").write_text("kept")
    (project.state / "runs" / str(number) / "link").symlink_to(outside)
    (project.state / "runs" / str(number + 1)).symlink_to(outside)
    pruned(project, journal)
    assert (outside / "dear").read_text() == "kept" and outside.is_dir()


def test_what_cannot_be_removed_keeps_no_other_and_is_told(
    project: Project, journal: Journal, run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = run(900), run(900)
    from podium.core.beneath import Directory

    remove = Directory.remove

    def refuse(self: Directory, name: str) -> None:
        if name.startswith(f".gone-{stuck}-"):
            raise PermissionError(13, "Permission denied", name)
        remove(self, name)

    monkeypatch.setattr(Directory, "remove", refuse)
    done, troubles = prune(Scene(project, journal, time.time()), [kind for kind in KINDS if kind.find])
    assert any("Permission denied" in trouble for trouble in troubles)
    assert not (project.state / "runs" / str(other)).exists() and done


def test_a_crash_in_the_middle_leaves_the_journal_true(
    project: Project, journal: Journal, run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [run(900) for _ in range(3)]
    from podium.core.beneath import Directory

    class Killed(BaseException):
        pass

    def kill(self: Directory, name: str) -> None:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(Directory, "remove", kill)
        with pytest.raises(Killed):
            prune(Scene(project, journal, time.time()), [kind for kind in KINDS if kind.find])
    assert {each.id for each in journal.runs.page()} == set(numbers), "the rows go after the files"
    assert pruned(project, journal) == {"temporary": 1, "logs": 2, "runs": 3}
    assert os.listdir(project.state / "runs") == []


# -- the rest --------------------------------------------------------------------------------------------------------


def result(project: Project, name: str, days: float, size: int = 100_000) -> str:
    """Stores a result in the cache that was used `days` ago."""
    from podium.core.domain.project import StepSpec
    from podium.core.engine.graph import PlannedStep

    (project.home / name).write_bytes(os.urandom(size))
    age(project.home / name, 1)
    step = PlannedStep(name, StepSpec(name, run="x", outputs=(name,)), "x", outputs=(name,))
    cache = Cache(project.state)
    cache.keep(f"key-{name}", 1, step, project.home)
    cache.close()
    with closing(sqlite3.connect(project.state / "cache/cache.db")) as database:
        database.execute("UPDATE entries SET used = ? WHERE key = ?", (time.time() - days * DAY, f"key-{name}"))
        database.commit()
    return f"key-{name}"


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets contents count as written long ago; their change time cannot be set."""
    from podium.core.retention import cache

    monkeypatch.setattr(cache, "_SETTLED", -60.0)


def test_results_that_nobody_used_go_with_their_contents(
    project: Project, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(monkeypatch)
    old, young = result(project, "old", 40), result(project, "young", 1)
    assert pruned(project, journal)["cache"] >= 2
    cache = Cache(project.state)
    kept = cache.find(young)
    assert kept is not None and cache.find(old) is None
    (project.home / "young").unlink()
    restored = cache.restore(kept, project.home, project.state / "aside", link=False)
    assert restored is not None and restored.files == 1
    cache.close()


def test_the_cache_is_bounded_by_its_size_what_was_used_longest_ago_first(
    project: Project, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(monkeypatch)
    keys = [result(project, f"out{age}", age) for age in (5, 1, 3)]
    pruned(shorter(project, cache_size=250_000), journal, "cache")
    cache = Cache(project.state)
    assert [cache.find(key) is not None for key in keys] == [False, True, True]
    cache.close()


def test_a_content_that_was_just_stored_stays(project: Project, journal: Journal, file: File) -> None:
    Cache(project.state).close()
    fresh = file("cache/objects/ab/cdef")
    assert pruned(project, journal, "cache") == {} and fresh.exists()


def test_hashes_of_files_that_are_gone_are_forgotten(project: Project, journal: Journal) -> None:
    Cache(project.state).close()
    with closing(sqlite3.connect(project.state / "cache/cache.db")) as database:
        database.execute("INSERT INTO files VALUES ('/nowhere/a', 1, 1, 1, 1, 'x')")
        database.execute("INSERT INTO files VALUES (?, 1, 1, 1, 1, 'x')", (str(project.home / "podium.yaml"),))
        database.commit()
    assert pruned(project, journal, "cache") == {"cache": 1}


def fetched(file: File, version: int, days: float, model: str = "shop") -> None:
    file(f"models/{model}/{version}/MLmodel", days)
    note = file(f"models/{model}/{version}.digest", days)
    note.write_text(json.dumps({"digest": "x", "files": []}))
    age(note, days)


def serve(journal: Journal, *versions: int) -> None:
    for version in versions:
        row = journal.ledger.begin(
            environment="production", how=How.PROMOTE, model="shop", to_version=version, from_version=None, who="a"
        )
        journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)


def test_versions_that_a_rollback_may_need_stay_however_old(project: Project, journal: Journal, file: File) -> None:
    for version in range(1, 10):
        fetched(file, version, 400)
    serve(journal, 2, 3, 4, 5, 6, 7)
    journal.quarantine.add("shop", 6, commit="", who="a", why="bad")
    journal.versions.replace("shop", [Version("shop", 9, 1.0, aliases=("challenger",))], "x")
    assert pruned(project, journal) == {"models": 3}
    left = sorted(name for name in os.listdir(project.state / "models/shop") if name.isdecimal())
    assert left == ["3", "4", "5", "6", "7", "9"] and project.environments["production"].keep_stopped == 3


def test_files_that_were_asked_for_lately_stay(project: Project, journal: Journal, file: File) -> None:
    fetched(file, 1, 400)
    os.utime(project.state / "models/shop/1.digest")
    assert pruned(project, journal) == {}


def test_captures_and_logs_of_replicas_that_are_gone(project: Project, journal: Journal, file: File) -> None:
    base = "environments/production"
    for path in ("capture/capture-1.jsonl", "capture/feedback-1.jsonl", "production-v1-1.log", "production-v1-1.ended"):
        file(f"{base}/{path}", 31)
    kept = [file(f"{base}/{path}", 31) for path in ("proxy.log", "haproxy.cfg")]
    kept += [file(f"{base}/{path}", 1) for path in ("capture/capture-2.jsonl", "production-v2-1.log")]
    assert pruned(project, journal) == {"captures": 2, "replica_logs": 2}
    assert all(path.exists() for path in kept)


def test_a_log_that_is_written_to_is_cut_to_its_end(
    project: Project, journal: Journal, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    from podium.core.retention import serving

    monkeypatch.setattr(serving, "_MAX_LIVE_LOG", 50_000)
    monkeypatch.setattr(serving, "_KEPT_TAIL", 1_000)
    log = file("agent.log", size=0)
    with log.open("ab", buffering=0) as written:
        for number in range(10_000):
            written.write(b"line %d\n" % number)
        assert pruned(project, journal) == {"replica_logs": 1}
        written.write(b"the next\n")
    lines = log.read_bytes().splitlines()
    assert lines[-2:] == [b"line 9999", b"the next"] and 50 < len(lines) < 200 and lines[0].startswith(b"line ")


def test_what_crashes_left_goes(project: Project, journal: Journal, file: File) -> None:
    gone = ["crash-20260101T000000-1.txt", "fetched-x/a", "models/shop/.part-x/a", "locks/dead.lock"]
    for path in gone:
        file(path, 10)
    file("crash-20260901T000000-1.txt", 1), file("home.json", 900)
    assert pruned(project, journal) == {"temporary": 4}
    assert (project.state / "home.json").exists() and (project.state / "crash-20260901T000000-1.txt").exists()


def test_rows_of_the_journal(project: Project, journal: Journal) -> None:
    from podium.core.domain.verdicts import GateReport, Verdict

    journal.versions.replace("shop", [Version("shop", 1, 1.0)], "x")
    for number in range(8):
        journal.gates.add(GateReport("quality", "shop", 1, None, Verdict.PASS, (), time.time() - 400 * DAY + number))
    journal.gates.add(GateReport("quality", "shop", 99, None, Verdict.PASS, (), time.time() - 400 * DAY))
    assert pruned(project, journal) == {"reports": 4}
    assert journal.gates.latest("shop", 1) is not None and len(journal.gates.of("shop", 1)) >= 1


# -- plans -----------------------------------------------------------------------------------------------------------


def test_old_measurements_go(project: Project, journal: Journal) -> None:
    now = time.time()
    for days in (91, 89):
        journal.measurements.add(Measurement("m", "production", MonitorKind.SIGNAL, now - days * DAY, 1.0))
    assert pruned(project, journal) == {"measurements": 1}
    assert len(journal.measurements.series("m", 0.0, now)) == 1


def test_what_monitors_keep_of_references_goes_when_it_is_not_used(
    project: Project, journal: Journal, file: File
) -> None:
    old, young = file("monitors/m.psi.990.json", days=91), file("monitors/m.psi.1000.json")
    assert pruned(project, journal) == {"measurements": 1}
    assert not old.exists() and young.exists()


def test_the_plan_says_how_many_and_how_much_and_removes_nothing(project: Project, journal: Journal, run: Make) -> None:
    run(900), run(900), run(1)
    found = plan(project, journal, "prune", "state")
    assert found.objection() is None and found.command == "podium prune" and "4 entries" in found.title
    assert {each.kind: each.entries for each in read_pruned(found.arguments["found"])} == {"logs": 2, "runs": 2}
    assert len(os.listdir(project.state / "runs")) == 3 and journal.runs.count() == 3
    only = plan(project, journal, "prune", "state", kinds=("logs",))
    assert only.command == "podium prune logs" and "2 entries" in only.title


@pytest.mark.parametrize("kind", ["quux", "store"])
def test_what_is_never_pruned_is_refused_with_words(project: Project, journal: Journal, kind: str) -> None:
    with pytest.raises(NotFound, match=kind) as caught:
        plan(project, journal, "prune", "state", kinds=(kind,))
    assert "logs" in caught.value.hint


def test_the_step_removes_what_was_old_when_the_plan_was_made(
    project: Project, journal: Journal, run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    run(180.0 - 0.01), run(900)
    found = plan(project, journal, "prune", "state")
    later = time.time() + 3 * DAY
    monkeypatch.setattr(time, "time", lambda: later)
    said: list[str] = []
    context = SimpleNamespace(
        options=dict(found.arguments),
        project=project,
        journal=journal,
        run=SimpleNamespace(who="anna"),
        log=said.append,
    )
    result = module.prune_step(context)  # type: ignore[arg-type]
    assert {each["kind"]: each["entries"] for each in result["removed"]} == {"logs": 1, "runs": 1}
    assert journal.runs.count() == 1 and any("logs: 1 entry" in line for line in said)
    assert journal.audit.page(limit=1)[0].action == "prune"


# -- the night, and clocks -------------------------------------------------------------------------------------------


def test_the_agent_does_it_once_a_night(project: Project, journal: Journal) -> None:
    noon = time.mktime((2026, 11, 28, 12, 0, 0, 0, 0, -1))
    night = Nightly(project, journal)
    due = [hour for hour in range(72) if night.due(noon + hour * 3600) and (night.done(noon + hour * 3600) is None)]
    assert due == [15, 39, 63], "at three o'clock of each night"


def test_with_minutes_it_is_done_each_few_minutes(project: Project, journal: Journal) -> None:
    night = Nightly(shorter(project, logs=120.0), journal)
    assert [night.due(1e9 + 60.0 * n) for n in range(3)] == [False, False, True]


@pytest.mark.parametrize("jump", [400 * DAY, -400 * DAY])
def test_a_clock_that_jumps_removes_nothing_for_a_day(project: Project, journal: Journal, jump: float) -> None:
    night = Nightly(project, journal)
    now = 1.8e9
    assert not night.due(now)
    with pytest.raises(Refused, match="the clock said"):
        night.due(now + jump)
    hours = [hour for hour in range(60) if night.due(now + jump + hour * 3600)]
    assert hours and min(hours) >= 24


def test_a_person_is_told_of_a_clock_that_is_ahead(project: Project, journal: Journal, run: Make) -> None:
    run(0)
    assert clock_trouble(journal) == ""
    assert "the last thing that happened" in clock_trouble(journal, time.time() + 400 * DAY)
    assert "happened on" in clock_trouble(journal, time.time() - 400 * DAY)


def test_the_job_tells_trouble_once(project: Project, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    from podium.core.triggers.jobs import Retention

    said: list[str] = []
    job = Retention(said.append)
    monkeypatch.setattr(Nightly, "due", lambda self, now: True)
    monkeypatch.setattr(
        module, "prune", lambda scene, kinds: ([], ["logs: run 3 cannot be removed: Permission denied"])
    )
    for _ in range(3):
        job(project, journal)
    assert said == ["retention: logs: run 3 cannot be removed: Permission denied"]


def test_a_year_of_everything_is_bounded_by_default() -> None:
    from dataclasses import asdict

    assert all(0 < value <= 365 * DAY for key, value in asdict(Retain()).items() if not key.endswith("_size"))
