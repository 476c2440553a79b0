"""Nothing that a step printed can steer the terminal, and colours survive as data."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from podium.core.domain.text import PLAIN, Style, clean, one_line, parse_sgr, telling_line, unbroken

nasty = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            [
                "\x1b",
                "\x1b[",
                "\x1b[31m",
                "\x1b[0m",
                "\x1b[1;38;5;9m",
                "\x1b[48;2;1;2;3m",
                "\x1b]0;title\x07",
                "\x1b]8;;http://x\x1b\\",
                "\x1bP1$r\x1b\\",
                "\x9b2J",
                "\x9d0;t\x9c",
                "\r",
                "\r\n",
                "\t",
                "\x08",
                "\u202e",
                "\ud800",
                "\x1b(B",
                "\x1b[?25l",
                "\x1b[2J\x1b[H",
                "\u2028",
                "m",
                ";",
                "\x7f",
            ]
        ),
    ),
    max_size=12,
).map("".join)


@given(nasty)
@example("\x1b]0;never ended")
@example("a\x1b[31mb\rc\x1b[0md\r")
@example("\x1b\x1b[31m")
def test_nothing_is_left_that_could_steer_a_terminal(text: str) -> None:
    plain = clean(text)
    assert all(letter == "\t" or unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp") for letter in plain)
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", plain)
    plain.encode()
    assert clean(plain) == plain


@given(nasty)
@example("ab\x1b[31mc\rd\x1b[32mef\x1b[0mg\r\r")
def test_both_ways_give_the_same_text_and_spans_lie_in_it(text: str) -> None:
    plain, spans = parse_sgr(text)
    assert plain == clean(text)
    at = 0
    for start, end, style in spans:
        assert at <= start < end <= len(plain) and style != PLAIN
        hash(style)
        at = end


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("plain é 漢字 👍", "plain é 漢字 👍"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;evil title\x07text", "text"),
        ("\x1b]52;c;cm0gLXJm\x1b\\text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("10%\r20%\r30%", "30%"),
        ("dos\r", "dos"),
        ("a\tb", "a\tb"),
        ("a\nb", "a b"),
        ("gif\u202etxt.exe", "giftxt.exe"),
        ("\x9b2Jx", "x"),
        ("\x1b[31", ""),
        ("\x1b[2;5Hx\x1b[Ky", "xy"),
        ("bell\x07\x00\x08", "bell"),
        ("\x1bPq#0;2;0;0;0\x1b\\six", "six"),
        ("a\x1b(Bb", "ab"),
    ],
)
def test_examples(text: str, plain: str) -> None:
    assert clean(text) == plain


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("a\x1b[31mred\x1b[0mb", [(1, 4, Style(foreground=1))]),
        (
            "\x1b[1;4;91mx\x1b[22my",
            [(0, 1, Style(foreground=9, bold=True, underline=True)), (1, 2, Style(foreground=9, underline=True))],
        ),
        (
            "\x1b[38;5;208mx\x1b[48;2;1;2;3my",
            [(0, 1, Style(foreground=208)), (1, 2, Style(foreground=208, background=(1, 2, 3)))],
        ),
        ("\x1b[31mx\x1b[my", [(0, 1, Style(foreground=1))]),
        ("\x1b[38;5mx\x1b[999my\x1b[38;5;999mz", []),
        ("\x1b[31mold\rnew", [(0, 3, Style(foreground=1))]),
        ("\x1b[31mol\x1b[0md\rne\x1b[7mw", [(2, 3, Style(reverse=True))]),
    ],
)
def test_colours(text: str, spans: list[tuple[int, int, Style]]) -> None:
    assert parse_sgr(text)[1] == spans


@pytest.mark.timeout(20)  # a second on a quiet machine; the square of its length would take hours
def test_a_megabyte_of_escapes_takes_no_longer_than_its_length() -> None:
    for text in (
        "\x1b[" * 300_000,
        "\x1b]" * 300_000,
        "\x1b[" + "1;" * 300_000 + "m",
        "\x1b[" + "0" * 600_000,
        "\r" * 600_000,
        "\x1bP" + "x" * 600_000,
    ):
        assert clean(text) == parse_sgr(text)[0]
        unbroken(text)


HOSTILE = {
    "C0": "a\x00\x07\x08\x0b\x0c\x1fb",
    "C1": "a\x85\x8e\x9fb",
    "delete": "a\x7fb",
    "CSI": "a\x1b[2J\x1b[1;1H\x9b31mb",
    "CSI cut off": "a\x1b[31",
    "OSC 8": "a\x1b]8;;https://evil.example\x1b\\b\x1b]8;;\x07",
    "OSC 52": "a\x1b]52;c;cm0gLXJm\x07b\x9d52;c;cm0gLXJm\x9c",
    "OSC without an end": "a\x1b]0;title",
    "DCS": "a\x1bPq#0\x1b\\b",
    "direction": "a\u202egpj\u202c\u2066x\u2069\u200f\u061cb",
    "without width": "a\u200b\u2060\ufeff\xad\u180eb",
    "tags": "a\U000e0041\U000e0042b",
    "carriage return": "secret\rab\r\n",
    "line ends": "a\r\nb\nc\u2028d\u2029",
    "tab": "a\tb",
    "lone surrogates": "a\ud800b\udfff",
    "wide": "漢" * 500 + "👩\u200d🚀" * 100,
    "stacked": "e" + "\u0301" * 300,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_one_line_of_anything_is_one_line_that_hides_nothing(name: str) -> None:
    text = one_line(HOSTILE[name])
    assert not [letter for letter in text if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")]
    assert not [letter for letter in text if unicodedata.category(letter) == "Cf" and letter not in "\u200c\u200d"]
    text.encode()
    assert one_line(text) == text


@given(nasty)
def test_one_line_is_made_of_cleaned_lines(text: str) -> None:
    assert one_line(one_line(text)) == one_line(text)
    if not re.search("[\n\u2028\u2029\t]", text):
        assert one_line(text) == clean(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\nb\nc\n", "a b c"),
        ("a\tb", "a b"),
        ("10%\r100%\nready", "100% ready"),
        ("gif\u202etxt.exe", "giftxt.exe"),
        ("pa\xads\u200bs\u061c", "pass"),
        ("👩\u200d🚀", "👩\u200d🚀"),
    ],
)
def test_one_line_keeps_what_can_be_read(text: str, line: str) -> None:
    assert one_line(text) == line


@given(nasty, nasty)
@example("\x1b]0;never ended", "x")
def test_a_line_that_was_put_together_is_one_line_that_hides_nothing(text: str, more: str) -> None:
    line = unbroken(f"{text} kept {more}")
    assert not [each for each in line if each != "\t" and unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")]
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", line)
    line.encode()
    assert unbroken(line) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Ray 2\x1b]0;pwned\x07\x1b[2J at h", "Ray 2 at h"),
        ("Ray 2\rall is well", "Ray 2 all is well"),
        ("Ray 2\b\b\bx at h", "Ray 2x at h"),
        ("Ray \x1b]0;2 at h", "Ray 0;2 at h"),
        ("Ray \x9d0;2\x1b[1m at h", "Ray 0;2 at h"),
        ("a\r\nb\nc\r\n", "a b c"),
        ("a\tb", "a\tb"),
        ("gif\u202etxt.exe", "giftxt.exe"),
    ],
)
def test_nothing_in_a_line_that_was_put_together_reaches_beyond_its_place(text: str, line: str) -> None:
    assert unbroken(text) == line


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("", ""),
        ("\n \n", ""),
        ("one\ntwo\n\n", "two"),
        ("Traceback (most recent call last):\n  File x\n    y\nKeyError: 1\n", "KeyError: 1"),
        ("Traceback (most recent call last):\n  File x\nA: 1\nTraceback (most recent call last):\n  F\nB: 2", "B: 2"),
        ("Traceback (most recent call last):\n  File x\nValueError: a\nb\nwarning: leaked", "ValueError: a"),
        ("  Traceback (most recent call last):\n    File x\n  OSError: full\nbye", "OSError: full"),
        ("Traceback (most recent call last):\n  File x", "File x"),
    ],
)
def test_the_line_that_says_why(said: str, line: str) -> None:
    assert telling_line(said) == line


GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "<string>", line 1, in <module>
  | ExceptionGroup: many (1 sub-exception)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +------------------------------------
"""


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (GROUP, "ExceptionGroup: many (1 sub-exception)"),
        ("Traceback (most recent call last):\n  File x\nKeyError: 1\n=====\n", "KeyError: 1"),
        ("no such column\nmake: *** [Makefile:3: train] Error 1\n", "no such column"),
        ("no such column\nmake[1]: *** [train] Error 2\nmake: *** [all] Error 2\n", "no such column"),
        ("Error in fit(x) : no such column\nExecution halted\n", "Error in fit(x) : no such column"),
        ("CUDA out of memory\n==========\n", "CUDA out of memory"),
        ("データがありません\n----\n", "データがありません"),
        ("=====\n", "====="),
        ("Execution halted\n", "Execution halted"),
        ("| table | of | columns |\n", "| table | of | columns |"),
        (" \n\n", ""),
    ],
)
def test_the_line_that_says_why_is_no_ruler_and_no_last_word_of_a_wrapper(output: str, told: str) -> None:
    assert telling_line(output) == told


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("xxx\b\b\byyy", "yyy"),
        ("abc\b", "abc"),
        ("|\b/\b-\b\\\bdone", "done"),
        ("\b\ba", "a"),
        ("12%\b\b\b99%", "99%"),
        ("ab\rc\b\b\bd", "d"),
        ("\x1b[31mab\b\x1b[0mc", "ac"),
    ],
)
def test_backspaces_are_written_over(text: str, plain: str) -> None:
    assert clean(text) == plain
    assert parse_sgr(text)[0] == plain


def test_colours_stay_with_what_was_not_written_over() -> None:
    assert parse_sgr("\x1b[31mab\b\x1b[0mc") == ("ac", [(0, 1, Style(foreground=1))])
