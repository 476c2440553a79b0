"""The page of a measurement: everything in it is escaped, nothing is loaded, and every column is there."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from podium.core.domain.delivery import How
from podium.core.domain.monitoring import ColumnMeasurement, Histogram, Measurement, MonitorKind, MonitorStatus
from podium.core.domain.monitors.courses import Course, Mark
from podium.core.monitoring.report.drawing import histogram
from podium.core.monitoring.report.page import page

HOSTILE = '"><script>alert(1)</script><img src=x onerror="a"> \x1b[31m\u202e'
STATUS = MonitorStatus("m", "production", MonitorKind.DRIFT, f"psi from {HOSTILE}", measure="psi")
DRAWN = Histogram((0.25, 0.75), (0.0, 1.0), names=(HOSTILE, "b"))
FOUND = Measurement(
    "m",
    "production",
    MonitorKind.DRIFT,
    1_800_000_000.0,
    0.5,
    rows=1000,
    critical=0.2,
    p_value=0.001,
    columns=(
        ColumnMeasurement("calm", 0.1, 0.2, 0.9, Histogram((0.5, 0.5), (0.5, 0.5), edges=(0.0, 1.0, 2.0))),
        ColumnMeasurement("gone", None, message=HOSTILE),
        ColumnMeasurement(HOSTILE, 0.5, 0.2, 1e-5, DRAWN),
    ),
    warnings=(HOSTILE,),
)


class Reader(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def test_nothing_of_it_runs_or_is_loaded() -> None:
    text = page(HOSTILE, STATUS, FOUND, Course())
    found = read(text)
    assert not {"script", "img", "link", "iframe", "object"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in ("src", "href", "style=")]
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'") in (
        found.attributes
    )
    assert "\x1b" not in text and "\u202e" not in text
    assert any("<script>alert(1)</script>" in each for each in found.texts), "it is shown as what it is"


def test_columns_are_in_order_of_how_unlikely_they_are() -> None:
    found = read(page("shop", STATUS, FOUND, Course()))
    titles = [text for tag, text in zip(found.tags, found.texts, strict=False) if tag]
    joined = " ".join(titles)
    assert found.tags.count("section") == 3 and found.tags.count("svg") == 2
    assert joined.index("beyond it") < joined.index("calm") < joined.index("gone")
    assert "critical value" in joined and "0.2000" in joined


def test_a_histogram_has_a_bar_for_each_bin_and_says_its_figures() -> None:
    drawn = histogram(DRAWN, "a")
    assert drawn.count("<rect") == 4 and "reference 25.00%, now 0.00%" in drawn
    ranges = histogram(Histogram((0.5, 0.5), (0.5, 0.5), edges=(0.0, 1.0, 2.0)), "a")
    assert "0 … 1" in ranges and "1 … 2" in ranges
    assert histogram(Histogram((), ()), "a") == ""


def test_a_measurement_without_a_value_is_a_page_too() -> None:
    nothing = Measurement("m", "production", MonitorKind.DRIFT, 0.0, None, message="no request was captured")
    assert "no request was captured" in page("shop", STATUS, nothing, Course())


def test_a_course_has_each_value_its_interval_and_the_versions_that_began_to_serve() -> None:
    quality = MonitorStatus("m", HOSTILE, MonitorKind.QUALITY, "roc_auc on labelled requests", measure="roc_auc")
    begin, hour = 1_800_000_000.0, 3600.0
    past = tuple(
        replace(FOUND, at=begin + hour * n, value=value, low=0.6, high=0.9, baseline=0.8, version=3, columns=())
        for n, value in enumerate((0.71, 0.72, None, 0.73))
    )
    course = Course(past, (Mark(begin + 2 * hour, 4, How.PROMOTE),))
    text = page(HOSTILE, quality, past[-1], course)
    found = read(text)
    told = " ".join(found.texts)
    assert found.tags.count("circle") == 3, "a measurement without a value is no point"
    assert "0.7100 (0.6000 … 0.9000), v3" in told and "promote v4" in told and "v4" in found.texts
    assert found.tags.count("polygon") == 1 and ("class", "promoted") in found.attributes
    assert not {"script", "img"} & set(found.tags)


def test_one_value_has_no_course() -> None:
    assert "circle" not in read(page("shop", STATUS, FOUND, Course((FOUND,)))).tags
    assert "circle" not in read(page("shop", STATUS, FOUND, Course((FOUND, FOUND)))).tags, "nor two at one moment"
