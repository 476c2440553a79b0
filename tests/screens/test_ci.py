"""CI: the inbox, jobs, logs and what can be asked of the host, by keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podium.core.cockpit.ci import Ci
from podium.core.domain.hosts import CiJob, CiLog, CiRun, CiState, HostFeature
from podium.core.errors import Unreachable
from podium.core.triggers import projects
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, text, until
from tests.tui.seed import SeededCockpit, seed
from tests.tui.seed_ci import REPO, RUNS, FakeHost, seed_ci

from .test_pictures import SIZES, picture


@pytest.fixture
def host(cockpit: SeededCockpit) -> FakeHost:
    return seed_ci(cockpit)


def test_the_inbox_is_painted_without_asking(cockpit: SeededCockpit, host: FakeHost) -> None:
    host.failing = Unreachable("nobody may be asked")
    looks = host.looks

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "for me" in text(pilot.app), "what waits for this account")
        lines = text(pilot.app).splitlines()
        assert "test" in lines[3] and "failed" in lines[3] and "v4" in lines[3]
        assert any("Learn until July" in line and "production 100%" in line for line in lines)
        assert "\u202e" not in text(pilot.app) and "deeper" in text(pilot.app)
        assert "CI of github.com/acme/flight-delay" in lines[1]
        assert host.looks == looks

    drive(make_app(cockpit, screen="ci"), script)


def test_enter_goes_to_jobs_and_logs_and_back(cockpit: SeededCockpit, host: FakeHost) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: "pytest" in text(pilot.app) and "exit code 1" in text(pilot.app), "jobs and steps")
        await pilot.press("j", "enter")
        await until(pilot, lambda: "assert 0.61 > 0.65" in text(pilot.app), "the log")
        assert "Log of unit" in text(pilot.app)
        await pilot.press("q", "q")
        await until(pilot, lambda: "Log of unit" not in text(pilot.app), "closed")
        await pilot.press("q")
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "overview", "back")  # type: ignore[attr-defined]

    drive(make_app(cockpit, screen="ci"), script)


def test_a_log_that_comes_later_says_so(cockpit: SeededCockpit, host: FakeHost) -> None:
    host.pieces = lambda _job, _offset: CiLog("", 0, False, note="GitHub has it after the job", retry_after=15.0)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: "pytest" in text(pilot.app), "jobs")
        await pilot.press("l")
        await until(pilot, lambda: "GitHub has it after the job. The next look is in 15s." in text(pilot.app), "when")

    drive(make_app(cockpit, screen="ci"), script)


def test_a_log_that_the_host_no_longer_gives_says_so(cockpit: SeededCockpit, host: FakeHost) -> None:
    host.pieces = lambda _job, offset: CiLog("first line\n", 11, False) if not offset else _raise()

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: "pytest" in text(pilot.app), "jobs")
        await pilot.press("l")
        await until(pilot, lambda: "not asked: the host is away" in text(pilot.app), "that it is not followed")
        assert "first line" in text(pilot.app)

    drive(make_app(cockpit, screen="ci"), script)


def _raise() -> CiLog:
    raise Unreachable("the host is away")


def test_what_failed_is_run_again_with_a_reason(cockpit: SeededCockpit, host: FakeHost) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("R")
        await until(pilot, lambda: "podium ci rerun 108" in text(pilot.app), "the question")
        await pilot.press("enter")
        assert host.asked == [], "the safe answer had the focus"
        await pilot.press("R")
        await until(pilot, lambda: "podium ci rerun 108" in text(pilot.app), "again")
        await pilot.press("shift+tab", *"full disk", "tab", "tab", "enter")
        await until(pilot, lambda: host.asked == [("rerun", "108", True)], "asked")
        assert cockpit.project.audit(limit=1)[0].why == "full disk"
        await pilot.press("X")
        await until(pilot, lambda: "CI run 108 is over: failed" in text(pilot.app), "why not")

    drive(make_app(cockpit, screen="ci"), script)


def test_what_waits_is_approved(cockpit: SeededCockpit, host: FakeHost) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("A")
        await until(pilot, lambda: "CI run 108 waits for nobody" in text(pilot.app), "why not")
        await pilot.press("j", "j", "A")
        await until(pilot, lambda: "Let CI run 109 go on to production?" in text(pilot.app), "the question")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: host.asked == [("approve", "109", "production", "")], "approved")

    drive(make_app(cockpit, screen="ci"), script)


def test_what_the_host_cannot_do_is_said_with_its_reason(cockpit: SeededCockpit, host: FakeHost) -> None:
    host.missing = {HostFeature.RERUN_FAILED: "Gitea has no API for it", HostFeature.START: "the token may not"}

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "re-run of what failed: Gitea has no API for it" in text(pilot.app), "on the screen")
        await pilot.press("R")
        await until(pilot, lambda: "re-run failed: Gitea has no API for it" in text(pilot.app), "and when asked for")

    drive(make_app(cockpit, screen="ci"), script)


NEAR = CiRun("201", REPO, "train", CiState.RUNNING, branch="main", parent="108")
FAR = CiRun("301", "acme/models", "publish", CiState.FAILED, branch="main", parent="201")


class Bridges(FakeHost):
    """Its run 108 starts another pipeline, which starts one in another repository. `near` is how the first stands."""

    near = CiState.RUNNING

    def ci_run(self, run: str, repo: str = "") -> CiRun:
        found = {"201": replace(NEAR, state=self.near), "301": FAR}
        return found[run] if run in found else super().ci_run(run, repo)

    def ci_jobs(self, run: str, repo: str = "") -> Sequence[CiJob]:
        jobs = {
            ("108", REPO): [
                CiJob("1", "108", "lint", CiState.SUCCEEDED),
                CiJob("2", "108", "start-train", CiState.RUNNING, child=NEAR),
            ],
            ("201", REPO): [CiJob("3", "201", "start-publish", CiState.FAILED, child=FAR)],
            ("301", "acme/models"): [CiJob("4", "301", "upload", CiState.FAILED, reason="script failure")],
        }
        return jobs[run, repo]


def test_enter_goes_down_to_child_pipelines_and_back_up(cockpit: SeededCockpit) -> None:
    host = seed_ci(cockpit, Bridges())

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: "start-train" in text(pilot.app), "the jobs of the parent")
        await pilot.press("j", "l")
        await until(pilot, lambda: "starts a pipeline and has no log" in text(pilot.app), "what enter does")
        await pilot.press("enter")
        await until(pilot, lambda: "Jobs of train 201: running" in text(pilot.app), "the child")
        assert "q goes back to 108" in text(pilot.app)
        await until(pilot, lambda: "start-publish" in text(pilot.app), "its jobs")
        await pilot.press("enter")
        title = "Jobs of publish 301 in acme/models: failed"
        await until(pilot, lambda: title in text(pilot.app) and "script failure" in text(pilot.app), "the grandchild")
        await pilot.press("R")
        await until(pilot, lambda: "podium ci rerun 301 --repo acme/models" in text(pilot.app), "where it is run again")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: "Jobs of train 201" in text(pilot.app), "one up")
        host.near = CiState.SUCCEEDED
        await until(pilot, lambda: "Jobs of train 201: succeeded" in text(pilot.app), "as it is now")
        await pilot.press("q")
        await until(pilot, lambda: "Jobs of test 108" in text(pilot.app), "at the top")
        screen: Any = pilot.app.podium_screen  # type: ignore[attr-defined]
        assert screen.jobs.current.job.name == "start-train", "where it was left"
        await pilot.press("q")
        await until(pilot, lambda: "Jobs of" not in text(pilot.app), "closed")
        assert screen.title_id == "ci"

    drive(make_app(cockpit, screen="ci"), script)


def test_read_only_changes_nothing(cockpit: SeededCockpit, host: FakeHost) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("R")
        await until(pilot, lambda: "read-only" in text(pilot.app), "refused")

    drive(make_app(cockpit, screen="ci", read_only=True), script)


def test_without_a_host_it_says_what_to_write(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "podium.yaml names no Git host." in text(pilot.app), "why")
        assert "git: {host:" in text(pilot.app)

    drive(make_app(cockpit, screen="ci"), script)


@pytest.mark.parametrize("size", SIZES)
def test_picture(snap_compare: Any, cockpit: SeededCockpit, host: FakeHost, size: str) -> None:
    picture(snap_compare, make_app(cockpit, screen="ci", interval=0), SIZES[size], shows="for me")


def test_picture_of_a_log(snap_compare: Any, cockpit: SeededCockpit, host: FakeHost) -> None:
    app = make_app(cockpit, screen="ci", interval=0)
    picture(snap_compare, app, SIZES["middle"], "enter", "j", "enter", shows="Log of unit")


def test_the_inbox_of_several_projects(
    cockpit: SeededCockpit, host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    other = seed(tmp_path / "trains")
    theirs = seed_ci(other, FakeHost([replace(RUNS[0], id="900", name="nightly", state=CiState.FAILED)]))
    with projects.editing():
        projects.put([cockpit.home, other.home])
    hosts = {cockpit.home: host, other.home: theirs}
    monkeypatch.setattr(Ci, "_open", lambda _ci, project: hosts[project.home])

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "nightly" in text(pilot.app), "what the other project's agent has seen")
        lines = text(pilot.app).splitlines()
        assert "CI of 2 projects" in lines[1] and "project" in lines[2] and "nightly" in lines[3]
        await pilot.press("R")
        await until(pilot, lambda: "podium ci rerun 900 --project" in text(pilot.app), "whose it is")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: theirs.asked == [("rerun", "900", True)], "asked of its own host")
        assert host.asked == [] and other.project.audit(limit=1)[0].action == "ci rerun"

    drive(make_app(cockpit, screen="ci"), script)
