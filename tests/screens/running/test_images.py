"""Images that a run has logged: seen in the terminal, as large as there is room, or said where they cannot be."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from podium.core.domain.curves import Picture, Sample
from podium.core.registry.pictures import MOST_BYTES, MOST_PIXELS, named_so, picture
from podium.screens.cells.picture import picture_lines
from podium.tui.application import PodiumApp
from podium.tui.widgets.text_pane import TextPane
from textual.pilot import Pilot

from tests.screens.test_curves import Logged
from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import SeededCockpit


def encoded(width: int = 100, height: int = 50, format: str = "PNG", colour: object = (255, 0, 0)) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(made, format)  # type: ignore[arg-type]
    return made.getvalue()


@pytest.fixture
def files(cockpit: SeededCockpit) -> Path:
    run = next(each for each in cockpit.runs.list() if str(each.state) == "running")
    step = next(each for each in cockpit.journal.steps.of(run.id) if each.name.startswith("train"))
    found = Logged(cockpit.home, run.id, step.key).artifacts
    found.mkdir(parents=True)
    return found


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP"])
def test_what_is_to_be_seen_on_an_image(format: str) -> None:
    found = picture(encoded(format=format))
    assert found is not None and (found.width, found.height) == (100, 50)
    small = found.samples[0]
    assert (small.width, small.height, len(small.pixels)) == (24, 12, 24 * 12 * 3)
    assert small.pixels[0] > 240 and small.pixels[1] < 20
    assert found.fitting(99, 99) is found.samples[-1] and found.fitting(59, 99) is found.samples[3]
    assert found.fitting(23, 99) is None
    tiny = picture(encoded(3, 2))
    assert tiny is not None and [(each.width, each.height) for each in tiny.samples] == [(3, 2)]


def test_what_can_be_seen_through_stands_on_white() -> None:
    made = io.BytesIO()
    Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(made, "PNG")
    found = picture(made.getvalue())
    assert found is not None and set(found.samples[0].pixels) == {255}


def test_thin_lines_stay(tmp_path: Path) -> None:
    image = Image.new("RGB", (640, 480), "white")
    for row in range(480):
        image.putpixel((320, row), (0, 0, 200))
    made = io.BytesIO()
    image.save(made, "PNG")
    found = picture(made.getvalue())
    assert found is not None
    small = next(each for each in found.samples if each.width == 60)
    reds = small.pixels[: small.width * 3 : 3]
    assert min(reds) < 210, "one pixel of eleven would be 231"
    assert sorted(reds)[1:] == [255] * 59


def test_what_is_no_image_or_too_large_is_none() -> None:
    good = encoded()
    wide = Image.new("1", (MOST_PIXELS // 1000 + 1, 1000))
    bomb = io.BytesIO()
    wide.save(bomb, "PNG")
    bitmap = io.BytesIO()
    Image.new("RGB", (30, 30)).save(bitmap, "BMP")
    for content in (b"", b"\x89PNG\r\n\x1a\n", good[:60], b"text", bomb.getvalue(), bitmap.getvalue()):
        assert picture(content) is None
    assert len(bomb.getvalue()) < MOST_BYTES, "it is refused by its pixels"
    assert named_so("plots/ROC.PNG") and not named_so("plots/roc.svg") and not named_so("png")


def test_two_pixels_are_in_each_cell() -> None:
    pixels = bytes.fromhex("ff0000 ff0000 00ff000000ff 0000ff 0000ffffffff ffffff ffffff")
    made = Picture(3, 3, (Sample(3, 3, pixels),))
    assert picture_lines(made, 3, 2) == [
        (("▀▀", "#ff0000 on #0000ff"), ("▀", "#00ff00 on #0000ff")),
        (("▀▀▀", "#ffffff"),),
    ]
    assert picture_lines(made, 2, 9) == [] == picture_lines(made, 9, 1)


def test_it_is_drawn_as_large_as_there_is_room(cockpit: SeededCockpit, files: Path) -> None:
    (files / "roc.png").write_bytes(encoded(640, 480))
    (files / "z.png").write_bytes(b"\x89PNG\r\n\x1a\n\0broken")

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "loss" in text(pilot.app), "the metrics")
        await pilot.press("i")
        await until(pilot, lambda: "640×480 pixels" in text(pilot.app), "its size")
        pane = pilot.app.screen.query_one("#text", TextPane)
        widths = [sum(len(piece) for piece, _ in line) for line in pane.lines[1:]]
        assert set(widths) == {60} and len(widths) == 23, "the largest that fits, as high as it is wide"
        assert pane.lines[1] == (("▀" * 60, "#ff0000 on #ff0000"),)
        strip = pane.render_line(1)
        colours = {segment.style.color.name for segment in strip if "▀" in segment.text and segment.style}
        assert colours == {"#ff0000"}
        await pilot.press("j")
        await until(pilot, lambda: "is no text" in text(pilot.app), "one that is damaged")

    drive(make_app(cockpit, screen="runs"), script)


@pytest.mark.parametrize("how", ["plain", "few colours"])
def test_where_it_cannot_be_shown_that_is_said(
    cockpit: SeededCockpit, files: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    (files / "roc.png").write_bytes(encoded(640, 480))
    app = make_app(cockpit, screen="runs", plain=how == "plain")
    if how == "few colours":
        monkeypatch.setattr(PodiumApp, "few_colours", property(lambda _app: True))

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "loss" in text(pilot.app), "the metrics")
        await pilot.press("i")
        await until(pilot, lambda: "480 pixels, which this terminal cannot show" in text(pilot.app), "words")
        await settled(pilot)

    drive(app, script)
