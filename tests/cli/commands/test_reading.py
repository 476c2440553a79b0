"""Commands that only read: exit codes, golden output, and JSON exactly as docs/cli.md has it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from podium.cli.commands import replay
from podium.cli.commands.compute import cluster
from podium.cli.commands.engines import board
from podium.cli.text import (
    ci_shapes,
    declared_shapes,
    engine_shapes,
    evidence_shapes,
    infra_shapes,
    monitoring_shapes,
    shapes,
)
from podium.core import plugins
from podium.core.delivery.replay.report import to_dict
from podium.core.domain.access.clients import Token, TokenScope
from podium.core.domain.attention import Need, Reason
from podium.core.domain.containers import Container, Image, UnneededImage
from podium.core.domain.delivery import (
    CanaryState,
    CanaryStatus,
    Deployment,
    DeploymentState,
    EnvironmentStatus,
    How,
    Quarantined,
    Replica,
    ReplicaState,
)
from podium.core.domain.engines.exports import Exported, ExportFormat
from podium.core.domain.evidence.anchors import Anchor, Anchored
from podium.core.domain.evidence.proof import Bundle, Proof, SignedVersion, Standing
from podium.core.domain.evidence.why import WhyLine
from podium.core.domain.hosts import CiAttention, CiJob, CiRow, CiRun, CiState, Workflow
from podium.core.domain.infra.board import Answer, BoardRow, Mark
from podium.core.domain.infra.declared import Declared, DeclaredKind
from podium.core.domain.infra.plan import Drift, InfraPlan, InfraStatus, ResourceChange
from podium.core.domain.infra.rules import ChangeKind
from podium.core.domain.labels import AddedLabels, Dispute, KeptRequest, LabelStatus
from podium.core.domain.machines.cluster import ClusterNode, ClusterStatus, Share
from podium.core.domain.machines.machine import MachineStatus
from podium.core.domain.models import Lineage, Model, Version
from podium.core.domain.monitoring import (
    AlertEvent,
    AlertState,
    AlertStatus,
    ColumnMeasurement,
    LabelCounts,
    LoopEntry,
    LoopState,
    Measurement,
    MonitorKind,
    MonitorStatus,
    Silence,
    SinkStatus,
)
from podium.core.domain.plans import Change, Plan, VersionChange
from podium.core.domain.repair import Difference, DifferenceKind
from podium.core.domain.replay import ReplayReport
from podium.core.domain.runs import PIPELINE, Run, RunState, Step, StepState, Trigger
from podium.core.domain.verdicts import Source, Verdict, VersionVerdict
from podium.core.domain.watching import (
    AgentStatus,
    AuditCheck,
    AuditEntry,
    Backup,
    Finding,
    Health,
    Pruned,
    Restored,
    ScheduleStatus,
    Service,
    WatchedProject,
    WatchedTogether,
    WatchState,
)
from podium.core.errors import Problem
from podium.core.journal import Journal
from podium.core.registry.snapshot import ABSENT

from ..conftest import Call

PAGE = Path(__file__).resolve().parents[3] / "docs" / "cli.md"


def documented(name: str) -> list[str]:
    """The field names of a `<!-- fields: NAME -->` paragraph: the words in back-quotes outside parentheses."""
    found = re.search(rf"<!-- fields: {name} -->\n(.*?)\n\n", PAGE.read_text() + "\n\n", re.DOTALL)
    assert found, name
    text = found[1]
    while (stripped := re.sub(r"\([^()]*\)", "", text)) != text:
        text = stripped
    return re.findall(r"`(\w+)`", text.removeprefix("JSON of `--dry-run`:"))


REPLICA = Replica("a", "staging", 1, "a", 20000, ReplicaState.READY)
SAMPLES: dict[str, dict[str, Any]] = {
    "run": shapes.run(Run(1, PIPELINE, "x", RunState.QUEUED, Trigger.PERSON, "anna", 0.0)),
    "step": shapes.step(Step(1, "x", 0, StepState.PENDING)),
    "version": shapes.version(Version("m", 1, 0.0)),
    "verdict": shapes.verdict(VersionVerdict(1, Source.GATE, Verdict.PASS, 0.0)),
    "model": shapes.model(Model("m", 1, 1, {}, 0.0)),
    "lineage": shapes.lineage(Lineage("", None, "", "m", 1, "")),
    "replica": shapes.replica(REPLICA),
    "environment": shapes.environment(
        EnvironmentStatus("e", "process", "", False, "", "", None, None, None, (REPLICA,))
    ),
    "canary": shapes.canary(CanaryStatus(1, "e", 2, 1, 0, (5, 50), 5, CanaryState.RUNNING, 0.0, 60.0)),
    "deployment": shapes.deployment(Deployment(1, "e", How.DEPLOY, DeploymentState.RUNNING, "m", 1, None, 0.0, "anna")),
    "plan": shapes.plan(
        Plan("e", "deploy", "", "", "", changes=(Change("a", "b", "c"),), versions=VersionChange("m", 1, None))
    ),
    "replay": replay.shape(to_dict(ReplayReport("e", "m", 2, 1, Verdict.PASS, (), 0.0))),
    "cluster": cluster.shape(
        MachineStatus("h", Share(), Share()),
        ClusterStatus("http://h:8265", "2", (ClusterNode("1", "h", True, True),), ()),
    ),
    "token": shapes.token(Token("e", "billing", TokenScope.PREDICT, "0", "anna", 0.0)),
    "board": board.shape(
        BoardRow("environment", "a", Answer(Mark.GOOD, "x"), Answer(Mark.BAD, "y"), Answer(Mark.NONE, "z"))
    ),
    "infra": infra_shapes.status(InfraStatus("a", "terraform", "x")),
    "infra_plan": infra_shapes.plan(InfraPlan("a", "Terraform", "0", 0.0, 1.0)),
    "infra_change": infra_shapes.change(ResourceChange("a.b", "a", ChangeKind.CREATE)),
    "infra_drift": infra_shapes.drift(Drift("a.b", "a")),
    "labels": monitoring_shapes.label_status(LabelStatus("e", LabelCounts(0, 0, 0, 0, 0, 0, 0), (), False, True)),
    "kept_request": monitoring_shapes.kept_request(KeptRequest(1, "a", 0.0, 1, 200)),
    "dispute": monitoring_shapes.dispute(Dispute("a", 0, 1, "crm", 0, "other", 0.0)),
    "added_labels": monitoring_shapes.added_labels(AddedLabels()),
    "monitor": monitoring_shapes.monitor(MonitorStatus("m", "e", MonitorKind.SIGNAL, "x")),
    "measurement": monitoring_shapes.measurement(Measurement("m", "e", MonitorKind.SIGNAL, 0.0, None)),
    "measured_column": monitoring_shapes.measured_column(ColumnMeasurement("a", None)),
    "image": engine_shapes.image(Image("m", 1, "unix:///x", "sha256:1", "sha256:1", 0.0)),
    "unneeded": engine_shapes.unneeded(UnneededImage("unix:///x", "sha256:1", "m:v1", 1, 0, "")),
    "service": shapes.service(Service("u", "/u", (), ())),
    "backup": shapes.backup(Backup("/b", 1, 1, False, ())),
    "bundle": evidence_shapes.bundle(Bundle("/d", "m", 1, (), "")),
    "signed_version": evidence_shapes.signed_version(SignedVersion("m", 1, "SHA256:x", 1, 0, "/s")),
    "proof": evidence_shapes.proof(Proof("/d", "m", 1, Standing.KNOWN, "anna", ())),
    "why_line": evidence_shapes.why_line(WhyLine("commit", "a", "git show a")),
    "exported": engine_shapes.exported(Exported("e", ExportFormat.COMPOSE, "/d", ("compose.yaml",), (1,))),
    "restored": shapes.restored(Restored("/h", "shop", 0.0, 1, ())),
    "pruned": shapes.pruned(Pruned("logs", 1, 0, "older than 180d")),
    "need": shapes.need(Need(0, Reason.DOWN, "e", "proxy is gone")),
    "difference": shapes.difference(Difference(DifferenceKind.GONE, "a", "a is gone")),
    "declared": declared_shapes.declared(Declared(DeclaredKind.ENVIRONMENT, "e", "")),
    "repair": shapes.repair(Plan("e", "repair", "", "", "")),
    "container": engine_shapes.container(Container("1", "a", "e", "replica", "running", 0.0), REPLICA, {}),
    "quarantined": shapes.quarantined(Quarantined("m", 1, "", 0.0, "anna")),
    "agent": shapes.agent(AgentStatus(False)),
    "watched": shapes.together(WatchedTogether(), {}),
    "watched_project": shapes.watched_project(WatchedProject("/h", WatchState.RUNNING), None),
    "audit": evidence_shapes.audit_entry(AuditEntry(1, 0.0, "anna", "run", "run 1", "", "")),
    "audit_check": evidence_shapes.audit_check(AuditCheck(0, "", (), Anchored("origin"))),
    "anchored": evidence_shapes._anchored(Anchored("origin")),
    "anchor": evidence_shapes.anchor(Anchor(1, "", 0.0, "anna")),
    "schedule": shapes.schedule(ScheduleStatus("nightly", "0 3 * * *", 0.0)),
    "finding": shapes.finding(Finding(Health.OK, "", "")),
    "ci_run": ci_shapes.ci_run(CiRow("h", CiRun("1", "o/n", "test", CiState.RUNNING), CiAttention.RUNNING)),
    "ci_job": ci_shapes.ci_job(CiJob("1", "1", "unit", CiState.RUNNING)),
    "ci_workflow": ci_shapes.ci_workflow(Workflow("1", "nightly")),
    "alert": monitoring_shapes.alert(AlertStatus("a", "e", "m", AlertState.FIRING, 0.0)),
    "alert_event": monitoring_shapes.alert_event(AlertEvent(1, "a", "e", "m", "firing", 0.0)),
    "silence": monitoring_shapes.silence(Silence(1, "a", "anna", "", 0.0, 1.0)),
    "loop": monitoring_shapes.loop(LoopEntry(1, "a", "e", "p", 1, 0.0, LoopState.RUNNING)),
    "sink": monitoring_shapes.sink(SinkStatus("a", "webhook")),
    "problem": shapes.problem(Problem("f", 1, 1, "", "")),
}


@pytest.mark.parametrize(
    "words",
    (
        "ps -n",
        "history -n",
        "audit -n",
        "ci ls -n",
        "feedback approve",
        "quarantine lift",
        "show",
        "quarantine add --why x",
    ),
)
def test_a_number_that_nothing_can_be_is_no_crash(call: Call, journal: Journal, words: str) -> None:
    for number in ("9" * 19, "9" * 5000):
        done = call(*words.split(), number)
        assert done.code in (2, 3) and "unexpected" not in done.err, (words, len(number))


@pytest.mark.parametrize("name", SAMPLES)
def test_json_fields_are_those_of_the_page(name: str) -> None:
    assert list(SAMPLES[name]) == documented(name) or set(SAMPLES[name]) == set(documented(name))


def test_every_documented_shape_is_checked() -> None:
    assert set(re.findall(r"<!-- fields: (\w+) -->", PAGE.read_text())) == set(SAMPLES)


@pytest.fixture
def two_runs(journal: Journal) -> list[int]:
    ids = []
    for name, state in (("ok", RunState.SUCCEEDED), ("bad", RunState.FAILED)):
        run = journal.runs.create(
            kind=PIPELINE, name=name, trigger=Trigger.PUSH, who="anna", commit="c" * 40, created=1_763_892_000.0
        )
        journal.steps.add(
            run.id, [Step(run.id, "train[depth=4]", 0, StepState.PENDING), Step(run.id, "after", 1, StepState.PENDING)]
        )
        journal.runs.set_state(run.id, RunState.RUNNING, at=1_763_892_001.0)
        journal.runs.set_state(
            run.id, state, at=1_763_892_003.5, message="" if state is RunState.SUCCEEDED else "after failed"
        )
        ids.append(run.id)
    return ids


def test_ps_golden(call: Call, two_runs: list[int]) -> None:
    done = call("ps", "-o", "plain")
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert [[*line[:6], *line[7:]] for line in lines] == [
        ["2", "failed", "pipeline", "bad", "ccccccccc", "push", "2.5s", "anna", "after failed"],
        ["1", "succeeded", "pipeline", "ok", "ccccccccc", "push", "2.5s", "anna", ""],
    ]
    assert done.err == ""


def test_ps_json(call: Call, two_runs: list[int]) -> None:
    found = json.loads(call("ps", "-o", "json").out)
    assert [run["id"] for run in found] == [2, 1]
    assert found[1]["started"] == "2025-11-23T10:00:01.000Z"
    assert found[1]["seconds"] == 2.5
    assert [run["id"] for run in json.loads(call("ps", "-o", "json", "--state", "failed").out)] == [2]
    assert [run["id"] for run in json.loads(call("ps", "-o", "json", "--name", "ok").out)] == [1]
    assert [run["id"] for run in json.loads(call("ps", "-o", "json", "-n", "1").out)] == [2]


def test_nothing_yet(call: Call) -> None:
    done = call("ps")
    assert (done.code, done.out) == (0, "")
    assert "no runs yet" in done.err
    assert call("ps", "-o", "json").out == "[]\n"


def test_show(call: Call, two_runs: list[int]) -> None:
    done = call("show", "1")
    assert done.code == 0
    assert done.out.splitlines()[:3] == [
        "run      1 pipeline ok",
        "state    succeeded after 2.5s",
        "commit   ccccccccc",
    ]
    assert "train[depth=4]  pending" in done.out
    last = json.loads(call("show", "-o", "json").out)
    assert last["id"] == 2
    assert [step["name"] for step in last["steps"]] == ["train[depth=4]", "after"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["show", "9"], 3, "no run 9"),
        (["show", "x"], 2, "not a run's number"),
        (["logs", "1", "nope"], 3, "no step"),
        (["run", "nope"], 3, "nope"),
        (["run"], 2, "which pipeline"),
        (["run", "ok", "--param", "x"], 2, "NAME=VALUE"),
        (["run", "ok", "--param", "x=1"], 2, "no parameter"),
        (["run", "ok", "--jobs", "0"], 2, "jobs"),
        (["cancel", "1"], 4, "over"),
        (["nope"], 2, "no such command"),
        (["ps", "--nope"], 2, "no such option"),
        (["ps", "-o", "xml"], 2, "xml"),
        (["-C", "/nonexistent", "ps"], 2, "no such directory"),
        (["ps", "-C", "/"], 2, "podium.yaml"),
        (["compare", "1"], 2, "two versions"),
        (["compare", "1", "2"], 3, "version"),
        (["lineage", "nobody"], 3, "nothing is known"),
        (["status", "-e", "nope"], 3, "nope"),
        (["history", "-e", "nope"], 3, "nope"),
        (["quarantine", "lift", "7"], 3, "quarantine"),
        (["quarantine", "lift", "x"], 2, "number"),
        (["deploy"], 2, "which version"),
        (["deploy", "1"], 2, "which environment"),
        (["promote", "--force"], 2, "reason"),
        (["promote", "9", "--yes"], 3, "version"),
        (["watch", "--stop", "--status"], 2, "exclude"),
        (["watch", "--status"], 3, "is not running"),
        (["ui"], 2, "terminal"),
    ],
)
def test_what_goes_wrong_has_a_code_and_words(
    call: Call, two_runs: list[int], words: list[str], code: int, said: str
) -> None:
    done = call(*words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "unexpected" not in done.err


def test_versions_and_models_and_compare(call: Call, journal: Journal) -> None:
    versions = [
        Version(
            "small",
            2,
            time.time() - 100,
            aliases=("challenger",),
            commit="d" * 40,
            verdict=Verdict.PASS,
            metrics={"auc": 0.71},
            params={"depth": "8"},
        ),
        Version(
            "small",
            1,
            time.time() - 4000,
            aliases=("champion",),
            commit="e" * 40,
            metrics={"auc": 0.7},
            params={"depth": "4", "rate": "0.1"},
        ),
    ]
    journal.versions.replace("small", versions, ABSENT)
    journal.quarantine.add("small", 1, "e" * 40, "anna", "bad")
    assert (
        call("versions", "--offline").out == "VERSION  ALIASES     VERDICT      COMMIT     RUN  CREATED     AUC  WHY\n"
        "      2  challenger  pass         ddddddddd       1m ago   0.7100\n"
        "      1  champion    quarantined  eeeeeeeee       1h ago   0.7000  quarantined by anna: bad\n"
    )
    assert "quarantined by anna" in call("show", "v1").out
    assert json.loads(call("show", "v1", "-o", "json").out)["verdicts"][0]["words"] == "bad"
    assert [each["version"] for each in json.loads(call("versions", "--offline", "-o", "json").out)] == [2, 1]
    assert json.loads(call("models", "--offline", "-o", "json").out)[0]["aliases"] == {"champion": 1, "challenger": 2}
    done = call("compare", "champion", "2", "--offline")
    assert done.code == 0
    assert re.search(r"metric +auc +0\.7000 +0\.7100", done.out)
    assert json.loads(call("lineage", "champion", "--offline", "-o", "json").out)[0]["version"] == 1
    assert json.loads(call("quarantine", "list", "-o", "json").out)[0]["why"] == "bad"
    assert call("quarantine", "lift", "v1", "--why", "fine").code == 0
    assert json.loads(call("quarantine", "list", "-o", "json").out) == []


def test_status_and_history(call: Call, journal: Journal) -> None:
    row = journal.ledger.begin(
        environment="staging", how=How.DEPLOY, model="small", to_version=3, from_version=2, who="anna", why="try it"
    )
    journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
    value = json.loads(call("status", "-o", "json").out)
    assert [each["name"] for each in value["environments"]] == ["production", "staging"]
    assert value["environments"][1]["serving"] == 3
    assert value["agent"]["alive"] is False
    assert json.loads(call("history", "-o", "json").out)[0]["to"] == 3
    assert "staging" in call("history").out


def test_status_says_what_waits_for_a_person_as_the_overview_does(call: Call, journal: Journal) -> None:
    run = journal.runs.create(kind=PIPELINE, name="asks", trigger=Trigger.PUSH, who="anna")
    journal.runs.set_state(run.id, RunState.RUNNING)
    journal.steps.add(run.id, [Step(run.id, "gated", 0, StepState.PENDING)])
    journal.runs.set_state(run.id, RunState.FAILED, message="gated failed")
    done = call("status", "-o", "json")
    value = json.loads(done.out)
    assert [(need["reason"], need["run"]) for need in value["needs"]] == [("failed", run.id)]
    assert [each["health"] for each in value["environments"]] == ["empty", "empty"]
    said = call("status").err
    assert f"run {run.id}: asks failed: gated failed (`podium logs {run.id}`)" in said
    assert json.loads(call("status", "-e", "production", "-o", "json").out)["needs"] == []


def test_config_show_masks_secrets(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TOKEN", "s3cret-value")
    (home / "podium.yaml").write_text(
        'project: x\ngit: {host: {kind: github, repo: a/b, token: "${GIT_TOKEN}"}}\npipelines: {p: {steps: {s: {run:'
        ' "true"}}}}\n'
    )
    done = call("config", "show")
    assert done.code == 0
    assert "s3cret" not in done.out
    assert json.loads(done.out)["git"]["host"]["token"] == "***"


def test_config_schema(call: Call) -> None:
    assert json.loads(call("config", "schema").out)["type"] == "object"


def test_validate(call: Call, home: Path) -> None:
    done = call("validate")
    assert (done.code, done.out) == (0, "")
    assert "4 pipelines" in done.err and "not implemented yet" not in done.err
    (home / "podium.yaml").write_text("project: x\npipelines: {p: {steps: {s: {rum: 'true'}}}}\n")
    done = call("validate")
    assert (done.code, done.out) == (2, "")
    assert "podium.yaml:2:" in done.err
    value = json.loads(call("validate", "-o", "json").out)
    assert value["valid"] is False
    assert value["problems"][0]["line"] == 2


def test_validate_says_what_nothing_acts_on_yet(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plugins.TABLE["drivers"], "nomad", plugins.Plugin())
    with (home / "podium.yaml").open("a") as file:
        file.write("git: {branch: main}\nmonitors: {errors: {environment: staging, signal: error_rate}}\n")
    text = (home / "podium.yaml").read_text()
    (home / "podium.yaml").write_text(text.replace("production: {port", "production: {driver: nomad, port"))
    done = call("validate")
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines()[1:] == [
        "environments.production.driver: nomad: accepted, but no installed package implements it, so a change there will fail"
    ]
    assert json.loads(call("validate", "-o", "json").out) == {"valid": True, "problems": []}
    assert "idle" not in json.loads(call("config", "show").out)


def test_broken_configuration_does_not_keep_runs_from_being_read(call: Call, home: Path, two_runs: list[int]) -> None:
    (home / "podium.yaml").write_text("nonsense: [")
    assert call("ps", "-o", "json").code == 0
    assert call("show", "1").code == 0


def test_help_of_every_command_shows_an_example(call: Call) -> None:
    from podium.cli.app import COMMANDS

    for name in COMMANDS:
        done = call(name, "--help")
        assert done.code == 0
        groups = ("alerts", "ci", "config", "evidence", "feedback", "infra", "labels", "quarantine", "tokens")
        assert "-C" in done.out or name in groups, name
        assert "Example:" in done.out or name in groups, name
    for words in (
        ["config", "schema"],
        ["config", "show"],
        ["quarantine", "list"],
        ["tokens", "ls"],
        ["tokens", "add"],
        ["tokens", "rm"],
        *(["infra", each] for each in ("ls", "plan", "show", "approve", "apply", "drift", "outputs")),
        ["quarantine", "lift"],
        ["quarantine", "add"],
        *(["evidence", each] for each in ("write", "verify", "sign")),
        *(["labels", each] for each in ("ls", "disputes", "import")),
        *(["ci", each] for each in ("ls", "show", "logs", "rerun", "cancel", "approve", "start", "run")),
    ):
        assert "Example:" in call(*words, "--help").out
    assert "Exit codes:" in call("--help").out


def test_version(call: Call) -> None:
    for words in (["--version"], ["-V"], ["-C", ".", "--version"]):
        done = call(*words)
        assert done.code == 0
        assert re.fullmatch(r"podium \d+\.\d+\.\d+\n", done.out)
