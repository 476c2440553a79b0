"""CloudFormation on moto's server: change sets planned, approved, executed, and what is empty, gone or busy."""

from __future__ import annotations

import pytest
from podium.core.config.loading import from_text
from podium.core.domain.infra.rules import ChangeKind
from podium.core.domain.runs import RunState
from podium.core.errors import MissingExtra, Refused
from podium.core.infra.cloudformation.api import client_of
from podium.core.infra.cloudformation.tool import CloudFormation, StalePlan
from podium.core.infra.status import status_of

from tests.infra.conftest import InfraLab
from tests.servers.moto import Moto

TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Name: {Type: String}
  Password: {Type: String, NoEcho: true, Default: nothing-secret}
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Ref Name}
"""
MORE = (
    TEMPLATE + "  Other:\n    Type: AWS::SSM::Parameter\n    Properties: {Type: String, Value: x, Name: /lab/other}\n"
)


@pytest.fixture
def lab(stacks: InfraLab, aws: Moto) -> InfraLab:
    stacks.write("stack.yaml", TEMPLATE)
    stacks.infra(
        f"  serving: {{cloudformation: stack.yaml, region: eu-west-1, endpoint: '{aws.url}', auto: [create],"
        " parameters: {Name: first, Password: '${PASSWORD:-hunter2-hunter2}'}}"
    )
    return stacks


def client(lab: InfraLab):
    return client_of(lab.project.infra["serving"])


def tool(lab: InfraLab) -> CloudFormation:
    return CloudFormation(lab.project, lab.project.infra["serving"], lambda _: None, poll=0.01)


def test_a_stack_is_planned_applied_and_planned_again(lab: InfraLab) -> None:
    planned = lab.good(lab.plan())
    plan = lab.saved().plan()
    assert plan.counts() == {ChangeKind.CREATE: 1}
    assert (plan.changes[0].address, plan.changes[0].type) == ("Queue", "AWS::SQS::Queue")
    assert plan.reference.startswith("arn:aws:cloudformation:") and plan.workspace == "lab-serving"
    applied = lab.good(lab.apply())
    stack = client(lab).describe_stacks(StackName="lab-serving")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    lab.write("stack.yaml", MORE)
    lab.good(lab.plan())
    assert [each.address for each in lab.saved().plan().changes] == ["Other"]
    lab.good(lab.apply())
    for run in (planned, applied):
        assert "hunter2-hunter2" not in lab.everything(run)
    assert status_of(lab.project, lab.journal, "serving").state() == "applied"


def test_an_empty_change_set_is_nothing_to_do(lab: InfraLab) -> None:
    lab.good(lab.plan())
    lab.good(lab.apply())
    run = lab.good(lab.plan())
    assert lab.steps(run.id)["infra-plan"].results["applyable"] is False
    assert "nothing to apply" in lab.asked().nothing_to_do
    left = client(lab).list_change_sets(StackName="lab-serving")["Summaries"]
    assert all(each["ExecutionStatus"] != "UNAVAILABLE" for each in left), "what is empty is removed there"


def test_a_change_set_that_is_gone_is_stale(lab: InfraLab) -> None:
    lab.good(lab.plan())
    client(lab).delete_change_set(ChangeSetName=lab.saved().plan().reference)
    run = lab.apply()
    assert run.state is RunState.FAILED
    assert "change set" in run.message.lower()


def test_a_change_set_that_says_something_else_is_stale(lab: InfraLab) -> None:
    from dataclasses import replace

    lab.good(lab.plan())
    other = replace(lab.saved().plan(), digest="0" * 64)
    with pytest.raises(StalePlan):
        tool(lab).apply(other, lab.saved())


def test_a_plan_that_is_replaced_takes_its_change_set_along(lab: InfraLab) -> None:
    lab.good(lab.plan())
    first = lab.saved().plan().reference
    lab.good(lab.plan())
    left = [each["ChangeSetId"] for each in client(lab).list_change_sets(StackName="lab-serving")["Summaries"]]
    assert first not in left and lab.saved().plan().reference in left


def test_a_stack_ends_as_a_plan_too(lab: InfraLab) -> None:
    lab.good(lab.plan())
    lab.good(lab.apply())
    lab.good(lab.plan(destroy="true"))
    assert lab.saved().plan().counts() == {ChangeKind.DELETE: 1}
    assert status_of(lab.project, lab.journal, "serving").judgement.decision == "ask"
    lab.good(lab.apply())
    assert tool(lab)._api.stack("lab-serving") is None


def test_a_pipeline_makes_a_stack(lab: InfraLab, aws: Moto) -> None:
    text = (lab.home / "podium.yaml").read_text()
    steps = "pipelines: {main: {steps: {net: {uses: cloudformation, infra: serving}}}}\n"
    lab.write("podium.yaml", text + steps)
    run, found = lab.run(timeout=60)
    lab.good(run)
    assert found["net"].results["resources"] == [] or found["net"].results["resources"] == ["Queue"]


def test_what_cannot_be_asked_is_said(lab: InfraLab, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (lab.home / "podium.yaml").read_text()
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    lab.write("podium.yaml", text.replace("stack.yaml", "nowhere.yaml"))
    assert "nowhere.yaml cannot be read" in lab.plan().message
    lab.write("podium.yaml", text.replace(", region: eu-west-1", ""))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert "no AWS region is said" in lab.plan().message


def test_without_boto3_the_extra_is_named(lab: InfraLab, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtra) as caught:
        client_of(lab.project.infra["serving"])
    assert 'pip install "podium[aws]"' in caught.value.hint


def test_a_stack_that_is_busy_or_stuck_is_refused_with_what_to_do(
    lab: InfraLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tool(lab)
    for state, words, hint in (
        ("UPDATE_ROLLBACK_FAILED", "taking that back failed too", "continue-update-rollback --stack-name lab-serving"),
        ("ROLLBACK_COMPLETE", "it can only be deleted", "delete-stack --stack-name lab-serving"),
        ("UPDATE_IN_PROGRESS", "it is being changed", "wait until that has ended"),
    ):
        monkeypatch.setattr(made._api, "stack", lambda _, state=state: {"StackStatus": state, "StackId": "s"})
        with pytest.raises(Refused) as caught:
            made.plan()
        assert words in caught.value.message and hint in caught.value.hint, state


def test_the_stack_is_named_after_the_project_where_nothing_else_is_said(lab: InfraLab) -> None:
    project = from_text(
        "project: my_flights.eu\ninfra: {net: {cloudformation: a.yaml}, own: {cloudformation: a.yaml, stack: mine}}\n",
        "podium.yaml", lab.home, lab.home, {},
    )  # fmt: skip
    names = [CloudFormation(project, each, print).stack for each in project.infra.values()]
    assert names == ["my-flights-eu-net", "mine"]
