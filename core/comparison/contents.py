"""What a version's model is: from the journal, and from its files where they are on this machine. Nothing is fetched,
and nothing in the files is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ..beneath import Directory, walk
from ..domain.containers import Image
from ..domain.models import Version
from ..domain.text.format import size
from ..domain.verdicts import GateReport
from ..errors import PodiumError
from ..registry import files

_MOST = 256 * 1024
"""Bytes that are read of one file."""
_REQUIREMENTS = "requirements.txt"


def contents(version: Version, reports: Sequence[GateReport], images: Sequence[Image], state: Path) -> dict[str, str]:
    """Returns name -> text of what a version is; what is not known is empty."""
    directory = files.directory(state, version.model, version.version)
    here = _of_files(directory)
    data = {report.gate: report.data for report in reversed(reports) if report.data}
    image = next((each for each in images if each.version == version.version), None)
    learned = version.learned
    return {
        "commit": version.commit,
        "run": str(version.run_id) if version.run_id is not None else "",
        "MLflow run": version.mlflow_run,
        "dataset": f"{learned.digest} {learned.words}" if learned is not None else "",
        "gate data": ", ".join(f"{gate}: {where}" for gate, where in sorted(data.items())),
        "digest": version.digest,
        **here,
        "image": image.reference if image is not None else "",
        "image size": size(image.size) if image is not None and image.size else "",
        "description": version.description,
    }


def _of_files(directory: Path) -> dict[str, str]:
    found = {"signature": "", "requirements": "", "flavours": "", "size": ""}
    try:
        with Directory.open(directory) as top:
            model = _mapping(_read(top, "MLmodel"))
            found["signature"] = _signature(model.get("signature"))
            found["requirements"] = _read(top, _REQUIREMENTS).strip()
            found["flavours"] = ", ".join(sorted(map(str, _mapping_of(model.get("flavors")))))
            found["size"] = size(float(sum(each.status.st_size for each in walk(top) if each.is_file)))
    except (OSError, ValueError, PodiumError):
        return found  # they were never fetched, or are being replaced
    return found


def _read(top: Directory, name: str) -> str:
    try:
        with top.read_below(name, links=False) as file:
            return file.read(_MOST).decode("utf-8", "replace")
    except (OSError, PodiumError):
        return ""


def _mapping(text: str) -> Mapping[str, Any]:
    import yaml

    try:
        # Texts, lists and mappings are all that is needed. A safe loader writes merged mappings out, which a few lines
        # can make gigabytes of, and raises anything for a date that is none.
        return _mapping_of(yaml.load(text, yaml.BaseLoader))  # noqa: S506
    except (yaml.YAMLError, RecursionError):
        return {}


def _mapping_of(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _signature(value: object) -> str:
    """Returns inputs and outputs, which MLflow writes as texts of JSON."""
    parts = {name: part for name, part in _mapping_of(value).items() if isinstance(part, str)}
    names = ("inputs", "outputs", "params")
    return "\n".join(f"{name}: {parts[name]}" for name in names if parts.get(name, "null") not in ("", "null", "~"))
