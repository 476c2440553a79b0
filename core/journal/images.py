"""Stores serving images: which version is in which image on which engine."""

from __future__ import annotations

from ..domain.containers import Image
from .sqlite.database import Database

_COLUMNS = (
    "model, version, engine, image_id, reference, built, digest, tag, base, model_layer, size, seconds, run_id, sbom"
)


class Images:
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, image: Image) -> None:
        """Stores the image, replacing the one of its version on its engine."""
        values = tuple(getattr(image, name) for name in _COLUMNS.split(", "))
        self._database.run(f"INSERT OR REPLACE INTO images ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", values)  # noqa: S608

    def get(self, model: str, version: int, engine: str) -> Image | None:
        row = self._database.one(
            f"SELECT {_COLUMNS} FROM images WHERE model = ? AND version = ? AND engine = ?",  # noqa: S608
            (model, version, engine),
        )
        return Image(*row) if row else None

    def of(self, model: str, version: int | None = None) -> list[Image]:
        """Returns the images of one version or of every version on every engine, newest version first."""
        only = "" if version is None else " AND version = ?"
        rows = self._database.all(
            f"SELECT {_COLUMNS} FROM images WHERE model = ?{only} ORDER BY version DESC, engine",  # noqa: S608
            (model,) if version is None else (model, version),
        )
        return [Image(*row) for row in rows]

    def remove(self, model: str, version: int, engine: str) -> None:
        self._database.run(
            "DELETE FROM images WHERE model = ? AND version = ? AND engine = ?", (model, version, engine)
        )
