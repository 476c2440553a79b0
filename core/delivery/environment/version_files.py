"""The files of a model's versions on this machine."""

from __future__ import annotations

from pathlib import Path

from ...domain.project import Project


class VersionFiles:
    """Where the versions' files are, and whether they are here."""

    def __init__(self, project: Project, model: str) -> None:
        self._project = project
        self._model = model

    def directory(self, version: int) -> Path:
        """Returns the directory that the version's files are fetched to."""
        from ...registry.files import directory

        return directory(self._project.state, self._model, version)

    def digest(self, version: int) -> str | None:
        """Returns the digest of the version's files where all of them are here, else None."""
        from ...registry.files import present

        return present(self.directory(version))
