"""Writes what an environment serves as files of another engine."""

from __future__ import annotations

from pathlib import Path

from ..domain.engines.exports import Exported, ExportFormat
from ..domain.project import Project
from ..errors import Refused, Unreachable
from ..journal import Journal
from ..replacing import replace_file
from . import compose, kubernetes
from .facts import exported
from .writing import WRITTEN

_WRITERS = {ExportFormat.COMPOSE: compose, ExportFormat.KUBERNETES: kubernetes}
# Programs in containers read them as users of their own; nothing in them is a secret.
_MODE = 0o644


def write(project: Project, journal: Journal, environment: str, form: ExportFormat, directory: Path) -> Exported:
    """Writes the files of an environment into a directory, which is made if it does not exist. Files that an export has
    written are replaced. Raises what `facts.exported` does; Refused if a file of the same name is somebody else's, and
    Unreachable if one cannot be written."""
    facts = exported(project, journal, environment, form)
    writer = _WRITERS[form]
    texts = writer.files(facts)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in texts:
            _ensure_ours(directory / name)
        for name, text in texts.items():
            replace_file(directory / name, text)
            (directory / name).chmod(_MODE)
    except OSError as error:
        raise Unreachable(
            f"{directory} cannot be written: {error.strerror or error}", hint="name another directory with --to"
        ) from error
    return Exported(
        environment,
        form,
        str(directory),
        tuple(texts),
        tuple(one.version for one in facts.served),
        facts.left_out,
        writer.commands(facts),
    )


def _ensure_ours(path: Path) -> None:
    """Raises Refused if the file is there and no export wrote it."""
    if not path.is_symlink() and not path.exists():
        return
    if path.is_file() and not path.is_symlink():
        with path.open("rb") as file:
            if file.readline().startswith(WRITTEN.encode()):
                return
    raise Refused(f"{path} is not of an export, and stays", hint="move it away, or name another directory with --to")
