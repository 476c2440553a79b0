"""The keys of infrastructure in podium.yaml, a section for each tool."""

from __future__ import annotations

from ...domain.infra.rules import ChangeKind
from ..kinds import Choice, Duration, Flag, Secret, Text
from ..patterns import bad_local
from ..sections import VARIABLE_NAME, Chosen, Either, Key, ListOf, MapOf, Option, Section
from . import common

_KINDS = tuple(kind.value for kind in ChangeKind)
_PARAMETER = r"[A-Za-z][A-Za-z0-9]{0,254}"
_STACK = r"[A-Za-z][A-Za-z0-9-]{0,127}"
_value = Secret(empty=True, plain=lambda _: "", templated=True)
_resources = ListOf(Text(), single=True, least=1)


def _rule(doc: str) -> Either:
    keys = tuple(
        Key(kind, _resources, f"{doc} {kind}: types or addresses, in which `*` is anything") for kind in _KINDS
    )
    return Either(ListOf(Choice(_KINDS), single=True), Section("infra.rule", keys))


_COMMON: tuple[Key, ...] = (
    Key("needs", common.names, "infrastructure that has to be applied first"),
    Key("auto", _rule("applied by itself:"), "changes that are applied by themselves: create, update, … (none)"),
    Key("ask", _rule("needs a person:"), "changes that a person has to approve; also all that nothing else is about"),
    Key("never", _rule("never made:"), "changes that are refused, whoever asks: {delete: [aws_db_instance]} (none)"),
    Key("approval_timeout", Duration(low=1.0), "how long a plan and its approval count (1h)"),
    Key("timeout", Duration(low=1.0), "how long a plan or an apply may take (1h)"),
    Key("protected", Flag(), "an apply that deletes or replaces is confirmed by typing its name (false)"),
)

INFRA = Chosen(
    "infra",
    (
        Option(
            "terraform",
            Section(
                "infra",
                (
                    Key("terraform", common.path, "directory of the Terraform configuration", required=True),
                    Key(
                        "program",
                        Text(check=bad_local),
                        "the program: a path or a name on PATH (terraform, or tofu where there is none)",
                    ),
                    Key(
                        "workspace",
                        Text(pattern=r"[A-Za-z0-9_.-]{1,90}", what="a workspace's name"),
                        "workspace (default)",
                    ),
                    Key(
                        "vars", MapOf(_value, "variable", VARIABLE_NAME), "values of its variables, by environment only"
                    ),
                    Key("var_files", common.paths, "files of variables, relative to the project"),
                    Key("lock_timeout", Duration(), "how long a state that is locked is waited for (0s)"),
                    *_COMMON,
                ),
            ),
        ),
        Option(
            "cloudformation",
            Section(
                "infra.cloudformation",
                (
                    Key("cloudformation", common.path, "CloudFormation template", required=True),
                    Key("stack", Text(pattern=_STACK, what="a stack's name"), "the stack (PROJECT-NAME)"),
                    Key(
                        "region",
                        Text(pattern=r"[a-z0-9-]{1,40}", what="a region"),
                        "region (that of the AWS configuration)",
                    ),
                    Key(
                        "endpoint",
                        Text(pattern=r"https?://\S+", what="an http(s) address"),
                        "address of the API (AWS's own)",
                    ),
                    Key("parameters", MapOf(_value, "parameter", _PARAMETER), "values of the template's parameters"),
                    Key(
                        "capabilities",
                        ListOf(
                            Choice(("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")), single=True
                        ),
                        "what the stack may do beyond the usual",
                    ),
                    *_COMMON,
                ),
            ),
        ),
    ),
)
