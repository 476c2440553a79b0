"""Long texts that are not closed, or nested without end, are read once: what looked for an end from each beginning
needed minutes for 120 KB, and would need hours for these."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from podium.core.config import load
from podium.core.config.conditions import parse as parse_condition
from podium.core.config.expressions import check_template, placeholders
from podium.core.config.patterns import bad_schedule
from podium.core.config.source import MAX_BYTES
from podium.core.config.variables import expand, names
from podium.core.domain.text import clean, one_line, parse_sgr, telling_line
from podium.core.domain.text.durations import parse_duration
from podium.core.errors import ConfigError, PodiumError, UsageError
from podium.core.logs.masking import is_secret, without_user
from podium.core.serving.image.requirements import of_model
from podium.core.telemetry.exposition import parse as parse_exposition
from podium.core.triggers.skips import skip_words

PIECES = [
    "${{", "${{ ", "${{ params.x", "${{ params.x }", "${{ a }}", "${", "${A", "${A:-", "$${", "${A:-${{", "${A}${", "$(", "$((", "((", "`", "\"$(",
    "\"$(case ", "<<E ", "<<E\n", "<<'E\n", "${'", '${"', "sh -x ", "x=(", "[[ ", "\\\n", "<(", "<<< ", "f() { ", "'\"",
]  # fmt: skip


# As long as a file may be, for each of the pieces, only takes longer: what reads such a text twice is found with less.
LONG = 120_000


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("piece", "size"), [*((piece, LONG) for piece in PIECES), ("${{ ", MAX_BYTES // 4)])
def test_a_template_is_read_once(piece: str, size: int) -> None:
    many = piece * (size // len(piece))
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


def _lines_of(text: str) -> None:
    one_line(f"a{text}")
    clean(f"\x1b[{text}")
    parse_sgr(f"\x1b[{text}")
    telling_line(text)


def _requirements_of(text: str) -> None:
    with TemporaryDirectory() as directory:
        (Path(directory) / "requirements.txt").write_bytes(text.encode())
        (Path(directory) / "MLmodel").write_bytes(b"")
        of_model(Path(directory))


READERS = {
    "lines": _lines_of,
    "labels": lambda text: parse_exposition(f"m{{{text}}} 1\nm{text} 1"),
    "secrets": lambda text: is_secret("A", f"://{text}", ()),
    "addresses": without_user,
    "requirements": _requirements_of,
    "schedules": lambda text: bad_schedule(f"* * * * {text}"),
    "durations": lambda text: parse_duration(text[:100_000]),
    "skips": skip_words,
    "conditions": lambda text: parse_condition(text),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "piece",
    [
        "\r",
        "a",
        "1",
        " ",
        ":",
        "://",
        'a="',
        '\\"',
        "}",
        "} ",
        "\x1b[",
        "\x1b]",
        "\x9d",
        "1 ",
        "[",
        "***",
        "(",
        "1,",
        "*/",
        "1-",
        "make: *** x Error 1",
    ],
)
def test_text_from_outside_is_read_once(reader: str, piece: str) -> None:
    with suppress(PodiumError):
        READERS[reader](piece * (300_000 // len(piece)))


@pytest.mark.timeout(120)
def test_a_file_full_of_them_is_refused(tmp_path: Path) -> None:
    (tmp_path / "podium.yaml").write_text(
        "version: 1\nproject: x\npipelines:\n  p:\n    steps:\n      s: {run: '" + "${{ " * 200_000 + "'}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert any("not closed" in each.message and each.line == 6 for each in caught.value.problems)
