"""podium images --prune where the plan refuses itself, without an engine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from podium.cli.commands.engines.images import images
from podium.cli.text.output import Format
from podium.core.domain.containers import UnneededImage, written_unneeded
from podium.core.domain.plans import Plan
from podium.core.errors import Refused

OLD = UnneededImage("unix:///here", "sha256:one", "shop:v1", 1, 2_000_000, "no environment needs this version")


@pytest.fixture
def cockpit() -> Any:
    plan = Plan(
        "images",
        "prune",
        "Remove 1 image",
        "Remove",
        "podium images --prune",
        refusal="a build is running",
        arguments={"images": written_unneeded([OLD])},
    )

    def apply(plan: Plan, **answers: object) -> None:
        raise Refused(plan.refusal)

    return SimpleNamespace(changes=SimpleNamespace(plan=lambda *_, **__: plan, apply=apply))


@pytest.mark.parametrize("format", list(Format))
def test_a_dry_run_says_by_its_exit_code_that_it_would_be_refused(cockpit: Any, format: Format) -> None:
    assert images(cockpit, prune=True, dry_run=True, output_format=format) == 4


def test_what_is_refused_is_not_asked_first(cockpit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Refused, match="a build is running"):
        images(cockpit, prune=True)
    assert capsys.readouterr().err == ""
