from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.tui.glyphs import Glyphs
from podium.tui.widgets.charts.chart_draw import (
    ChartData,
    Mark,
    Plotted,
    Threshold,
    chart_lines,
    frame_of,
    smoothed,
    value_at,
)

FANCY, PLAIN = Glyphs(plain=False), Glyphs(plain=True)
RISING = Plotted("v1", tuple((float(x), float(x)) for x in range(100)))


def drawn(
    data: ChartData, width: int = 60, height: int = 16, glyphs: Glyphs = FANCY, cursor: float | None = None
) -> list[str]:
    return ["".join(text for text, _ in line) for line in chart_lines(data, width, height, glyphs, cursor)]


def test_a_rising_line_rises_from_the_lower_left_to_the_upper_right() -> None:
    lines = drawn(ChartData((RISING,)))
    plot = lines[1:-1]
    assert plot[0].rstrip()[-1] not in " │" and plot[-1].split("│")[1][0] not in " "
    assert all(any(letter in "▘▝▀▖▌▞▛▗▚▐▜▄▙▟█" for letter in line) for line in plot), "no row without the line"


def test_the_axes_say_their_ends() -> None:
    lines = drawn(ChartData((RISING,)))
    assert lines[1].lstrip().startswith("99") and lines[-2].lstrip().startswith("0")
    assert lines[-1].split()[0] == "0" and lines[-1].split()[-1] == "99"


def test_no_line_is_wider_than_its_widget_and_none_too_many() -> None:
    marks = (Mark(10.0, "v3"), Mark(99.0, "v4 with a long name"))
    data = ChartData((RISING, Plotted("second", RISING.points[::-1][::-1])), marks, (Threshold(50.0, "limit"),))
    for width in range(8, 90, 7):
        for height in range(1, 30, 3):
            lines = drawn(data, width, height)
            assert len(lines) <= height and all(len(line) <= width for line in lines), (width, height)


def test_the_legend_has_the_values_at_the_cursor() -> None:
    assert "v1 99" in drawn(ChartData((RISING,)))[0]
    lines = drawn(ChartData((RISING,)), cursor=42.4)
    assert lines[0].startswith("42.4") and "v1 42 " in lines[0]
    assert sum("│" in line.split("│", 1)[1] for line in lines[1:-1]) > 8, "a line down the plot"


def test_curves_are_told_apart_without_colour() -> None:
    other = Plotted("v2", tuple((float(x), 99.0 - x) for x in range(100)))
    lines = drawn(ChartData((RISING, other)))
    assert "a v1" in lines[0] and "b v2" in lines[0]
    assert any("a" in line for line in lines[1:-1]) and any("b" in line for line in lines[1:-1])


def test_a_threshold_and_a_band_are_lines_of_the_plot() -> None:
    lines = drawn(ChartData((RISING,), thresholds=(Threshold(50.0, "limit"),), band=(10.0, 20.0)))
    assert sum("─ ─" in line for line in lines) == 1
    assert sum("··" in line for line in lines) >= 2
    assert "limit 50" in lines[0]


def test_a_threshold_far_away_does_not_press_the_curve_flat() -> None:
    lines = drawn(ChartData((RISING,), thresholds=(Threshold(1e6, "limit"),)))
    assert lines[1].lstrip().startswith("99") and "limit" in lines[0]


def test_a_gap_is_a_gap() -> None:
    points = tuple((float(x), math.nan if 40 <= x < 60 else 1.0) for x in range(100))
    plot = [line.split("│", 1)[1] for line in drawn(ChartData((Plotted("v1", points),)))[1:-1]]
    row = next(line for line in plot if line.strip())
    assert "      " in row.strip()


def test_a_logarithmic_axis_leaves_out_what_is_not_positive() -> None:
    points = tuple((float(x), 10.0**-x if x else 0.0) for x in range(7))
    data = ChartData((Plotted("loss", points),), log=True)
    frame = frame_of(data, 60, 16)
    assert frame is not None and (frame.y0, frame.y1) == (-6.0, -1.0)
    assert drawn(data)[1].lstrip().startswith("0.1") and drawn(data)[-2].lstrip().startswith("1e-06")
    assert drawn(ChartData((Plotted("loss", ((0.0, -1.0),)),), log=True)) == []


def test_smoothing_starts_at_the_first_value_and_keeps_gaps() -> None:
    found = smoothed(((0.0, 10.0), (1.0, math.nan), (2.0, 10.0), (3.0, 0.0)), 0.9)
    assert found[0] == (0.0, 10.0) and math.isnan(found[1][1]) and found[2][1] == pytest.approx(10.0)
    assert 5.0 < found[3][1] < 10.0
    assert smoothed(RISING.points, 0.0) is RISING.points


def test_marks_stand_below_their_place_and_the_last_has_its_room() -> None:
    lines = drawn(ChartData((RISING,), (Mark(0.0, "v1"), Mark(50.0, "v2"), Mark(51.0, "v3"))))
    assert "▲v1" in lines[-1] and "▲v3" in lines[-1] and "▲v2" not in lines[-1]
    assert lines[-1].index("▲v3") - lines[-1].index("▲v1") > 20


def test_ascii_alone() -> None:
    data = ChartData((RISING, Plotted("b", ((0.0, 5.0),))), (Mark(3.0, "v1"),), (Threshold(50.0, "limit"),), (1.0, 9.0))
    assert all(line.isascii() for line in drawn(data, glyphs=PLAIN))
    assert any("*" in line for line in drawn(data, glyphs=PLAIN))


def test_nothing_to_draw_draws_nothing() -> None:
    assert drawn(ChartData()) == [] and drawn(ChartData((Plotted("x", ()),))) == []
    assert drawn(ChartData((Plotted("x", ((0.0, math.nan),)),))) == []
    assert drawn(ChartData((RISING,)), 9, 3) == [], "no room"


def test_the_value_at_a_place_is_the_last_one_before_it() -> None:
    points = ((0.0, 1.0), (1.0, math.nan), (2.0, 3.0))
    assert value_at(points, 1.5) == 1.0 and value_at(points, None) == 3.0 and value_at(points, -1.0) is None


VALUES = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.lists(VALUES, max_size=30),
    st.integers(1, 100),
    st.integers(1, 40),
    st.booleans(),
    st.booleans(),
    st.none() | VALUES,
)
def test_any_values_are_drawn_within_the_widget(
    values: list[float], width: int, height: int, log: bool, plain: bool, threshold: float | None
) -> None:
    curve = Plotted("x", tuple((float(place), value) for place, value in enumerate(values)))
    limits = () if threshold is None else (Threshold(threshold),)
    lines = drawn(ChartData((curve,), thresholds=limits, log=log), width, height, PLAIN if plain else FANCY)
    assert len(lines) <= height and all(len(line) <= width for line in lines)
