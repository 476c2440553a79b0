"""Repository: the commits, what Podium did with them, and their diffs, by keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from podium.core.domain.hosts import CiRun, CiState
from podium.core.domain.runs import Run
from podium.core.errors import PodiumError
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, text, until
from tests.tui.seed import COMMITS, NOW, SeededCockpit
from tests.tui.seed_ci import REPO, RUNS, FakeHost, seed_ci
from tests.tui.seed_repository import seed_repository

from .test_pictures import SIZES, picture

TWO = "pipelines:\n  nightly: {steps: {one: {run: 'true'}}}\n"


@pytest.fixture
def commits(cockpit: SeededCockpit, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.delenv("DISPLAY", raising=False)
    return seed_repository(cockpit)


def test_the_lineage_of_each_commit_is_in_its_row(cockpit: SeededCockpit, commits: list[str]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        def row(subject: str) -> str:
            return next((line for line in text(pilot.app).splitlines() if subject in line and "Anna" in line), "")

        await until(pilot, lambda: f"{commits[4][:9]} main Say in the README" in row("Say in"), "the newest")
        assert "v3" in row("Learn until") and "production 100%" in row("Learn until")
        assert "deeper v0.2 Deeper trees" in row("Deeper") and commits[1][:9] in row("Deeper")
        await pilot.press("j", "j")
        await until(pilot, lambda: commits[2] in text(pilot.app), "the whole hash")
        assert "serves" in text(pilot.app) and "champion" in text(pilot.app)

    drive(make_app(cockpit, screen="repository"), script)


def test_the_hosts_ci_of_each_commit_is_a_mark_and_a_word(cockpit: SeededCockpit, commits: list[str]) -> None:
    seed_host(cockpit, commits)

    async def script(pilot: Pilot[Any]) -> None:
        def row(sha: str) -> str:
            return next((line for line in text(pilot.app).splitlines() if f"│ {sha[:9]} " in line), "")

        await until(pilot, lambda: "✗" in row(commits[3]), "the mark")
        assert "✓" in row(commits[2]) and "production 100% " in row(commits[2])
        await until(pilot, lambda: "no CI run of it was seen" in text(pilot.app), "the newest is not known")
        await pilot.press("j")
        await until(pilot, lambda: "✗ failed  the host was asked" in text(pilot.app), "in words")

    drive(make_app(cockpit, screen="repository"), script)


def test_what_went_on_when_the_host_was_asked_is_told_as_what_was(cockpit: SeededCockpit, commits: list[str]) -> None:
    """The row has it in words where there is room: here when the pane has the whole screen."""
    going = CiRun("120", REPO, "test", CiState.RUNNING, sha=commits[4], created=NOW - 9000)
    seed_ci(cockpit, FakeHost([going]), at=NOW - 7200)

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "was running  the host was asked 2h ago" in text(pilot.app), "as it was")
        await pilot.press("+")
        await until(
            pilot,
            lambda: any("was running" in each and "Anna" in each for each in text(pilot.app).splitlines()),
            "in the row",
        )

    drive(make_app(cockpit, screen="repository"), script)


def test_enter_shows_what_a_commit_changed_and_back_closes_it(cockpit: SeededCockpit, commits: list[str]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("j", "enter")
        await until(pilot, lambda: "+rate = 0.1" in text(pilot.app), "the diff")
        assert "diff --git a/params.toml b/params.toml" in text(pilot.app)
        await pilot.press("q")
        await until(pilot, lambda: "+rate = 0.1" not in text(pilot.app), "closed")
        assert pilot.app.podium_screen.title_id == "repository"  # type: ignore[attr-defined]
        await pilot.press("q")
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "overview", "back")  # type: ignore[attr-defined]

    drive(make_app(cockpit, screen="repository"), script)


def test_two_marked_commits_have_a_diff(cockpit: SeededCockpit, commits: list[str]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("j", "space", "d")
        await until(pilot, lambda: "mark a second commit" in text(pilot.app), "one is not enough")
        await pilot.press("j", "space", "space")
        await until(pilot, lambda: "unmark one of them" in text(pilot.app), "three are too many")
        await pilot.press("d")
        title = f"Diff of {commits[1][:9]} to {commits[3][:9]}"
        await until(pilot, lambda: title in text(pilot.app) and "+until = 2013-07" in text(pilot.app), "the diff")
        assert "2 commits only in" in text(pilot.app)

    drive(make_app(cockpit, screen="repository"), script)


def test_two_versions_have_the_diff_of_their_commits(cockpit: SeededCockpit, commits: list[str]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("d")
        await until(pilot, lambda: "mark two versions" in text(pilot.app), "why not")
        await pilot.press("space", "j", "space", "d")
        await until(pilot, lambda: "Diff of the commits of v2 and v4" in text(pilot.app), "on Repository")
        await until(pilot, lambda: "+rate = 0.1" in text(pilot.app) and "+until" in text(pilot.app), "the diff")

    drive(make_app(cockpit, screen="models"), script)


def test_the_commits_of_another_branch(cockpit: SeededCockpit, commits: list[str]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("shift+tab", "j", "enter")
        await until(pilot, lambda: "Commits of deeper" in text(pilot.app), "the branch")
        await until(pilot, lambda: commits[3][:9] not in text(pilot.app), "what it has not is not listed")
        assert commits[0][:9] in text(pilot.app)

    drive(make_app(cockpit, screen="repository"), script)


def test_a_new_commit_appears_by_itself(cockpit: SeededCockpit, commits: list[str]) -> None:
    from tests.scm.support import commit

    async def script(pilot: Pilot[Any]) -> None:
        sha = commit(cockpit.home, "made while somebody looks", extra="1")
        await until(pilot, lambda: sha[:9] in text(pilot.app), "the new commit", timeout=15)

    drive(make_app(cockpit, screen="repository"), script)


def test_a_commit_is_run_after_a_question(
    cockpit: SeededCockpit, commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, str | None, str]] = []

    def start(pipeline: str, *, commit: str | None = None, why: str = "", **_: Any) -> Run:
        started.append((pipeline, commit, why))
        return cockpit.runs.list(limit=1)[0]

    monkeypatch.setattr(cockpit.runs, "start", start)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("j", "R")
        await until(pilot, lambda: f"podium run release --commit {commits[3][:9]}" in text(pilot.app), "the question")
        assert "Try a higher rate" in text(pilot.app)
        await pilot.press("enter")
        assert not started, "the safe answer had the focus"
        await pilot.press("R")
        await until(pilot, lambda: "Run the commit" in text(pilot.app), "again")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: started == [("release", commits[3], "")], "started")

    drive(make_app(cockpit, screen="repository"), script)


def test_with_several_pipelines_it_asks_which(cockpit: SeededCockpit, commits: list[str]) -> None:
    config = cockpit.home / "podium.yaml"
    config.write_text(config.read_text().replace("pipelines:\n", TWO, 1))

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("R")
        await until(pilot, lambda: "pipeline" in text(pilot.app).splitlines()[-1], "which one")
        await pilot.press(*"nope", "enter")
        await until(pilot, lambda: "podium.yaml has nightly, release" in text(pilot.app), "what there is")
        await pilot.press("R", *"release", "enter")
        await until(pilot, lambda: "Run release on commit" in text(pilot.app), "the question")

    drive(make_app(cockpit, screen="repository"), script)


def test_hash_and_address_are_copied(
    cockpit: SeededCockpit, commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    config = cockpit.home / "podium.yaml"

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("y")
        await until(pilot, lambda: f"copied {commits[4]}" in text(pilot.app), "the hash")
        assert pilot.app.clipboard == commits[4]
        await pilot.press("o")
        await until(pilot, lambda: "podium.yaml names no Git host; git.host says" in text(pilot.app), "why not")
        config.write_text(config.read_text() + "\ngit: {host: {kind: github, repo: acme/flight-delay}}\n")
        page = f"https://github.com/acme/flight-delay/commit/{commits[4]}"
        await until(pilot, lambda: pilot.app.cockpit.project.config.git.host, "read")  # type: ignore[attr-defined]
        await pilot.press("o")
        await until(pilot, lambda: pilot.app.clipboard == page, "the address")
        assert "over SSH" in text(pilot.app)

    drive(make_app(cockpit, screen="repository"), script)


def test_without_a_repository_it_says_what_to_do(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "git init, and commit" in text(pilot.app), "what to do")
        await pilot.press("d")
        await until(pilot, lambda: "no commit is under the cursor" in text(pilot.app), "nothing to do")

    drive(make_app(cockpit, screen="repository"), script)


def test_a_diff_that_fails_is_told(cockpit: SeededCockpit, commits: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise PodiumError("git diff: unable to read a blob", hint="`git fsck` says more")

    monkeypatch.setattr(cockpit.repository, "diff", fail)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: "unable to read a blob" in text(pilot.app), "why")
        assert "git fsck" in text(pilot.app)

    drive(make_app(cockpit, screen="repository"), script)


def seed_host(cockpit: SeededCockpit, commits: list[str]) -> None:
    at = dict(zip(COMMITS, commits, strict=False))
    seed_ci(cockpit, FakeHost([replace(run, sha=at[run.sha]) for run in RUNS if run.sha]))


@pytest.mark.parametrize("size", SIZES)
def test_picture_with_a_host(snap_compare: Any, cockpit: SeededCockpit, commits: list[str], size: str) -> None:
    seed_host(cockpit, commits)
    picture(
        snap_compare, make_app(cockpit, screen="repository", interval=0), SIZES[size], "j", shows="Try a higher rate"
    )


@pytest.mark.parametrize("size", SIZES)
def test_picture(snap_compare: Any, cockpit: SeededCockpit, commits: list[str], size: str) -> None:
    picture(snap_compare, make_app(cockpit, screen="repository", interval=0), SIZES[size], "j")


def test_picture_of_a_diff(snap_compare: Any, cockpit: SeededCockpit, commits: list[str]) -> None:
    app = make_app(cockpit, screen="repository", interval=0)
    picture(snap_compare, app, SIZES["middle"], "j", "enter", shows="+rate")
