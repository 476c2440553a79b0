"""Standard output, byte for byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from podium.cli.text import diagnostics, output
from podium.cli.text.output import Column, Format

COLUMNS = (Column("RUN", right=True), Column("NAME"), Column("STATE", states=True))
CELLS = [("7", "release", "succeeded"), ("12", "naïve 模型", "failed")]


def test_a_table_is_aligned_by_terminal_cells(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows(Format.TABLE, COLUMNS, CELLS, ())
    assert capsys.readouterr().out == "RUN  NAME        STATE\n  7  release     succeeded\n 12  naïve 模型  failed\n"


def test_plain_is_tabs_without_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows(Format.PLAIN, COLUMNS, CELLS, ())
    assert capsys.readouterr().out == "7\trelease\tsucceeded\n12\tnaïve 模型\tfailed\n"


def test_json_has_a_row_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows(Format.JSON, COLUMNS, [], [{"id": 7}, {"id": 12}])
    assert capsys.readouterr().out == '[\n{"id": 7},\n{"id": 12}\n]\n'


def test_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    for format in (Format.TABLE, Format.PLAIN):
        output.rows(format, COLUMNS, [], ())
        assert capsys.readouterr().out == ""
    output.rows(Format.JSON, COLUMNS, [], ())
    assert capsys.readouterr().out == "[]\n"


def test_a_cell_cannot_leave_its_cell(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\x1b[31mred\x1b[0m\nb\tc\x9b2J\x07"
    for format in (Format.TABLE, Format.PLAIN):
        output.rows(format, (Column("X"), Column("Y")), [(hostile, "z")], ())
        printed = capsys.readouterr().out
        assert not any((ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160 for char in printed)
        assert len(printed.splitlines()) == (2 if format is Format.TABLE else 1)
        assert printed.count("\t") == (0 if format is Format.TABLE else 1)


# The first text takes seconds on a busy machine: a table of all characters is made for it.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_json_comes_back_as_it_was_and_steers_no_terminal(value: object) -> None:
    for indent in (None, 2):
        written = output._json(value, indent)
        assert json.loads(written) == value
        assert not any((ord(char) < 32 and char != "\n") or 127 <= ord(char) < 160 for char in written)


@given(st.text(alphabet="ab模é\u0301", max_size=30), st.integers(min_value=1, max_value=20))
def test_cut_never_takes_more_than_its_cells(text: str, size: int) -> None:
    shown = output.cut(text, size)
    assert output.width(shown) <= size
    if output.width(text) <= size:
        assert shown == text


def test_pairs_leave_out_what_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    output.pairs([("run", "1"), ("why", ""), ("commit", "abc")])
    assert capsys.readouterr().out == "run     1\ncommit  abc\n"


def test_a_state_has_the_colour_of_its_first_word_or_of_its_last(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnostics, "colourful", lambda stream: True)
    states = {"rolled back": 31, "failed (forced)": 31, "replay fail": 31, "canary fail": 31, "canary inconclusive": 33}
    output.rows(Format.TABLE, (Column("STATE", states=True),), [(state,) for state in states], ())
    printed = capsys.readouterr().out
    for state, colour in states.items():
        assert f"\x1b[{colour}m{state}\x1b[0m" in printed
