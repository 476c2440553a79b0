"""Draws docs/cockpit.svg, the README's picture, from the app itself on the seeded project of the tests: python
docs/make_picture.py"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["TZ"] = "UTC"
time.tzset()

from podium.tui.application import PodiumApp  # noqa: E402

from tests.tui.driving import drive, make_app, settled  # noqa: E402
from tests.tui.seed import seed  # noqa: E402


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        app: PodiumApp = make_app(seed(Path(home)), screen="runs", interval=0)

        async def draw(pilot: object) -> None:
            await settled(pilot)  # type: ignore[arg-type]
            (ROOT / "docs" / "cockpit.svg").write_text(app.export_screenshot(title="podium"), encoding="utf-8")

        drive(app, draw, size=(120, 36))


if __name__ == "__main__":
    main()
