"""What no built-in resource of Terraform can show: drift, blocks of providers, secrets inside of them, imports, and
errors with locks. The documents here are in Terraform's published JSON formats (plan 1.2, UI 1.2), written for the
test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from podium.core.domain.infra.plan import AttributeChange, InfraPlan, ResourceChange
from podium.core.domain.infra.rules import ChangeKind, Rules
from podium.core.errors import PodiumError
from podium.core.infra.plans import change_of
from podium.core.infra.terraform import stream
from podium.core.infra.terraform.plan_json import read
from podium.core.infra.terraform.values import Side, differences, is_noise, secrets_in


def plan(**more: Any) -> Mapping[str, Any]:
    return {"format_version": "1.2", "terraform_version": "1.11.4", **more}


def change(address: str, actions: list[str], before: Any = None, after: Any = None, **more: Any) -> Mapping[str, Any]:
    body = {"actions": actions, "before": before, "after": after, "before_sensitive": {}, "after_sensitive": {}}
    top = {key: more.pop(key) for key in ("action_reason", "previous_address", "deposed", "mode") if key in more}
    kind = address.rpartition(".")[0].rpartition(".")[2] or "t"
    return {"address": address, "mode": "managed", "type": kind, "name": "x", **top, "change": {**body, **more}}


def test_the_order_is_by_how_bad_it_is_and_by_address() -> None:
    found = read(
        plan(
            resource_changes=[
                change("a.new", ["create"], None, {"x": 1}),
                change("a.same", ["no-op"], {"x": 1}, {"x": 1}),
                change("data.a.read", ["read"], mode="data"),
                change("b.updated", ["update"], {"x": 1}, {"x": 2}),
                change("c.safe", ["create", "delete"], {"x": 1}, {"x": 2}, replace_paths=[["x"]]),
                change("c.bare", ["delete", "create"], {"x": 1}, {"x": 2}, action_reason="replace_because_tainted"),
                change("d.forgotten", ["forget"], {"x": 1}, None),
                change("z.gone", ["delete"], {"x": 1}, None, action_reason="delete_because_no_resource_config"),
                change("a.old", ["delete"], {"x": 1}, None, deposed="0a1b"),
            ]
        )
    )
    assert [(each.kind.value, each.address) for each in found.changes] == [
        ("delete", "a.old (deposed 0a1b)"),
        ("delete", "z.gone"),
        ("replace", "c.bare"),
        ("replace", "c.safe"),
        ("forget", "d.forgotten"),
        ("update", "b.updated"),
        ("create", "a.new"),
    ]
    assert found.changes[1].why == "it is not in the configuration any more"
    assert found.changes[2].why == "it is tainted"
    assert [each.forces for each in found.changes[3].attributes] == [True]


def test_a_moved_resource_and_an_imported_one_say_so() -> None:
    found = read(
        plan(
            resource_changes=[
                change("a.b", ["no-op"], {"x": 1}, {"x": 1}, previous_address="a.c"),
                change("a.d", ["update"], {"x": 1}, {"x": 2}, importing={"id": "i-1"}),
                change("a.e", ["no-op"], {"x": 1}, {"x": 1}, importing={"id": "i-2"}),
            ]
        )
    )
    assert {each.kind for each in found.changes} == {ChangeKind.UPDATE}, "what is only taken over needs a person, too"
    assert [(each.address, each.moved_from, each.imported) for each in found.changes] == [
        ("a.b", "a.c", False),
        ("a.d", "", True),
        ("a.e", "", True),
    ]


def test_a_rule_is_about_one_of_several_by_its_key_and_about_what_it_left_behind() -> None:
    found = read(
        plan(
            resource_changes=[
                change(address, ["delete"], {"x": 1}, None, **more)
                for address, more in (
                    ("t.web[0]", {}),
                    ("t.web[1]", {}),
                    ('t.db["a?"]', {}),
                    ("t.old", {"deposed": "0a"}),
                )
            ]
        )
    )
    never = {ChangeKind.DELETE: ("t.web[0]", 't.db["a?"]', "t.ol*d")}
    rules = Rules(auto={ChangeKind.DELETE: ()}, never=never)
    made = InfraPlan("serving", "t", "d", 0.0, 1.0, changes=found.changes)
    judged = made.judged(rules)
    assert [each.address for each in judged.auto] == ["t.web[1]"] and len(judged.never) == 3
    only_moved = read(plan(resource_changes=[change("a.b", ["no-op"], {"x": 1}, {"x": 1}, previous_address="a.c")]))
    assert change_of(only_moved.changes[0]).after == "updated in place: only the state changes"


@pytest.mark.parametrize(
    ("actions", "kind"),
    [(["forget", "create"], "forget"), (["delete", "forget"], "delete"), (["x", "create", "delete"], "replace")],
)
def test_actions_that_are_not_known_together_count_as_the_worst_of_them(actions: list[str], kind: str) -> None:
    assert [each.kind.value for each in read(plan(resource_changes=[change("a.b", actions)])).changes] == [kind]


def test_one_secret_in_a_block_does_not_hide_the_rest_of_it() -> None:
    before = {"login": [{"user": "anna", "password": "old-secret"}, {"user": "bert", "password": "other"}], "size": 1}
    after = {"login": [{"user": "carl", "password": "new-secret"}, {"user": "bert", "password": "other"}], "size": 2}
    marks = {"login": [{"password": True}, {"password": True}]}
    found = differences(Side(before, marks), Side(after, marks))
    assert [(each.path, each.before, each.after) for each in found] == [
        ("login[0].user", "anna", "carl"),
        ("login[0].password", "(sensitive)", "(sensitive)"),
        ("size", "1", "2"),
    ]
    assert sorted(secrets_in(before, marks)) == ["old-secret", "other"]


def test_a_block_that_comes_with_a_secret_in_it_is_shown_without_it() -> None:
    after = {"login": [{"user": "anna", "password": "a-secret"}]}
    found = differences(Side({"login": []}), Side(after, {"login": [{"password": True}]}))
    assert "a-secret" not in str(found)
    assert AttributeChange("login[0].user", "(none)", "anna") in found


def test_what_is_secret_before_or_after_is_never_shown() -> None:
    found = differences(
        Side({"a": "was-open", "b": "was-secret"}, {"b": True}), Side({"a": "is-secret", "b": "x"}, {"a": True})
    )
    assert [(each.path, each.before, each.after) for each in found] == [
        ("a", "(sensitive)", "(sensitive)"),
        ("b", "(sensitive)", "(sensitive)"),
    ]
    whole = differences(Side({"a": 1}, True), Side({"a": 2}, True))
    assert [(each.path, each.before, each.after) for each in whole] == [("value", "(sensitive)", "(sensitive)")]


def test_every_secret_of_the_document_is_known_for_masking() -> None:
    found = read(
        plan(
            variables={"pw": {"value": "of-a-variable"}, "open": {"value": "not-secret"}},
            configuration={"root_module": {"variables": {"pw": {"sensitive": True}, "open": {}}}},
            output_changes={"o": {"actions": ["create"], "before": None, "after": "of-an-output", "after_sensitive": True}},
            resource_changes=[change("a.b", ["update"], {"p": "of-before"}, {"p": "of-after"}, before_sensitive={"p": True}, after_sensitive={"p": True})],
            resource_drift=[change("a.c", ["update"], {"p": "of-drift"}, {"p": "x"}, before_sensitive={"p": True})],
            prior_state={
                "values": {
                    "outputs": {"s": {"sensitive": True, "value": {"deep": "of-state-output"}}},
                    "root_module": {"child_modules": [{"resources": [{"values": {"k": "of-a-module"}, "sensitive_values": {"k": True}}]}]},
                }
            },
        )
    )  # fmt: skip
    assert set(found.secrets) == {
        "of-a-variable", "of-an-output", "of-before", "of-after", "of-drift", "of-state-output", "of-a-module",
    }  # fmt: skip
    assert "of-" not in str(found.changes) + str(found.drift) + str(found.outputs)


DRIFT = [
    change("aws_instance.web", ["update"], {"ami": "a", "tags": {}}, {"ami": "b", "tags": {"seen": "yes"}}),
    change("aws_instance.other", ["update"], {"tags": None}, {"tags": {}}),
    change("aws_eip.gone", ["delete"], {"ip": "1"}, None),
]


def test_drift_of_a_plan_is_real_where_the_plan_depends_on_it() -> None:
    found = read(
        plan(
            resource_drift=DRIFT,
            relevant_attributes=[{"resource": "aws_instance.web", "attribute": ["ami"]}],
            resource_changes=[change("aws_eip.gone", ["create"], None, {"ip": "2"})],
        )
    )
    assert [(each.address, each.real, each.gone) for each in found.drift] == [
        ("aws_instance.web", True, False),
        ("aws_instance.other", False, False),
        ("aws_eip.gone", True, True),
    ]
    nobody = read(plan(resource_drift=DRIFT))
    assert [each.real for each in nobody.drift] == [False, False, False]


def test_drift_looked_for_by_itself_is_every_value_but_how_nothing_is_written() -> None:
    found = read(plan(resource_drift=DRIFT), refresh_only=True)
    assert [each.real for each in found.drift] == [True, False, True]
    assert [(each.path, each.before, each.after) for each in found.drift[0].attributes] == [
        ("ami", "a", "b"),
        ("tags.seen", "(none)", "yes"),
    ]


def test_a_value_that_has_drifted_is_found_behind_many_others() -> None:
    before: dict[str, Any] = {f"a{number:03}": None for number in range(100)}
    drifted = change("a.b", ["update"], {**before, "z": 1}, {**dict.fromkeys(before, ""), "z": 2})
    (found,) = read(plan(resource_drift=[drifted]), refresh_only=True).drift
    assert found.real and found.attributes[0].path == "z"


@pytest.mark.parametrize(("before", "after"), [(None, ""), ("", None), (None, []), ([], None), ({}, None)])
def test_nothing_is_nothing_however_it_is_written(before: Any, after: Any) -> None:
    found = differences(Side({"x": before}), Side({"x": after}))
    assert all(is_noise(each) for each in found)


def test_what_is_known_only_after_the_apply_says_so() -> None:
    after = {"name": "x"}
    found = differences(Side({"name": "x", "id": "1"}), Side(after, {}, {"id": True, "more": {"deep": True}}))
    assert [(each.path, each.before, each.after) for each in found] == [
        ("id", "1", "(known after apply)"),
        ("more.deep", "(none)", "(known after apply)"),
    ]


def test_one_of_a_new_list_that_is_known_after_the_apply_says_so() -> None:
    found = differences(Side(None), Side({"ids": ["a", None]}, {}, {"ids": [False, True]}))
    assert [(each.path, each.after) for each in found] == [("ids[0]", "a"), ("ids[1]", "(known after apply)")]
    nothing = differences(Side({"key": None}, {"key": True}), Side({}, {"key": True}))
    assert nothing == []


def test_text_of_a_provider_does_nothing_on_a_terminal() -> None:
    found = read(
        plan(
            resource_changes=[
                change("a.b\x1b[2J", ["update"], {"x\x1b]0;t\x07": "a"}, {"x\x1b]0;t\x07": "\x1b[31mred"})
            ]
        )
    )
    assert "\x1b" not in str(found.changes[0]) and "\x07" not in str(found.changes[0])


def test_a_format_that_is_not_known_is_refused() -> None:
    with pytest.raises(PodiumError, match=r"has the format 2\.0"):
        read({"format_version": "2.0"})
    with pytest.raises(PodiumError, match="incomplete"):
        read(plan(errored=True))


def test_a_plan_that_changes_an_output_alone_can_be_applied() -> None:
    found = read(plan(applyable=True, output_changes={"a": {"actions": ["update"], "before": "1", "after": "2"}}))
    made = InfraPlan("a", "t", "0", 0.0, 1.0, outputs=found.outputs, applyable=found.applyable)
    assert (made.applyable, made.words()) == (True, "1 output to change")


LOCKED = """\
Error message: ConditionalCheckFailedException: The conditional request failed
Lock Info:
  ID:        6ba7b810-9dad-11d1-80b4-00c04fd430c8
  Path:      states/serving
  Operation: OperationTypeApply
  Who:       anna@build-1
  Version:   1.11.4
  Created:   2026-01-01 10:00:00 UTC
  Info:

