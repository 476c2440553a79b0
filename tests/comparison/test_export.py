from __future__ import annotations

import csv
import html.parser
import io
import json
import math
from typing import Any

import pytest
from podium.core.comparison.export import FORMATS, format_of, written
from podium.core.comparison.rows import Known, compare
from podium.core.domain.comparisons import Comparison, Subject
from podium.core.domain.models import Version
from podium.core.errors import UsageError

HOSTILE = '=HYPERLINK("http://x")|<script>alert(1)</script>\n\x1b]0;t\x07[a](javascript:b) @anna `c` ![d](e)'


def hostile() -> Comparison:
    subjects = [Subject(f"v{number}", (HOSTILE,), Version("m", number, 0.0)) for number in (1, 2)]
    return compare(
        [
            Known(each, metrics={HOSTILE: value, "roc_auc": value}, params={"p": f"{HOSTILE}{value}"})
            for each, value in zip(subjects, (0.25, math.inf), strict=True)
        ]
    )


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_steers_a_terminal_in_any_format(form: str) -> None:
    comparison = hostile()
    text = written(comparison, form, comparison.rows)
    assert "\x1b" not in text and "\x07" not in text


def test_markdown_has_one_line_a_row_and_no_markup_from_outside() -> None:
    comparison = hostile()
    lines = written(comparison, "markdown", comparison.rows).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == len(comparison.rows) + 2
    assert all(line.replace("\\|", "").count("|") == 5 for line in table)
    text = "\n".join(lines)
    assert "<script" not in text and "](j" not in text and "@anna" not in text and "![" not in text
    assert "**roc\\_auc**" not in text, "nobody looks at it"


def test_a_spreadsheet_finds_no_formula_in_a_text_and_a_number_is_a_number() -> None:
    comparison = hostile()
    rows = list(csv.reader(io.StringIO(written(comparison, "csv", comparison.rows))))
    assert len({len(row) for row in rows}) == 1
    found = next(row for row in rows if row[2] == "roc_auc")
    assert found[6:8] == ["0.25", "inf"]
    for row in rows[1:]:
        for cell in row:
            assert not cell.startswith(("=", "@", "|")), cell
    assert any(cell.startswith("'=HYPERLINK") for row in rows for cell in row)


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def test_html_has_only_our_own_tags() -> None:
    comparison = hostile()
    page = written(comparison, "html", comparison.rows)
    found = Tags()
    found.feed(page)
    assert set(found.tags) == {
        *("html", "head", "meta", "title", "style", "body", "p"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    assert not [name for name in found.attributes if name.startswith("on") or name in ("href", "src")]
    assert "default-src 'none'" in page


def test_json_is_json_even_with_numbers_that_it_does_not_have() -> None:
    comparison = hostile()

    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(written(comparison, "json", comparison.rows), parse_constant=refuse)
    assert [each["label"] for each in found["subjects"]] == ["v1", "v2"] and found["subjects"][0]["baseline"]
    row = next(row for row in found["rows"] if row["name"] == "roc_auc")
    assert row["values"] == [0.25, None] and row["goal"] == "maximize"


def test_the_ending_says_the_format() -> None:
    assert format_of("a.MD") == "markdown" and format_of("x/y.html") == "html"
    with pytest.raises(UsageError):
        format_of("comparison.txt")
    with pytest.raises(UsageError):
        written(hostile(), "pdf", ())
