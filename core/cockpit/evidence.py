"""`cockpit.evidence`: why a version serves, and whether a bundle is what was signed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.evidence.proof import Bundle, Proof, SignedVersion
    from ..domain.evidence.story import Story
    from ..domain.evidence.why import WhyLine
    from ..domain.models import Version
    from ..evidence.subject import Subject


class Evidence:
    """Reads what is recorded of versions, and signs them; nothing here changes what serves."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def story(self, version: Version) -> Story:
        """Returns everything that is recorded of a version."""
        from ..evidence.story import told

        return told(self._named(version))

    def why(self, version: Version) -> Sequence[WhyLine]:
        """Returns why a version serves, in about ten lines."""
        from ..evidence.why import why

        return why(self._named(version))

    def served(self, environment: str, at: float | None) -> Version:
        """Returns the version that an environment served at a time (seconds since the epoch; None for now). Raises
        NotFound if there was none."""
        return self._served(environment, at).version

    def fetch(self, version: Version) -> None:
        """Fetches a version's files from the registry where they are not on this machine, so that a bundle names them.
        Loads MLflow if the store is embedded."""
        from ..registry import open_registry
        from ..registry.files import directory, present

        project = self._opened.config
        place = directory(project.state, version.model, version.version)
        if present(place) is None:
            self._opened.require_own()
            registry = open_registry(project.mlflow, project.state)
            try:
                registry.fetch(version.model, version.version, place)
            finally:
                registry.close()

    def write(
        self, version: Version, directory: Path | None, base: Path, *, key: Path | None = None, sign: bool = True
    ) -> Bundle:
        """Writes a version's bundle into a new directory (default: one named after it in `base`)."""
        return self._write(self._named(version), directory, base, key, sign)

    def write_served(
        self,
        environment: str,
        at: float | None,
        directory: Path | None,
        base: Path,
        *,
        key: Path | None = None,
        sign: bool = True,
    ) -> Bundle:
        """Does the same for what an environment served at a time."""
        return self._write(self._served(environment, at), directory, base, key, sign)

    def release(
        self,
        version: Version,
        *,
        key: Path | None = None,
        why: str = "",
        force: bool = False,
        images: Collection[str] = (),
    ) -> SignedVersion:
        """Signs a version, so that it may be served where `verify: required` is. Refused for one that no gate has
        passed, unless `force` and a reason are given. `images` are more than this machine knows, by their SHA-256.
        Loads MLflow if the store is embedded."""
        from ..evidence.release import release
        from ..identity.account import whoami

        self._opened.require_own()
        return release(self._named(version), key, who=whoami(), why=why, force=force, more=images)

    def verify(
        self, path: Path, *, signers: Path | None = None, revoked: Path | None = None, model: Path | None = None
    ) -> Proof:
        """Returns what `verify_evidence` does, compared with this project's files and audit too."""
        from ..evidence.verify import verify

        evidence = self._opened.config.evidence
        signers, revoked = signers or self._named_file(evidence.signers), revoked or self._named_file(evidence.revoked)
        proof = verify(path, signers=signers, revoked=revoked, model=model)
        if proof.version is None:
            return proof
        found = self._opened.journal.versions.get(proof.model, proof.version)
        if found is None:
            return proof
        return verify(path, signers=signers, revoked=revoked, model=model, here=self._named(found))

    def _named_file(self, name: str) -> Path | None:
        return self._opened.home / name if name else None

    def _named(self, version: Version) -> Subject:
        from ..evidence.subject import named

        return named(self._opened.config, self._opened.journal, version)

    def _served(self, environment: str, at: float | None) -> Subject:
        from ..evidence.subject import served

        return served(self._opened.config, self._opened.journal, environment, at)

    def _write(self, subject: Subject, directory: Path | None, base: Path, key: Path | None, sign: bool) -> Bundle:
        from ..evidence.bundle import default_name, write

        return write(subject, directory or base / default_name(subject), key=key, sign=sign)
