"""An installed package that adds plug-ins, without pip: a directory for the path with a dist-info and modules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def package(
    directory: Path,
    plugins: Mapping[str, Mapping[str, str]],
    modules: Mapping[str, str] | None = None,
    *,
    name: str = "podium-toys",
) -> Path:
    """Makes the package in `directory`, which has to come into sys.path or PYTHONPATH; returns it. `plugins` are
    {kind: {name: "module:attribute"}}, `modules` the text of each module."""
    info = directory / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    groups = [
        "\n".join([f"[podium.{kind}]", *(f"{each} = {target}" for each, target in entries.items())])
        for kind, entries in plugins.items()
    ]
    (info / "entry_points.txt").write_text("\n\n".join(groups) + "\n")
    for module, text in (modules or {}).items():
        (directory / f"{module}.py").write_text(text)
    return directory
