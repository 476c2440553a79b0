"""The façade's own decisions."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.cockpit import Cockpit
from podium.core.domain.attention import Reason
from podium.core.domain.delivery import Replica, ReplicaState
from podium.core.domain.runs import RunState
from podium.core.errors import ConfigError, UsageError

from tests.support import wait_until

SHIP = "pipelines: {p: {steps: {s: {uses: promote, environment: b}}}}"


@pytest.mark.parametrize(
    ("pipelines", "environments", "meant"),
    [
        (SHIP, "{a: {port: 5101, protected: true}, b: {port: 5102}}", "b"),
        ("", "{a: {port: 5101, protected: true}, b: {port: 5102}}", "a"),
        ("", "{a: {port: 5101}}", "a"),
        ("", "{a: {port: 5101}, b: {port: 5102}}", ""),
        (
            "pipelines: {p: {steps: {s: {uses: promote, environment: a}, t: {uses: promote, environment: b}}}}",
            "{a: {port: 5101}, b: {port: 5102}}",
            "",
        ),
    ],
)
def test_the_environment_that_is_meant_when_none_is_named(
    tmp_path: Path, pipelines: str, environments: str, meant: str
) -> None:
    """The one that a pipeline promotes to, else the protected one, else the only one."""
    (tmp_path / "podium.yaml").write_text(f"project: p\n{pipelines}\nenvironments: {environments}\n")
    cockpit = Cockpit(tmp_path)
    if meant:
        assert cockpit.environments.default() == meant
        return
    with pytest.raises(UsageError, match="more than one") as caught:
        cockpit.environments.default()
    assert "a, b" in caught.value.hint


FILE = "project: p\npipelines: {p: {steps: {s: {run: 'echo %s'}}}}\nenvironments: {a: {port: 5101}%s}\n"


def test_an_open_cockpit_uses_the_file_of_now(tmp_path: Path) -> None:
    file = tmp_path / "podium.yaml"
    file.write_text(FILE % ("one", ""))
    cockpit = Cockpit(tmp_path)
    seen = cockpit.changed()
    assert [each.name for each in cockpit.environments.list()] == ["a"]
    file.write_text(FILE % ("two", ", b: {port: 5102, protected: true}"))
    assert cockpit.changed() > seen, "whoever polls is told"
    assert [each.name for each in cockpit.environments.list()] == ["a", "b"]
    run = cockpit.runs.start("p")
    wait_until(lambda: cockpit.runs.get(run.id).run.state.finished, what="the run ends")
    assert cockpit.runs.steps(run.id)[0].command == "echo two"
    cockpit.close()


def test_a_broken_file_refuses_changes_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "podium.yaml"
    file.write_text(FILE % ("one", ""))
    cockpit = Cockpit(tmp_path)
    assert cockpit.project.problems == ()
    seen = cockpit.changed()
    file.write_text(FILE % ("one", ", b: {prt: 1}"))
    assert cockpit.changed() > seen and cockpit.project.problems[0].line == 3
    assert [each.name for each in cockpit.environments.list()] == ["a"]
    for change in (lambda: cockpit.runs.start("p"), lambda: cockpit.changes.plan("deploy", "a", version=1)):
        with pytest.raises(ConfigError, match=r"podium\.yaml:3:"):
            change()
    found = cockpit.project.needs(cockpit.environments.list())
    assert (found[0].reason, found[0].subject) == (Reason.CONFIG, "podium.yaml") and ":3:" in found[0].words
    assert cockpit.runs.count() == 0
    cockpit.close()


def test_an_environment_that_is_removed_while_it_serves_is_told(tmp_path: Path) -> None:
    file = tmp_path / "podium.yaml"
    file.write_text(FILE % ("one", ", b: {port: 5102}"))
    cockpit = Cockpit(tmp_path)
    cockpit.journal.replicas.put(Replica("b-v1-1", "b", 1, "v1-1", 20_000, ReplicaState.READY))
    assert cockpit.project.removed() == {}
    file.write_text(FILE % ("one", ""))
    assert cockpit.project.removed() == {"b": 1}
    found = cockpit.project.needs(cockpit.environments.list())
    assert [each.reason for each in found if each.environment == "b"] == [Reason.REMOVED]
    cockpit.close()


def test_without_environments_none_could_be_meant(tmp_path: Path) -> None:
    (tmp_path / "podium.yaml").write_text("project: p\n")
    with pytest.raises(UsageError, match=r"podium\.yaml has no environments"):
        Cockpit.open(tmp_path).environments.default()


def test_looking_at_a_run_whose_worker_is_gone_needs_no_room(tmp_path: Path) -> None:
    """What can be noted of it later is noted later: a disk that is full, read-only, or fails hides no run."""
    (tmp_path / "podium.yaml").write_text(FILE % ("one", ""))
    cockpit = Cockpit(tmp_path)
    run = cockpit.runs.start("p")
    wait_until(lambda: cockpit.runs.get(run.id).run.state.finished, what="the run ends")
    journal = cockpit.journal
    journal._database.run("UPDATE runs SET state = 'running', worker_pid = 4194304, ended = NULL")
    journal._database.run("PRAGMA query_only = on")
    assert cockpit.runs.recover() == () and cockpit.runs.get(run.id).run.state is RunState.RUNNING
    journal._database.run("PRAGMA query_only = off")
    assert cockpit.runs.get(run.id).run.state is RunState.INTERRUPTED
