"""What moto does not know, scripted with botocore's Stubber by the published shapes of the API: replacements, nested
stacks, events of one operation, failures and rollbacks, drift."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podium.core.config.loading import from_text
from podium.core.domain.infra.rules import ChangeKind
from podium.core.errors import PodiumError
from podium.core.infra.cloudformation import change_set as sets
from podium.core.infra.cloudformation.tool import CloudFormation
from podium.core.infra.saved import Saved

boto3 = pytest.importorskip("boto3")
stub = pytest.importorskip("botocore.stub")

ARN = "arn:aws:cloudformation:eu-west-1:123456789012"
STACK = f"{ARN}:stack/lab-net/11111111-1111-1111-1111-111111111111"
NESTED = f"{ARN}:stack/lab-net-Db/22222222-2222-2222-2222-222222222222"
SET = f"{ARN}:changeSet/podium-1/33333333-3333-3333-3333-333333333333"
NESTED_SET = f"{ARN}:changeSet/podium-1-Db/44444444-4444-4444-4444-444444444444"
AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Scripted:
    """A tool whose API answers from a script; what was said is in `said`."""

    def __init__(self, directory: Path) -> None:
        client = boto3.client(
            "cloudformation", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        self.stubber = stub.Stubber(client)
        self.stubber.activate()
        text = "project: lab\ninfra: {net: {cloudformation: net.yaml, region: eu-west-1, timeout: 5s}}\n"
        (directory / "net.yaml").write_text("Resources: {}\n")
        project = from_text(text, "podium.yaml", directory, directory, {})
        self.said: list[str] = []
        self.saved = Saved(project.state, "net")
        self.saved.prepare()
        self.tool = CloudFormation(project, project.infra["net"], self.said.append, client=client, poll=0.0)

    def answers(self, call: str, answer: Mapping[str, Any], expected: Mapping[str, Any] | None = None) -> None:
        self.stubber.add_response(call, dict(answer), dict(expected) if expected is not None else None)

    def stack(self, state: str, **more: Any) -> None:
        one = {"StackName": "lab-net", "StackId": STACK, "CreationTime": AT, "StackStatus": state, **more}
        self.answers("describe_stacks", {"Stacks": [one]})

    def events(self, *events: Mapping[str, Any], stack: str = STACK) -> None:
        found = [
            {"StackId": stack, "StackName": "s", "Timestamp": AT, "EventId": f"{stack[-4:]}-{number}", **each}
            for number, each in reversed(list(enumerate(events)))
        ]
        self.answers("describe_stack_events", {"StackEvents": found}, {"StackName": stack})


@pytest.fixture
def scripted(tmp_path: Path) -> Scripted:
    return Scripted(tmp_path)


def resource(action: str, name: str, **more: Any) -> Mapping[str, Any]:
    change = {"Action": action, "LogicalResourceId": name, "ResourceType": "AWS::RDS::DBInstance", **more}
    return {"Type": "Resource", "ResourceChange": change}


def described(*changes: Mapping[str, Any], id: str = SET, **more: Any) -> Mapping[str, Any]:
    return {
        "ChangeSetId": id,
        "StackId": STACK,
        "Status": "CREATE_COMPLETE",
        "ExecutionStatus": "AVAILABLE",
        "Changes": list(changes),
        **more,
    }


def event(name: str, state: str, reason: str = "", **more: Any) -> Mapping[str, Any]:
    kind = "AWS::CloudFormation::Stack" if name == "lab-net" else "AWS::RDS::DBInstance"
    physical = STACK if name == "lab-net" else f"id-of-{name}"
    found = {"LogicalResourceId": name, "PhysicalResourceId": physical, "ResourceType": kind, "ResourceStatus": state}
    return {**found, **({"ResourceStatusReason": reason} if reason else {}), **more}


def planned(scripted: Scripted, document: Mapping[str, Any], *nested: Mapping[str, Any]) -> Any:
    scripted.stack("UPDATE_COMPLETE")
    scripted.answers("create_change_set", {"Id": SET, "StackId": STACK})
    for each in (document, *nested):
        scripted.answers("describe_change_set", each)
    return scripted.tool.plan()


def test_what_may_be_replaced_counts_as_replaced_and_comes_first(scripted: Scripted) -> None:
    target = {
        "Attribute": "Properties",
        "Name": "AllocatedStorage",
        "RequiresRecreation": "Always",
        "BeforeValue": "20",
        "AfterValue": "40",
    }
    plan = planned(
        scripted,
        described(
            resource("Add", "New"),
            resource("Modify", "Tags", Replacement="False"),
            resource("Modify", "Main", Replacement="True", Details=[{"Target": target}, {"Target": {**target}}]),
            resource("Modify", "Maybe", Replacement="Conditional"),
            resource("Remove", "Old"),
            resource("Remove", "Kept", PolicyAction="Retain"),
            resource("Dynamic", "Unclear"),
        ),
    )
    assert [(each.kind, each.address) for each in plan.changes] == [
        (ChangeKind.DELETE, "Old"),
        (ChangeKind.REPLACE, "Main"),
        (ChangeKind.REPLACE, "Maybe"),
        (ChangeKind.REPLACE, "Unclear"),
        (ChangeKind.FORGET, "Kept"),
        (ChangeKind.UPDATE, "Tags"),
        (ChangeKind.CREATE, "New"),
    ]
    main = plan.changes[1]
    assert [(each.path, each.before, each.after, each.forces) for each in main.attributes] == [
        ("Properties.AllocatedStorage", "20", "40", True)
    ]
    assert "known only while it is applied" in plan.changes[2].why


def test_a_nested_stack_shows_what_changes_in_it(scripted: Scripted) -> None:
    outer = described(
        resource("Modify", "Db", Replacement="False", ChangeSetId=NESTED_SET)
        | {
            "ResourceChange": {
                **resource("Modify", "Db", Replacement="False", ChangeSetId=NESTED_SET)["ResourceChange"],
                "ResourceType": sets.NESTED,
            }
        },
    )
    plan = planned(scripted, outer, described(resource("Remove", "Main"), id=NESTED_SET))
    assert [(each.kind, each.address) for each in plan.changes] == [(ChangeKind.DELETE, "Db.Main")]


def test_the_digest_is_of_what_is_done_and_of_nested_sets_too() -> None:
    one, other = described(resource("Add", "A")), described(resource("Add", "B"))
    assert sets.digest([one]) != sets.digest([other])
    assert sets.digest([one]) != sets.digest([one, other])
    assert sets.digest([one]) == sets.digest([dict(one)])


def test_a_change_set_of_several_pages_is_read_to_its_end(scripted: Scripted) -> None:
    first = described(resource("Add", "A"), NextToken="more")
    plan = planned(scripted, first, described(resource("Remove", "Z")))
    assert [each.address for each in plan.changes] == ["Z", "A"]


def test_a_change_set_that_cannot_be_made_says_why(scripted: Scripted) -> None:
    scripted.stack("UPDATE_COMPLETE")
    scripted.answers("create_change_set", {"Id": SET, "StackId": STACK})
    scripted.answers("describe_change_set", described(Status="FAILED", StatusReason="Template error: no such thing"))
    scripted.answers("delete_change_set", {})
    with pytest.raises(PodiumError, match="no such thing"):
        scripted.tool.plan()


def applied(scripted: Scripted, plan: Any) -> None:
    scripted.stack("UPDATE_COMPLETE")
    scripted.events(event("lab-net", "UPDATE_COMPLETE"))
    scripted.answers("describe_change_set", described(resource("Modify", "Main", Replacement="False")))
    token = {"ChangeSetName": SET, "ClientRequestToken": f"podium-{plan.digest[:40]}"}
    scripted.answers("execute_change_set", {}, token)


def test_an_update_is_followed_by_its_events_and_nested_ones(scripted: Scripted) -> None:
    plan = planned(scripted, described(resource("Modify", "Main", Replacement="False")))
    applied(scripted, plan)
    old = event("lab-net", "UPDATE_COMPLETE")
    scripted.stack("UPDATE_IN_PROGRESS")
    nested = event("Db", "UPDATE_IN_PROGRESS", PhysicalResourceId=NESTED, ResourceType=sets.NESTED)
    scripted.events(old, event("Main", "UPDATE_IN_PROGRESS"), nested)
    scripted.stack("UPDATE_COMPLETE")
    scripted.events(old, event("Main", "UPDATE_IN_PROGRESS"), nested, event("Main", "UPDATE_COMPLETE"))
    scripted.events(event("Inner", "UPDATE_COMPLETE"), stack=NESTED)
    scripted.answers("describe_change_set", described(ExecutionStatus="EXECUTE_COMPLETE"))
    scripted.tool.apply(plan, scripted.saved)
    done, left = scripted.saved.events()
    assert done == ["Main", "Db.Inner"] and left == ["Db"]
    assert "Main: update in progress" in scripted.said and "Db.Inner: update complete" in scripted.said


def test_what_a_nested_stack_failed_of_before_is_not_told_again(scripted: Scripted) -> None:
    plan = planned(scripted, described(resource("Modify", "Main", Replacement="False")))
    applied(scripted, plan)
    nested = event("Db", "UPDATE_IN_PROGRESS", PhysicalResourceId=NESTED, ResourceType=sets.NESTED)
    scripted.stack("UPDATE_ROLLBACK_COMPLETE")
    scripted.events(event("lab-net", "UPDATE_COMPLETE"), nested)
    scripted.answers("describe_change_set", described(ExecutionStatus="EXECUTE_IN_PROGRESS"))
    scripted.stack("UPDATE_ROLLBACK_COMPLETE")
    scripted.events(event("lab-net", "UPDATE_COMPLETE"), nested)
    before = event("Inner", "UPDATE_FAILED", "long ago", Timestamp=AT - datetime.timedelta(days=3))
    scripted.events(before, event("Inner", "UPDATE_FAILED", "just now"), stack=NESTED)
    scripted.answers("describe_change_set", described(ExecutionStatus="EXECUTE_FAILED"))
    with pytest.raises(PodiumError, match=r"Db\.Inner: just now"):
        scripted.tool.apply(plan, scripted.saved)
    assert not any("long ago" in each for each in scripted.said)


def test_a_change_set_that_was_not_carried_out_is_no_success(scripted: Scripted) -> None:
    plan = planned(scripted, described(resource("Modify", "Main", Replacement="False")))
    applied(scripted, plan)
    for _ in range(2):  # the state is that of before: it is asked for again
        scripted.stack("UPDATE_COMPLETE")
        if not _:
            scripted.events(event("lab-net", "UPDATE_COMPLETE"))
            failed = described(ExecutionStatus="EXECUTE_FAILED", StatusReason="no role")
            scripted.answers("describe_change_set", failed)
    with pytest.raises(PodiumError, match=r"was not carried out \(EXECUTE_FAILED: no role\)"):
        scripted.tool.apply(plan, scripted.saved)


def test_an_api_that_has_too_much_to_do_is_asked_again(scripted: Scripted) -> None:
    plan = planned(scripted, described(resource("Modify", "Main", Replacement="False")))
    applied(scripted, plan)
    scripted.stubber.add_client_error("describe_stacks", "Throttling", "Rate exceeded")
    scripted.stack("UPDATE_IN_PROGRESS")
    scripted.stubber.add_client_error("describe_stack_events", "Throttling", "Rate exceeded")
    scripted.stack("UPDATE_COMPLETE")
    scripted.events(event("lab-net", "UPDATE_COMPLETE"))
    scripted.answers("describe_change_set", described(ExecutionStatus="EXECUTE_COMPLETE"))
    scripted.tool.apply(plan, scripted.saved)
    assert sum("is asked for again" in each for each in scripted.said) == 1


def listed(scripted: Scripted, stack: str, *resources: tuple[str, str, str]) -> None:
    found = [
        {"LogicalResourceId": name, "ResourceType": kind, "PhysicalResourceId": physical,
         "ResourceStatus": "CREATE_COMPLETE", "LastUpdatedTimestamp": AT}
        for name, kind, physical in resources
    ]  # fmt: skip
    scripted.answers("list_stack_resources", {"StackResourceSummaries": found}, {"StackName": stack})


def test_the_end_of_a_nested_stack_is_the_end_of_all_that_is_in_it(scripted: Scripted) -> None:
    inside = ("Main", "AWS::RDS::DBInstance", "db-1")
    scripted.stack("UPDATE_COMPLETE")
    listed(scripted, "lab-net", ("Db", sets.NESTED, NESTED))
    listed(scripted, NESTED, inside)
    found = scripted.tool.plan(destroy=True).changes
    assert [(each.address, each.type) for each in found] == [("Db", sets.NESTED), ("Db.Main", "AWS::RDS::DBInstance")]
    removed = resource("Remove", "Db", PhysicalResourceId=NESTED, ResourceType=sets.NESTED)
    scripted.stack("UPDATE_COMPLETE")
    scripted.answers("create_change_set", {"Id": SET, "StackId": STACK})
    scripted.answers("describe_change_set", described(removed))
    listed(scripted, NESTED, inside)
    found = scripted.tool.plan().changes
    assert [(each.address, each.kind) for each in found] == [("Db", ChangeKind.DELETE), ("Db.Main", ChangeKind.DELETE)]


def test_what_failed_is_asked_of_the_update_and_not_of_the_rollback(scripted: Scripted) -> None:
    plan = planned(scripted, described(resource("Modify", "Main", Replacement="False")))
    applied(scripted, plan)
    operations = [
        {"OperationType": "ROLLBACK", "OperationId": "of-the-rollback"},
        {"OperationType": "UPDATE_STACK", "OperationId": "of-the-update"},
    ]
    scripted.stack("UPDATE_ROLLBACK_COMPLETE", LastOperations=operations)
    scripted.events(event("lab-net", "UPDATE_COMPLETE"), event("Main", "UPDATE_IN_PROGRESS"))
    scripted.answers("describe_change_set", described(ExecutionStatus="EXECUTE_FAILED"))
    failed = {"EventId": "e", "StackId": STACK, "LogicalResourceId": "Main", "ResourceStatusReason": "no room for it"}
    wanted = {"StackName": STACK, "OperationId": "of-the-update", "Filters": {"FailedEvents": True}}
    scripted.answers("describe_events", {"OperationEvents": [failed]}, wanted)
    asked: list[str] = []
    scripted.stubber.client.meta.events.register(
        "before-parameter-build.cloudformation.DescribeEvents", lambda params, **_: asked.append(params["OperationId"])
    )
    with pytest.raises(PodiumError) as caught:
        scripted.tool.apply(plan, scripted.saved)
    assert asked == ["of-the-update"]
    assert "ended in UPDATE_ROLLBACK_COMPLETE" in caught.value.message
    assert "Main: no room for it" in caught.value.message
    assert "it is as it was before" in caught.value.message


def test_a_rollback_that_fails_says_what_to_do_and_what_was_only_cancelled_is_no_cause(scripted: Scripted) -> None:
    plan = planned(scripted, described(resource("Modify", "Main", Replacement="False")))
    applied(scripted, plan)
    scripted.stack("UPDATE_ROLLBACK_FAILED")
    scripted.events(
        event("lab-net", "UPDATE_COMPLETE"),
        event("Other", "UPDATE_FAILED", "Resource update cancelled"),
        event("Main", "UPDATE_FAILED", "quota of volumes"),
    )
    scripted.answers("describe_change_set", described(ExecutionStatus="EXECUTE_FAILED"))
    with pytest.raises(PodiumError) as caught:
        scripted.tool.apply(plan, scripted.saved)
    assert "Main: quota of volumes" in caught.value.message
    assert "continue-update-rollback --stack-name lab-net" in caught.value.hint


def test_outputs_are_those_of_the_stack_and_secrets_in_them_are_not_kept(scripted: Scripted) -> None:
    """Of stacks that a change set made, moto's server shows no outputs."""
    found = [
        {"OutputKey": "Address", "OutputValue": "unix:///run/x.sock"},
        {"OutputKey": "Key", "OutputValue": "hunter2-hunter2"},
    ]
    scripted.stack("UPDATE_COMPLETE", Outputs=found)
    scripted.tool._project = replace(scripted.tool._project, secrets=("hunter2-hunter2",))
    outputs = scripted.tool.outputs()
    assert [(each.name, each.value, each.sensitive) for each in outputs] == [
        ("Address", "unix:///run/x.sock", False),
        ("Key", "***", True),
    ]
    scripted.saved.keep_outputs(outputs)
    assert "hunter2" not in (scripted.saved.directory / "outputs.json").read_text()


