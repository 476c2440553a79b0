"""The run's directory as a package of the cluster: a zip, named by its content and uploaded once."""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from pathlib import Path

from ....beneath import Directory, walk
from ....errors import RunFailed
from .jobs import Jobs

# As with containers on other machines: caches, histories, environments of this machine's own Python.
EXCLUDED_NAMES = frozenset(
    {
        ".git", ".podium", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".ipynb_checkpoints",
        ".DS_Store", ".venv", "venv", "node_modules",
    }
)  # fmt: skip
# Ray keeps packages in the memory of its head, and takes no larger ones.
MAX_BYTES = 500 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)


def uploaded(jobs: Jobs, root: Path) -> tuple[str, int]:
    """Returns the package's address for `working_dir`, and the bytes that were sent for it: 0 if it was there. Raises
    RunFailed for a directory that is too large."""
    content = packed(root)
    name = f"_ray_pkg_{hashlib.sha256(content).hexdigest()[:40]}.zip"
    if jobs.has_package(name):
        return f"gcs://{name}", 0
    jobs.upload(name, content)
    return f"gcs://{name}", len(content)


def packed(root: Path) -> bytes:
    """Returns the zip: the same bytes for the same files, whatever their times. Links stay links."""
    made = io.BytesIO()
    with Directory.open(root) as top, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        # In two passes: what was found can be opened only until the next is looked for, and the order has to be ours.
        files: dict[str, int] = {}
        links: dict[str, str] = {}
        for found in walk(top, skip=EXCLUDED_NAMES.__contains__, whole=True):
            if found.is_file:
                files[found.path] = stat.S_IMODE(found.status.st_mode)
            elif found.is_link:
                links[found.path] = found.target()
        for path in sorted(files):
            entry = _entry(path, stat.S_IFREG | files[path])
            with top.read_below(path, links=False) as stream, archive.open(entry, "w", force_zip64=True) as into:
                while piece := stream.read(1 << 20):
                    into.write(piece)
                    _ensure_small(made.tell())
        for path in sorted(links):
            archive.writestr(_entry(path, stat.S_IFLNK | 0o777), links[path])
        if not files and not links:
            archive.writestr(_entry(".podium-empty", stat.S_IFREG | 0o644), "")
    return made.getvalue()


def _entry(path: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _EPOCH)
    entry.external_attr = mode << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _ensure_small(size: int) -> None:
    if size > MAX_BYTES:
        raise RunFailed(
            f"the run's directory has more than {MAX_BYTES >> 20} MiB, which Ray does not take",
            hint="keep large files out of it, or share it with the nodes: ray: {shared: true}",
        )
