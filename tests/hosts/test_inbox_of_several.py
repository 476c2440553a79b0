"""One inbox of several projects against forges with a token each, with the real clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.cli.main import main
from podium.core.cockpit import Cockpit
from podium.core.demo.forge import Forge
from podium.core.domain.hosts import CiAttention, CiRun, CiState
from podium.core.errors import UsageError
from podium.core.triggers import projects

CONFIG = """\
project: %(name)s
git: {host: {kind: github, repo: acme/%(name)s, url: '%(url)s'%(token)s}}
pipelines: {release: {steps: {one: {run: "true"}}}}
"""


class Scene:
    """Two projects, each at a forge of its own: the first has its token in the variable that podium.yaml names, the
    second in GITHUB_TOKEN; both in a file of their own."""

    def __init__(self, root: Path, flights: Forge, trains: Forge) -> None:
        self.forges = {"flights": flights, "trains": trains}
        self.homes = {name: root / name for name in self.forges}
        for name, forge in self.forges.items():
            state = self.homes[name] / ".podium"
            state.mkdir(mode=0o700, parents=True)
            forge.make_repo(f"acme/{name}")
            forge.commit(f"acme/{name}", "A first model")
            variable = ", token: '${HOST_TOKEN}'" if name == "flights" else ""
            text = CONFIG % {"name": name, "url": forge.url, "token": variable}
            (self.homes[name] / "podium.yaml").write_text(text)
            file = state / "agent.env"
            named = (
                f"HOST_TOKEN={forge.token}"
                if variable
                else f"GITHUB_TOKEN={forge.token}\nGITHUB_SERVER_URL={forge.url}"
            )
            file.write_text(f"{named}\n")
            file.chmod(0o600)
        with projects.editing():
            projects.put(self.homes.values())
        for name in self.forges:
            _ = Cockpit(self.homes[name]).journal


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "HOST_TOKEN", "GH_HOST", "GITHUB_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    with Forge("github", tmp_path / "one") as flights, Forge("github", tmp_path / "two") as trains:
        yield Scene(tmp_path, flights, trains)


@pytest.fixture
def cockpit(scene: Scene) -> Iterator[Cockpit]:
    cockpit = Cockpit(scene.homes["flights"])
    yield cockpit
    cockpit.close()


def test_the_runs_of_all_in_one_order_and_each_action_goes_to_its_own(scene: Scene, cockpit: Cockpit) -> None:
    flights, trains = scene.forges["flights"], scene.forges["trains"]
    failed = trains.ci.start("acme/trains", name="test", jobs=["unit"])
    trains.ci.append_log(failed.jobs[0], "1 failed\n")
    trains.ci.finish(failed.jobs[0], "failed")
    waiting = flights.ci.start("acme/flights", name="release", jobs=["deploy"])
    flights.ci.wait_for_approval(waiting, "production", reviewers=["acme"])
    running = trains.ci.start("acme/trains", name="docs")
    assert cockpit.inbox.refresh() == []
    asked = len(flights.requests) + len(trains.requests)
    inbox = cockpit.inbox.read()
    assert [(row.project, row.run.name, row.attention) for row in inbox.rows] == [
        ("trains", "test", CiAttention.FAILED),
        ("flights", "release", CiAttention.WAITING),
        ("trains", "docs", CiAttention.RUNNING),
    ]
    assert [(each.label, each.missing) for each in inbox.projects] == [("flights", ""), ("trains", "")]
    assert [row.project for row in cockpit.inbox.read(project="flights").rows] == ["flights"]
    assert len(flights.requests) + len(trains.requests) == asked, "the journals answered"

    theirs = cockpit.inbox.of("trains")
    assert "1 failed" in theirs.fetch_log(theirs.jobs(str(failed.id))[0].id).path.read_text()
    theirs.cancel(str(running.id), why="superseded")
    cockpit.inbox.of("flights").approve(str(waiting.id))
    states = {row.run.name: row.run.state for row in cockpit.inbox.read().rows}
    assert states["docs"] is CiState.CANCELLED and states["release"] in (CiState.QUEUED, CiState.RUNNING)
    other = Cockpit(scene.homes["trains"])
    assert [entry.action for entry in other.project.audit(limit=5)] == ["ci cancel"]
    assert [entry.action for entry in cockpit.project.audit(limit=5)] == ["ci approve"]
    other.close()
    for forge in (flights, trains):
        assert {call.token for call in forge.requests if call.server == "api"} == {True}, "no token of another's"
    with pytest.raises(UsageError, match="no project 'ships'"):
        cockpit.inbox.of("ships")


def test_what_the_shell_has_is_not_sent_to_anothers_host(
    scene: Scene, cockpit: Cockpit, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scene.homes["trains"] / ".podium" / "agent.env").unlink()
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_of-the-shell")
    monkeypatch.setenv("GITHUB_SERVER_URL", scene.forges["trains"].url)
    trains = scene.forges["trains"]
    cockpit.inbox.refresh()
    assert {call.token for call in trains.requests if call.server == "api"} == {None}, "it was asked, without a token"


def test_one_that_is_gone_and_one_that_does_not_answer_are_said(
    scene: Scene, cockpit: Cockpit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.forges["flights"].ci.start("acme/flights", name="release")
    scene.forges["trains"].ci.start("acme/trains", name="test")
    monkeypatch.chdir(scene.homes["flights"])
    assert main(["ci", "ls"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "PROJECT" and {line.split()[0] for line in lines[1:]} == {"flights", "trains"}
    (scene.homes["trains"] / "podium.yaml").unlink()
    assert main(["ci", "ls", "-o", "json"]) == 0
    printed = capsys.readouterr()
    assert [row["project"] for row in json.loads(printed.out)] == ["flights"]
    assert printed.err.count("there is no") == 1 and "trains is left out: there is no" in printed.err
    with projects.editing():
        projects.put([scene.homes["flights"]])
    monkeypatch.setenv("HOST_TOKEN", scene.forges["flights"].token)
    assert main(["ci", "ls"]) == 0
    assert capsys.readouterr().out.split()[0] == "RUN", "with one project it is as it was"


def test_as_many_as_are_asked_for_and_no_host_that_was_asked_lately(
    scene: Scene, cockpit: Cockpit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scene.homes["flights"])
    cockpit.inbox.refresh()
    for name, home in scene.homes.items():
        other = Cockpit(home)
        runs = [(CiRun(str(number), f"acme/{name}", "test", CiState.SUCCEEDED), ()) for number in range(80)]
        other.journal.host_runs.put(f"{scene.forges[name].url.removeprefix('http://')}/acme/{name}", runs, 1e9)
        other.close()
    asked = [len(forge.requests) for forge in scene.forges.values()]
    assert main(["ci", "ls", "-n", "150", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) == 150 and {row["project"] for row in found} == {"flights", "trains"}
    assert [len(forge.requests) for forge in scene.forges.values()] == asked
    assert main(["ci", "ls", "--refresh", "-o", "json"]) == 0
    assert all(len(forge.requests) > before for forge, before in zip(scene.forges.values(), asked, strict=True))