Terraform acquires a state lock to protect the state from being written
by multiple users at the same time."""


def test_a_lock_says_who_holds_it() -> None:
    line = {
        "type": "diagnostic",
        "diagnostic": {"severity": "error", "summary": "Error acquiring the state lock", "detail": LOCKED},
    }
    found = stream.read(json.dumps(line)).diagnostic
    assert found is not None
    lock = found.lock()
    assert (lock["Who"], lock["Operation"], lock["ID"]) == (
        "anna@build-1",
        "OperationTypeApply",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    )
    assert stream.Diagnostic("error", "something else", LOCKED).lock() == {}


def test_lines_that_are_no_json_are_text() -> None:
    assert stream.read("plugin says \x1b[31mhello\n").words == "plugin says hello"
    assert stream.read('["a list"]\n').words == '["a list"]'
    assert stream.read('{"type": "of a later version"}').words == ""


def test_a_plan_is_named_by_its_worst() -> None:
    made = InfraPlan(
        "a", "t", "0", 0.0, 1.0,
        changes=tuple(ResourceChange(f"a.{number}", "a", kind) for number, kind in enumerate(ChangeKind)),
    )  # fmt: skip
    assert made.words() == "1 to delete, 1 to replace, 1 to forget, 1 to update, 1 to create"
    assert made.destroys and not made.expired(0.5) and made.expired(1.0) and made.expired(-60.0)
