"""The façade's own decisions."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.cockpit import Cockpit
from podium.core.errors import UsageError

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
