"""`infra:` in podium.yaml: its rules, what needs what, and outputs where others name them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.config.infra import outputs
from podium.core.config.loading import from_text
from podium.core.domain.infra.rules import ChangeKind, Decision, Rules
from podium.core.domain.project import Project
from podium.core.engine.run.trust import of_release_branch
from podium.core.errors import ConfigError, Refused


def read(tmp_path: Path, text: str, **environ: str) -> Project:
    return from_text("project: p\n" + text, "podium.yaml", tmp_path, tmp_path, environ)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return [str(each) for each in caught.value.problems]


def test_rules_are_about_kinds_types_and_addresses_and_the_strictest_holds(tmp_path: Path) -> None:
    rules = read(
        tmp_path,
        "infra: {a: {terraform: x, auto: [create, update, delete], ask: {update: ['module.data.*']},"
        " never: {delete: [aws_db_*], replace: aws_db_instance}}}\n",
    ).infra["a"].rules  # fmt: skip
    for kind, type_, address, decision in (
        (ChangeKind.CREATE, "aws_eip", "aws_eip.a", Decision.AUTO),
        (ChangeKind.UPDATE, "aws_eip", "aws_eip.a", Decision.AUTO),
        (ChangeKind.UPDATE, "aws_eip", "module.data.aws_eip.a", Decision.ASK),
        (ChangeKind.DELETE, "aws_eip", "aws_eip.a", Decision.AUTO),
        (ChangeKind.DELETE, "aws_db_subnet_group", "aws_db_subnet_group.a", Decision.NEVER),
        (ChangeKind.REPLACE, "aws_db_instance", "aws_db_instance.a", Decision.NEVER),
        (ChangeKind.REPLACE, "aws_eip", "aws_eip.a", Decision.ASK),
        (ChangeKind.FORGET, "aws_eip", "aws_eip.a", Decision.ASK),
    ):
        assert rules.decide(kind, type_, address) is decision, (kind, address)
    assert Rules().decide(ChangeKind.CREATE, "t", "a") is Decision.ASK, "nothing goes on by itself"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("infra: {a: {terraform: x, needs: b}}\n", "unknown infrastructure `b`"),
        ("infra: {a: {terraform: x, needs: b}, b: {terraform: y, needs: a}}\n", "in a circle: a → b → a"),
        ("infra: {a: {terraform: x, vars: {v: '${{ infra.a.outputs.x }}'}}}\n", "in a circle: a → a"),
        ("infra: {a: {terraform: x, vars: {v: '${{ infra.b.outputs.x }}'}}}\n", "unknown infrastructure `b`"),
        ("infra: {a: {terraform: x, vars: {v: '${{ params.x }}'}}}\n", "is not an output of infrastructure"),
        ("infra: {a: {terraform: x, auto: [destroy]}}\n", "destroy"),
        ("infra: {a: {terraform: x, never: {delete: []}}}\n", "empty list"),
        ("infra: {a: {terraform: ../x}}\n", "leads out of the project's directory"),
        ("infra: {a: {cloudformation: x, vars: {a: b}}}\n", "unknown key `vars`"),
        ("environments: {e: {driver: docker, host: '${{ infra.b.outputs.x }}'}}\n", "unknown infrastructure `b`"),
        ("environments: {e: {driver: docker, host: '${{ params.x }}'}}\n", "is not filled in here"),
        (
            "infra: {a: {terraform: x}}\npipelines: {p: {steps: {s: {uses: cloudformation, infra: a}}}}\n",
            "`a` is terraform's",
        ),
        (
            "infra: {a: {terraform: x}}\npipelines: {p: {steps: {s: {uses: terraform, infra: b}}}}\n",
            "unknown infrastructure `b`",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str) -> None:
    assert any(words in each for each in problems(tmp_path, text))


ENVIRONMENT = """
infra: {a: {terraform: x}}
environments: {e: {driver: docker, host: "${{ infra.a.outputs.host }}"}}
"""


def applied(home: Path, **values: str) -> None:
    directory = home / ".podium/infra/a"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "outputs.json").write_text(json.dumps(values))


def test_an_environment_waits_for_the_output_that_it_names(tmp_path: Path) -> None:
    waiting = read(tmp_path, ENVIRONMENT)
    with pytest.raises(Refused, match="e needs what is not known yet"):
        waiting.environment("e")
    applied(tmp_path, host="ssh://deploy@serving-1")
    assert read(tmp_path, ENVIRONMENT).environment("e").host == "ssh://deploy@serving-1"
    assert outputs.with_outputs(waiting).environment("e").host == "ssh://deploy@serving-1"


def test_an_output_that_is_no_address_is_not_used(tmp_path: Path) -> None:
    applied(tmp_path, host="somewhere else")
    with pytest.raises(Refused, match="not an address"):
        read(tmp_path, ENVIRONMENT).environment("e")


def test_the_value_of_a_variable_is_a_secret(tmp_path: Path) -> None:
    project = read(tmp_path, "infra: {a: {terraform: x, vars: {p: '${PW}', plain: written}}}\n", PW="hidden-value")
    assert "hidden-value" in project.secrets and "written" not in project.secrets


def test_a_commit_cannot_let_more_go_on_by_itself(tmp_path: Path) -> None:
    trusted = read(tmp_path, "infra: {a: {terraform: x, auto: [create], never: {delete: [db]}, protected: true}}\n")
    own = read(tmp_path, "infra: {a: {terraform: x, auto: [create, delete]}, new: {terraform: y, auto: [create]}}\n")
    judged = of_release_branch(own, [trusted])
    a, new = judged.project.infra["a"], judged.project.infra["new"]
    assert (a.rules.auto, a.rules.never, a.protected) == ({ChangeKind.CREATE: ()}, {ChangeKind.DELETE: ("db",)}, True)
    assert new.rules.auto == {}, "nobody has trusted it yet"
    assert any("lets more be done without a person" in each for each in judged.weakened)
    stricter = replace(trusted.infra["a"], rules=Rules(never={ChangeKind.DELETE: ()}))
    kept = of_release_branch(replace(trusted, infra={"a": stricter}), [trusted])
    assert kept.project.infra["a"].rules == stricter.rules and kept.weakened == ()