def test_drift_is_by_property_and_says_what_is_gone(scripted: Scripted) -> None:
    scripted.stack("UPDATE_COMPLETE")
    scripted.answers("detect_stack_drift", {"StackDriftDetectionId": "d"})
    status = {"StackId": STACK, "StackDriftDetectionId": "d", "Timestamp": AT}
    scripted.answers("describe_stack_drift_detection_status", {**status, "DetectionStatus": "DETECTION_IN_PROGRESS"})
    scripted.answers(
        "describe_stack_drift_detection_status",
        {**status, "DetectionStatus": "DETECTION_COMPLETE", "StackDriftStatus": "DRIFTED"},
    )
    difference = {
        "PropertyPath": "/Tags/0/Value",
        "ExpectedValue": "a",
        "ActualValue": "b",
        "DifferenceType": "NOT_EQUAL",
    }
    one = {
        "StackId": STACK,
        "LogicalResourceId": "Main",
        "ResourceType": "T",
        "StackResourceDriftStatus": "MODIFIED",
        "Timestamp": AT,
        "PropertyDifferences": [difference],
    }
    other = {**one, "LogicalResourceId": "Gone", "StackResourceDriftStatus": "DELETED", "PropertyDifferences": []}
    scripted.answers("describe_stack_resource_drifts", {"StackResourceDrifts": [one], "NextToken": "t"})
    scripted.answers("describe_stack_resource_drifts", {"StackResourceDrifts": [other]})
    found = scripted.tool.drift()
    assert [(each.address, each.gone) for each in found.real_drift] == [("Main", False), ("Gone", True)]
    assert [(each.path, each.before, each.after) for each in found.drift[0].attributes] == [("Tags.0.Value", "a", "b")]
    scripted.stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "words", "hint"),
    [
        ("AccessDenied", "AWS does not allow it", "permission"),
        ("ExpiredToken", "does not accept the credentials", "AWS_PROFILE"),
        ("Throttling", "CloudFormation: slow down", ""),
    ],
)
def test_errors_of_the_api_are_in_plain_words(scripted: Scripted, code: str, words: str, hint: str) -> None:
    scripted.stubber.add_client_error("describe_stacks", code, "slow down")
    with pytest.raises(PodiumError) as caught:
        scripted.tool.plan()
    assert words in caught.value.message and hint in caught.value.hint
