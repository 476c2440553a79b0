"""`cockpit.ci` and the agent's job that fills the inbox, with a host that answers from memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.domain.hosts import CiApproval, CiAttention, CiLog, CiState, HostFeature, RateLimit
from podium.core.errors import NotFound, Refused, Unreachable, UsageError
from podium.core.triggers.inbox import BUSY_SECONDS, QUIET_SECONDS, Inbox

from tests.tui.seed import NOW, SeededCockpit, seed
from tests.tui.seed_ci import RUNS, FakeHost, seed_ci


@pytest.fixture
def cockpit(tmp_path: Path) -> SeededCockpit:
    return seed(tmp_path / "flight-delay")


def ids(cockpit: SeededCockpit, *attention: CiAttention) -> list[str]:
    return [row.run.id for row in cockpit.ci.inbox(attention=attention).rows]


def test_the_inbox_begins_with_what_needs_somebody(cockpit: SeededCockpit) -> None:
    host = seed_ci(cockpit)
    looks = host.looks
    assert ids(cockpit) == ["108", "105", "109", "110", "107", "106"], "106 has had a newer run of its workflow since"
    assert ids(cockpit, CiAttention.WAITING) == ["109"]
    assert host.looks == looks, "the journal answered"
    state = cockpit.ci.inbox().host
    assert state is not None and (state.name, state.asked, state.error) == (host.name, NOW, "")
    assert state.rate == RateLimit(5000, 4990)


def test_a_row_has_the_lineage_of_its_commit(cockpit: SeededCockpit) -> None:
    seed_ci(cockpit)
    row = cockpit.ci.get("107")
    assert row.podium is not None and row.podium.commit == row.run.sha
    assert [each.version for each in row.versions] == [3]
    assert row.versions[0].served[0].environment == "production"


def test_what_waits_for_somebody_else_does_not_wait_for_me(cockpit: SeededCockpit) -> None:
    host = FakeHost()
    host.waits = (CiApproval("7", "109", "production", may=False, why="only release managers may"),)
    seed_ci(cockpit, host)
    assert ids(cockpit, CiAttention.WAITING) == [] and "109" in ids(cockpit, CiAttention.RUNNING)
    with pytest.raises(Refused, match="production: only release managers may"):
        cockpit.ci.approve("109")
    assert host.asked == []


def test_what_is_changed_is_in_the_audit_with_who_and_why(cockpit: SeededCockpit) -> None:
    host = seed_ci(cockpit)
    cockpit.ci.rerun("108", why="the runner was full")
    cockpit.ci.rerun("108", failed=False)
    cockpit.ci.cancel("110", why="superseded")
    cockpit.ci.approve("109", why="looked at it")
    cockpit.ci.start("55", inputs={"rounds": "60"}, why="by hand")
    assert host.asked == [
        ("rerun", "108", True),
        ("rerun", "108", False),
        ("cancel", "110"),
        ("approve", "109", "production", "looked at it"),
        ("start", "55", "main", {"rounds": "60"}),
    ]
    entries = [(entry.action, entry.subject, entry.why) for entry in cockpit.project.audit(limit=5)]
    assert entries == [
        ("ci start", f"55 at main of {host.name}", "by hand"),
        ("ci approve", f"run 109 to production of {host.name}", "looked at it"),
        ("ci cancel", f"run 110 of {host.name}", "superseded"),
        ("ci rerun all", f"run 108 of {host.name}", ""),
        ("ci rerun", f"run 108 of {host.name}", "the runner was full"),
    ]
    assert all(entry.who for entry in cockpit.project.audit(limit=5))


def test_what_the_host_cannot_do_is_refused_with_its_reason(cockpit: SeededCockpit) -> None:
    host = seed_ci(cockpit)
    before = len(cockpit.project.audit(limit=100))
    host.missing = {
        HostFeature.RERUN_FAILED: "Gitea 1.22 has no API for it",
        HostFeature.CANCEL: "the token lacks actions: write",
        HostFeature.APPROVE: "Gitea has no protected environments",
        HostFeature.START: "not with this token",
    }
    for act, words in (
        (lambda: cockpit.ci.rerun("108"), "no API"),
        (lambda: cockpit.ci.cancel("108"), "lacks actions"),
        (lambda: cockpit.ci.approve("109"), "no protected"),
        (lambda: cockpit.ci.start("55"), "not with this token"),
    ):
        with pytest.raises(Refused, match=words):
            act()
    assert host.asked == [] and len(cockpit.project.audit(limit=100)) == before
    assert cockpit.ci.limits().missing == host.missing


def test_no_answer_is_noted_too_for_it_may_have_been_done(cockpit: SeededCockpit) -> None:
    host = seed_ci(cockpit)
    host.failing = Unreachable("github.com does not answer")
    with pytest.raises(Unreachable):
        cockpit.ci.cancel("110", why="superseded")
    entry = cockpit.project.audit(limit=1)[0]
    assert entry.subject == f"run 110 of {host.name} (no answer: github.com does not answer)"
    host.failing = Refused("the run is over")
    with pytest.raises(Refused):
        cockpit.ci.cancel("110")
    assert cockpit.project.audit(limit=1)[0].id == entry.id


def test_which_environment_is_meant(cockpit: SeededCockpit) -> None:
    host = seed_ci(cockpit)
    host.waits = (*host.waits, CiApproval("8", "109", "staging"))
    with pytest.raises(UsageError, match="several"):
        cockpit.ci.approve("109")
    with pytest.raises(NotFound, match="does not wait for 'test'"):
        cockpit.ci.approve("109", "test")
    assert cockpit.ci.approve("109", "staging").id == "8"
    with pytest.raises(Refused, match="waits for nobody"):
        cockpit.ci.approve("110")


def test_without_a_host_it_says_so(cockpit: SeededCockpit) -> None:
    inbox = cockpit.ci.inbox()
    assert inbox.rows == () and inbox.host is None and not cockpit.ci.limits().configured
    with pytest.raises(NotFound, match="names no Git host"):
        cockpit.ci.refresh()


def test_the_agent_asks_often_only_while_something_goes_on(cockpit: SeededCockpit) -> None:
    host = seed_ci(cockpit)
    now = [NOW]
    inbox = Inbox(lambda _project: host, clock=lambda: now[0], lot=lambda: 0.5)  # type: ignore[arg-type,return-value]
    project = cockpit.project.config

    def looks_after(seconds: float) -> int:
        before, now[0] = host.looks, now[0] + seconds
        inbox(project, cockpit.journal)
        return host.looks - before

    assert looks_after(0) == 1
    assert [looks_after(BUSY_SECONDS - 1), looks_after(1.1)] == [0, 1]
    host.runs = [replace(each, state=CiState.SUCCEEDED) for each in RUNS]
    assert looks_after(BUSY_SECONDS + 1) == 1
    assert [looks_after(BUSY_SECONDS + 1), looks_after(QUIET_SECONDS)] == [0, 1], "all is over: it asks less often"
    host.rate = RateLimit(not_before=now[0] + 1000)
    assert [looks_after(QUIET_SECONDS * 2), looks_after(1000)] == [0, 1], "the host had asked for silence"
    inbox.close()
    assert host.closed == 1


def test_an_error_is_kept_with_what_was_seen_before(cockpit: SeededCockpit) -> None:
    host = seed_ci(cockpit)
    host.failing = Unreachable("github.com does not answer")
    with pytest.raises(Unreachable):
        cockpit.ci.refresh()
    inbox = cockpit.ci.inbox()
    assert inbox.host is not None and inbox.host.error == "github.com does not answer"
    assert len(inbox.rows) == len(RUNS)


def test_a_run_that_fell_off_the_page_is_followed_to_its_end(cockpit: SeededCockpit) -> None:
    host = seed_ci(cockpit)
    host.runs = [replace(RUNS[0], state=CiState.SUCCEEDED)]
    cockpit.ci.refresh()
    found = {row.run.id: row.run.state for row in cockpit.ci.inbox().rows}
    assert found["110"] is CiState.SUCCEEDED
    assert found["109"] is CiState.CANCELLED, "the host has it no more"


def test_what_did_not_change_is_not_written_again(cockpit: SeededCockpit) -> None:
    host = seed_ci(cockpit)
    seen = [row.seen for row in cockpit.ci.inbox().rows]
    host.runs[1] = replace(host.runs[1], updated=NOW + 5)
    cockpit.ci.refresh()
    assert sum(old != new for old, new in zip(seen, [row.seen for row in cockpit.ci.inbox().rows], strict=True)) == 1


def test_a_log_is_fetched_once_and_piece_by_piece(cockpit: SeededCockpit) -> None:
    host = seed_ci(cockpit)
    whole, asked = "one\ntwo\nthree\n", []

    def pieces(_job: str, offset: int) -> CiLog:
        asked.append(offset)
        end = min(offset + 8, len(whole))
        return CiLog(whole[offset:end], end, end == len(whole), note="it goes on", retry_after=2.0)

    host.pieces = pieces
    first = cockpit.ci.fetch_log("902")
    assert (first.path.read_text(), first.complete, first.note) == ("one\ntwo\n", False, "it goes on")
    assert cockpit.ci.fetch_log("902").complete and cockpit.ci.fetch_log("902").path == first.path
    assert first.path.read_text() == whole and asked == [0, 8], "what is complete is not asked for again"


def test_only_an_address_of_the_host_is_opened(cockpit: SeededCockpit) -> None:
    host = seed_ci(cockpit)
    row = cockpit.ci.get("108")
    for url in ("javascript:alert(1)", "https://evil.example/x", "http://github.com/x", ""):
        with pytest.raises(Refused, match="no address of its own"):
            cockpit.ci.page(replace(row, run=replace(row.run, url=url)))
    assert cockpit.ci.page(replace(row, run=replace(row.run, url=f"{host.url}/actions/runs/108"))).endswith("/108")
