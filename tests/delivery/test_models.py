"""One file that names two models, each with its environment: what is done to one is not done to the other, whose
versions have the same numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podium.core.cockpit import Cockpit
from podium.core.config import load
from podium.core.delivery.environment.healing import heal_environment
from podium.core.delivery.environment.history import carries
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.proxy.proxy import of_process
from podium.core.delivery.rollout import carry_out, change_steps, phases, plans
from podium.core.delivery.rollout.carry_out import RolloutRequest
from podium.core.delivery.rollout.stop import plan_stop
from podium.core.delivery.status.status import status, stop
from podium.core.domain.delivery import Condition, How
from podium.core.domain.project import Project
from podium.core.domain.runs import Run, RunState, StepState, Trigger
from podium.core.domain.verdicts import GateReport, Verdict
from podium.core.engine.context import StepContext, UpstreamStep
from podium.core.errors import Refused
from podium.core.journal import Journal
from podium.core.registry.files import bring
from podium.core.registry.snapshot import refresh

from tests.delivery.light import get, install
from tests.support import free_port, wait_until

PODIUM = """\
project: bank
mlflow: {{model: churn}}
pipelines:
  both:
    steps:
      churn: {{uses: register, metric: score, goal: maximize}}
      fraud: {{uses: register, metric: score, goal: maximize, model: fraud}}
      ship-churn: {{uses: promote, environment: retention, needs: [churn, fraud]}}
      ship-fraud: {{uses: promote, environment: payments, needs: [ship-churn]}}
environments:
  retention: {{driver: process, port: {0}, health_timeout: 120s}}
  payments: {{driver: process, port: {1}, health_timeout: 120s, model: fraud}}
