"""`make tour`: draws every screen of the cockpit at three sizes into docs/tour/, and writes docs/tour.md about them."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from tests.tui.driving import drive, make_app, settled, text, until

from .stops import STOPS, Stop, opened
from .svg import draw

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x50": (200, 50)}
PLACE = Path(__file__).resolve().parent.parent.parent / "docs"
# Its name is on the screen of several projects.
HOME = Path("/tmp/podium-tour")
_HEAD = """# A tour of the cockpit

Every screen at 80×24, 120×40 and 200×50, drawn from the app itself by `make tour` on the small project that the tests have. What they are for, and their keys: [cockpit.md](cockpit.md).
"""


def picture(stop: Stop, size: tuple[int, int], home: Path) -> str:
    """Returns the picture of a stop."""
    app = opened(stop, home, make_app)
    drawn: list[str] = []

    async def script(pilot: Any) -> None:
        if stop.select:
            app.podium_screen.select(stop.select)
            await settled(pilot)
        for key in stop.keys:
            await pilot.press(key)
            await settled(pilot)
        await until(pilot, lambda: stop.shows in text(app), stop.shows)
        await pilot.pause()
        drawn.append(draw(app))

    drive(app, script, size=size)
    return drawn[0]


def prepare() -> None:
    """Takes from the pictures what is the caller's: the zone, and settings."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    os.environ["HOME"], os.environ["XDG_STATE_HOME"], os.environ["XDG_CONFIG_HOME"] = map(
        str, (HOME, HOME / "state", HOME / "config")
    )
    for name in ("NO_COLOR", "PODIUM_GLYPHS", "SSH_CONNECTION", "TMUX"):
        os.environ.pop(name, None)


def page() -> str:
    """Returns the text of docs/tour.md."""
    parts = [_HEAD]
    for stop in STOPS:
        small, middle, large = (f"tour/{stop.name}-{size}.svg" for size in SIZES)
        parts.append(
            f"## {stop.name.replace('-', ' ').capitalize()}\n\n{stop.text} ([80×24]({small}), [200×50]({large}))\n\n"
            f"![{stop.name} at 120×40]({middle})\n"
        )
    return "\n".join(parts)


def main() -> int:
    options = argparse.ArgumentParser(description="Draws every screen of the cockpit, at three sizes.")
    options.add_argument("names", nargs="*", help="only these", choices=[*(stop.name for stop in STOPS), []])
    options.add_argument("--into", type=Path, default=PLACE, help="a directory instead of docs/")
    given = options.parse_args()
    prepare()
    folder: Path = given.into / "tour"
    folder.mkdir(exist_ok=True, parents=True)
    for stop in STOPS:
        if given.names and stop.name not in given.names:
            continue
        for name, size in SIZES.items():
            HOME.mkdir(mode=0o700)  # another's, or one that was left, is said
            try:
                drawn = picture(stop, size, HOME / "flight-delay")
            finally:
                shutil.rmtree(HOME)
            (folder / f"{stop.name}-{name}.svg").write_text(drawn, encoding="utf-8")
        print(stop.name, flush=True)
    kept = {f"{stop.name}-{size}.svg" for stop in STOPS for size in SIZES}
    for file in folder.glob("*.svg"):
        if file.name not in kept:
            file.unlink()
    (given.into / "tour.md").write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
