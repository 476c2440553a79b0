"""Long texts that are not closed, or nested without end, are read once: what looked for an end from each beginning
needed minutes for 120 KB, and would need hours for these."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.config.expressions import check_template, placeholders
from podium.core.config.source import MAX_BYTES
from podium.core.config.variables import expand, names
from podium.core.errors import ConfigError, UsageError

PIECES = [
    "${{", "${{ ", "${{ params.x", "${{ params.x }", "${{ a }}", "${", "${A", "${A:-", "$${", "${A:-${{", "${A}${", "$(", "$((", "((", "`", "\"$(",
    "\"$(case ", "<<E ", "<<E\n", "<<'E\n", "${'", '${"', "sh -x ", "x=(", "[[ ", "\\\n", "<(", "<<< ", "f() { ", "'\"",
]  # fmt: skip


@pytest.mark.timeout(120)
@pytest.mark.parametrize("piece", PIECES)
def test_a_template_is_read_once(piece: str) -> None:
    many = piece * (MAX_BYTES // 4 // len(piece))
    for text in (many, many + "}", many + "}}", many + "${{ params.x }}", f"{piece} ${{{{ params.x }}}} " * 5000):
        with suppress(UsageError):
            placeholders(text)
        with suppress(UsageError):
            check_template(text, command=True)
        expand(text, {"A": "a"})
        names(text)


def test_what_is_not_closed_is_said_of_the_first() -> None:
    with pytest.raises(UsageError, match="is not closed"):
        placeholders("${{ params.x }} " + "${{" * 1000)
    assert expand("${A} $${ ${B:-b} ${A:-", {"A": "a"}).malformed
    assert expand("${A} $${ ${B:-b} $${A:-", {"A": "a"}).text == "a ${ b ${A:-"
    with pytest.raises(UsageError) as caught:
        placeholders("${{" + "x" * 100_000 + "}}")
    assert len(caught.value.message) < 200


@pytest.mark.timeout(120)
def test_a_file_full_of_them_is_refused(tmp_path: Path) -> None:
    (tmp_path / "podium.yaml").write_text(
        "version: 1\nproject: x\npipelines:\n  p:\n    steps:\n      s: {run: '" + "${{ " * 200_000 + "'}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert any("not closed" in each.message and each.line == 6 for each in caught.value.problems)