"""


class Bank:
    def __init__(self, home: Path) -> None:
        install()
        (home / "podium.yaml").write_text(PODIUM.format(free_port(), free_port()))
        self.home = home
        self.project = self._light(load(home))
        self.journal = Journal.open(self.project.state / "journal.db")

    def _light(self, project: Project) -> Project:
        light = {name: replace(each, driver="light") for name, each in project.environments.items()}
        return replace(project, environments=light)

    def serves_instead(self, environment: str, model: str) -> None:
        """podium.yaml names another model for an environment."""
        changed = {environment: replace(self.project.environments[environment], model=model)}
        self.project = replace(self.project, environments={**self.project.environments, **changed})

    def register(self) -> None:
        """Two versions of each model; each answers with its own word."""
        import mlflow
        from podium.core.registry.prepare import prepare

        prepare(self.project.mlflow, self.project.state)
        client = mlflow.MlflowClient(self.project.mlflow.tracking_uri)
        for model in ("churn", "fraud"):
            client.create_registered_model(model)
            for number in (1, 2):
                client.create_model_version(model, (self.home / "made").as_uri())
                self._files(model, number)
            client.set_registered_model_alias(model, "challenger", 1)
        refresh(self.project, self.journal)

    def _files(self, model: str, number: int) -> None:
        def download(into: Path) -> None:
            (into / "behaviour.json").write_text(json.dumps({"answer": f"{model} {number}"}))
            (into / "serving_input_example.json").write_text('{"inputs": [[1.0]]}')

        environment = "payments" if model == "fraud" else "retention"
        bring(self.runtime(environment).files.directory(number), download)

    def runtime(self, environment: str) -> EnvironmentRuntime:
        return EnvironmentRuntime(self.project, self.journal, self.project.environments[environment])

    def change(self, environment: str, how: How, number: int) -> None:
        request = RolloutRequest(how, number, "anna", force="the test says so")
        carry_out.carry_out(self.runtime(environment), request)

    def aliases(self, model: str) -> dict[str, int]:
        import mlflow

        found = mlflow.MlflowClient(self.project.mlflow.tracking_uri).get_registered_model(model)
        return {alias: int(number) for alias, number in found.aliases.items()}

    def answers(self, environment: str) -> str:
        import http.client

        port = self.project.environments[environment].port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/invocations", b'{"inputs": [[1.0]]}', {"Content-Type": "application/json"})
        text = connection.getresponse().read().decode()
        connection.close()
        assert str(json.loads(get(port, "/version", timeout=60))["version"]) in text
        return text

    def close(self) -> None:
        for name in self.project.environments:
            runtime = self.runtime(name)
            of_process(runtime.directory).stop()
            for row in runtime.replicas():
                runtime.driver.stop(row, grace=0.5)
        self.journal.close()


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phases, "WATCH_SECONDS", 0.05)
        made = Bank(tmp_path_factory.mktemp("bank"))
        try:
            made.register()
            yield made
        finally:
            made.close()


@pytest.mark.timeout(300)
def test_promotions_and_rollbacks_of_one_leave_the_other_alone(bank: Bank) -> None:
    assert [carries(bank.project, name) for name in ("retention", "payments")] == ["champion", "champion"]
    bank.change("retention", How.PROMOTE, 1)
    bank.change("payments", How.PROMOTE, 1)
    bank.change("retention", How.PROMOTE, 2)
    assert "churn 2" in bank.answers("retention")
    assert "fraud 1" in bank.answers("payments")
    assert bank.aliases("churn") == {"champion": 2, "previous": 1}
    assert bank.aliases("fraud") == {"champion": 1}

    bank.change("payments", How.PROMOTE, 2)
    bank.change("retention", How.ROLLBACK, 1)
    assert "churn 1" in bank.answers("retention")
    assert "fraud 2" in bank.answers("payments")
    assert bank.aliases("churn") == {"champion": 1}
    assert bank.aliases("fraud") == {"champion": 2, "previous": 1}
    assert [(each.model, each.version) for each in bank.journal.quarantine.all()] == [("churn", 2)]
    assert plans.plan(bank.project, bank.journal, How.DEPLOY, "payments", 2).refusal == ""
    assert "quarantined" in plans.plan(bank.project, bank.journal, How.DEPLOY, "retention", 2).refusal

    shown = [status(bank.project, bank.journal, each) for each in bank.project.environments.values()]
    assert [(each.model, each.serving, each.rollback_to) for each in shown] == [("churn", 1, None), ("fraud", 2, 1)]
    assert [each.differences for each in shown] == [(), ()]
    assert [row.model for row in bank.journal.ledger.history("payments")] == ["fraud", "fraud"]


def test_what_is_said_of_them_names_the_model(bank: Bank) -> None:
    cockpit = Cockpit.open(bank.home)
    try:
        assert cockpit.models.resolve("fraud:champion").model == "fraud"
        assert cockpit.models.resolve("2", cockpit.environments.model_of("payments")).model == "fraud"
        assert {row.model for row in cockpit.models.lineage("v2")} == {"churn", "fraud"}
        assert [row.environment for row in cockpit.models.lineage("fraud:2")] == ["payments"]
        assert [row.environment for row in cockpit.models.lineage("churn:1")] == ["retention"]
        assert cockpit.environments.default("fraud") == "payments"
    finally:
        cockpit.close()


def test_a_gate_of_one_says_nothing_of_the_other(bank: Bank) -> None:
    bank.journal.gates.add(GateReport("quality", "fraud", 1, None, Verdict.FAIL, (), 1.0))
    assert plans.verdict(bank.journal, "fraud", 1) is Verdict.FAIL
    assert plans.verdict(bank.journal, "churn", 1) is None


def step(bank: Bank, environment: str, **reported: Any) -> StepContext:
    run = Run(1, "both", "both", RunState.RUNNING, Trigger.PERSON, "anna", created=1.0)
    upstream = {name: UpstreamStep(name, StepState.SUCCEEDED, results) for name, results in reported.items()}
    options = {"environment": environment}
    return StepContext(bank.project, run, "ship", options, upstream, _journal=bank.journal)


def test_a_step_delivers_what_was_registered_of_its_environments_model(bank: Bank) -> None:
    made = {"fraud": {"model": "fraud", "version": 1}, "churn": {"model": "churn", "version": 2}}
    for environment, number in (("retention", 2), ("payments", 1)):
        context = step(bank, environment, **made)
        assert change_steps.request_of(context, bank.runtime(environment), How.PROMOTE).version == number
    with pytest.raises(Refused, match="made a version of fraud, and retention serves churn"):
        context = step(bank, "retention", fraud=made["fraud"])
        change_steps.request_of(context, bank.runtime("retention"), How.PROMOTE)


@pytest.mark.timeout(300)
def test_an_environment_keeps_the_model_that_it_serves_until_it_is_stopped(bank: Bank) -> None:
    bank.serves_instead("payments", "churn")
    refusal = plans.plan(bank.project, bank.journal, How.DEPLOY, "payments", 1).refusal
    assert "payments has replicas of the model fraud, and podium.yaml names churn" in refusal
    bank.serves_instead("retention", "elsewhere")  # so that payments is the one that carries churn's aliases
    runtime = bank.runtime("payments")
    row = runtime.running(2)[0]
    runtime.driver.stop(row, grace=0.5)

    def healed() -> bool:
        heal_environment(bank.project, bank.journal, runtime.environment)
        return status(bank.project, bank.journal, runtime.environment).health.condition is Condition.HEALTHY

    wait_until(healed, 60, what="the replica is brought back")
    assert "fraud 2" in bank.answers("payments"), "what serves is brought back, whatever the file says by now"

    assert plan_stop(bank.project, bank.journal, "payments").refusal == ""
    stop(bank.project, bank.journal, runtime.environment)
    bank.change("payments", How.DEPLOY, 1)
    assert "churn 1" in bank.answers("payments")
    assert bank.journal.ledger.history("payments", 1)[0].from_version is None, "2 was a version of another model"
    assert status(bank.project, bank.journal, bank.project.environments["payments"]).rollback_to is None
