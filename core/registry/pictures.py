"""Images that a run has logged, made small enough for a terminal. They come from outside: only formats that plots have
are decoded, and only so many pixels."""

from __future__ import annotations

import io
import warnings
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

from ..domain.curves import Picture, Sample

MOST_BYTES = 8 * 1024 * 1024
MOST_PIXELS = 16_000_000
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_SIDES = (24, 32, 40, 50, 60, 70, 80, 95, 110, 130, 150, 175, 200, 240)  # pixels of the longer side
_LIGHT = 200  # how bright a page is on the average, of 255, on which something is drawn in thin lines


def named_so(path: str) -> bool:
    """Tells whether a file is an image by its name."""
    return PurePosixPath(path).suffix.lower() in _ENDINGS


def picture(content: bytes) -> Picture | None:
    """Returns what is to be seen on an image; None for what is none, is damaged, or has too many pixels, and where
    Pillow, which comes with MLflow, is not there."""
    try:
        images, statistics = import_module("PIL.Image"), import_module("PIL.ImageStat")
    except ImportError:
        return None
    try:
        with warnings.catch_warnings(), images.open(io.BytesIO(content), formats=_FORMATS) as image:
            warnings.simplefilter("ignore")
            width, height = image.size
            if not 0 < width * height <= MOST_PIXELS:
                return None
            shown = image.convert("RGBA")
            page = images.new("RGBA", shown.size, "white")
            page.alpha_composite(shown)
            page = page.convert("RGB")
            drawn = statistics.Stat(page.convert("L")).mean[0] > _LIGHT
            sides = [side for side in _SIDES if side <= max(width, height)] or [max(width, height)]
            return Picture(width, height, tuple(_sample(page, side, drawn) for side in sides))
    except Exception:  # a decoder raises whatever it likes for a damaged file
        return None


def _sample(page: Any, side: int, drawn: bool) -> Sample:
    """Makes a page small. Of one that is `drawn` on, the darkest of nine parts of each pixel counts beside the mean, or
    thin lines would fade away."""
    images, filters = import_module("PIL.Image"), import_module("PIL.ImageFilter")
    scale = side / max(page.size)
    width, height = (max(1, round(each * scale)) for each in page.size)
    small = page.resize((width, height), images.Resampling.BOX)
    if drawn and scale < 1 / 2:
        larger = page.resize((width * 3, height * 3), images.Resampling.BOX).filter(filters.MinFilter(3))
        small = images.blend(small, larger.resize((width, height), images.Resampling.NEAREST), 0.7)
    return Sample(width, height, small.tobytes())
