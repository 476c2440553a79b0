"""`cockpit.repository`: the lineage row, seen from Git."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.domain.project import Host
from podium.core.domain.runs import RunState
from podium.core.domain.scm import CiLook, CiState, DiffKind
from podium.core.errors import NotFound, Refused, Unreachable
from podium.core.scm.hosts.addresses import commit_page
from podium.core.triggers.inbox import collect

from tests.tui.seed import COMMITS, MODEL, NOW, SeededCockpit, seed
from tests.tui.seed_ci import RUNS, FakeHost, seed_ci
from tests.tui.seed_repository import seed_repository

HOST = "\ngit: {host: {kind: %s, repo: acme/flight-delay, url: '%s'}}\n"


@pytest.fixture
def cockpit(tmp_path: Path) -> SeededCockpit:
    return seed(tmp_path / "flight-delay")


def test_a_commit_says_what_podium_did_with_it(cockpit: SeededCockpit) -> None:
    made = seed_repository(cockpit)
    page = cockpit.repository.commits()
    assert [row.commit.sha for row in page.rows] == made[::-1] and not page.more
    newest = page.rows[0]
    assert newest.run is None and newest.versions == () and [ref.name for ref in newest.refs] == ["main"]
    by_version = {version.version: row for row in page.rows for version in row.versions}
    assert sorted(by_version) == [1, 2, 3, 4]
    champion = by_version[3]
    assert champion.commit.sha == made[2]
    assert champion.versions[0].aliases == ("champion",)
    served = {each.environment: each.share for each in champion.versions[0].served}
    assert served["production"] == 1.0
    assert champion.run is not None and champion.run.commit == made[2] and champion.run.kind == "pipeline"
    assert [ref.name for ref in page.rows[3].refs] == ["deeper", "v0.2"]


def test_the_newest_run_counts_and_a_quarantine_is_said(cockpit: SeededCockpit) -> None:
    made = seed_repository(cockpit)
    run = cockpit.journal.runs.newest_at(made)[made[3]]
    assert run.id == max(each.id for each in cockpit.runs.list(limit=100) if each.commit == made[3])
    cockpit.models.quarantine(cockpit.models.version(4), why="too many false alarms")
    row = cockpit.repository.commit(made[3])
    assert row.versions[0].quarantined == "too many false alarms"
    assert row.run is not None and row.run.state in set(RunState)


def test_a_commit_has_the_state_that_the_hosts_ci_gave_it(cockpit: SeededCockpit) -> None:
    made = seed_repository(cockpit)
    at = {COMMITS[number]: sha for number, sha in enumerate(made[:-1])}
    assert cockpit.repository.commits().ci is None and cockpit.repository.commits().rows[0].ci is None, "no host"
    config = cockpit.home / "podium.yaml"
    config.write_text(config.read_text() + HOST % ("github", "https://github.com"))
    cockpit.changed()
    assert cockpit.repository.commits().ci == CiLook("github.com/acme/flight-delay"), "never asked"
    before = FakeHost([replace(run, sha=made[4]) for run in RUNS])
    before.name = "gitlab.com/acme/flight-delay"
    collect(cockpit.journal, before, NOW - 60)  # type: ignore[arg-type]
    assert cockpit.repository.commits().rows[0].ci is None, "of the host that the project was on before"
    assert cockpit.ci.inbox().host is None
    seed_ci(cockpit, FakeHost([replace(run, sha=at[run.sha]) for run in RUNS if run.sha]), configured=True)
    page = cockpit.repository.commits()
    assert page.ci == CiLook("github.com/acme/flight-delay", NOW)
    assert [row.ci for row in page.rows] == [None, CiState.FAILED, CiState.SUCCEEDED, CiState.FAILED, None]
    host = FakeHost()
    host.failing = Unreachable("it does not answer")
    with pytest.raises(Unreachable):
        collect(cockpit.journal, host, NOW + 60)  # type: ignore[arg-type]
    assert cockpit.repository.commits().ci == CiLook("github.com/acme/flight-delay", NOW + 60, "it does not answer")
    assert cockpit.repository.commit(made[3]).ci is CiState.FAILED, "as it was last seen"


def test_pages_are_read_as_they_are_asked_for(cockpit: SeededCockpit) -> None:
    made = seed_repository(cockpit)
    page = cockpit.repository.commits(limit=2)
    assert [row.commit.sha for row in page.rows] == made[:2:-1] and page.more
    assert [row.commit.sha for row in cockpit.repository.commits("v0.2").rows] == made[1::-1]
    with pytest.raises(NotFound):
        cockpit.repository.commits("nothing")


def test_the_diff_behind_two_versions(cockpit: SeededCockpit) -> None:
    seed_repository(cockpit)
    lines = cockpit.repository.diff_versions(2, 4).lines
    assert [line.text for line in lines if line.kind is DiffKind.ADDED] == ["+until = 2013-07", "+rate = 0.1"]
    assert any("Learn until July" in line.text for line in lines)
    with pytest.raises(NotFound, match="no version 9"):
        cockpit.repository.diff_versions(2, 9)
    cockpit.journal._database.run('UPDATE versions SET "commit" = ? WHERE version = 2', ("",))
    with pytest.raises(Refused, match="of version 2 no commit is known"):
        cockpit.repository.diff_versions(2, 4, MODEL)


def test_without_a_repository_it_says_so(cockpit: SeededCockpit) -> None:
    with pytest.raises(NotFound, match="not in a git repository"):
        cockpit.repository.commits()


@pytest.mark.parametrize(
    ("kind", "url", "page"),
    [
        ("github", "https://git.example.com/", "https://git.example.com/acme/flight-delay/commit/abc"),
        ("gitlab", "http://lab.local:8080", "http://lab.local:8080/acme/flight-delay/-/commit/abc"),
        ("gitea", "https://tea.example.com/sub", "https://tea.example.com/sub/acme/flight-delay/commit/abc"),
    ],
)
def test_the_page_of_a_commit(cockpit: SeededCockpit, kind: str, url: str, page: str) -> None:
    with pytest.raises(Refused, match="names no Git host"):
        cockpit.repository.page("abc")
    config = cockpit.home / "podium.yaml"
    config.write_text(config.read_text() + HOST % (kind, url))
    cockpit.changed()
    assert cockpit.repository.page("abc") == page


def test_an_address_with_a_password_has_no_page() -> None:
    with pytest.raises(Refused, match="is no address") as refused:
        commit_page(Host("gitea", "acme/lab", url="https://user:secret@tea.example.com"), "abc")
    assert "secret" not in str(refused.value) + refused.value.hint
