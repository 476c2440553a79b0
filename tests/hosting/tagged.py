"""A scene with a repository, a bare one that it pushes to, and versions in its journal's snapshot."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from podium.core.domain.models import Version
from podium.core.hosting.tagging import Recorded, record
from podium.core.scm.repository import Repository

from tests.hosting.scene import Scene


class Tagged(Scene):
    def __init__(self, home: Path, *, tell: str = "") -> None:
        super().__init__(home, tell=tell)
        text = (home / "podium.yaml").read_text().replace("git: {host", "git: {tags: true, host")
        (home / "podium.yaml").write_text(text)
        (home / ".gitignore").write_text(".podium/\nhost.json\n")
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Mia")
        self.git("config", "user.email", "mia@example.com")
        self.clock = time.time() - 10_000
        self.bare = home.parent / f"{home.name}.git"
        subprocess.run(["git", "init", "-q", "--bare", str(self.bare)], check=True)

    def git(self, *arguments: str, where: Path | None = None) -> str:
        done = subprocess.run(["git", *arguments], cwd=where or self.home, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")
        return self.git("rev-parse", "HEAD")

    def version(self, number: int, commit: str = "", **more: object) -> Version:
        """Registers a version, a minute after what happened last."""
        self.clock += 60
        made = Version(self.model, number, self.clock, commit=commit or self.commit(), **more)  # type: ignore[arg-type]
        self.journal.versions.update(made)
        return made

    def promote(self, version: Version) -> None:
        """Writes a row of the ledger, a minute after what happened last."""
        self.clock += 60
        row = self.deploy(version.version, version.commit)
        self.journal._database.run(
            "UPDATE deployments SET at = ?, ended = ?, why = 'better @mia | `x`' WHERE id = ?",
            (self.clock - 5, self.clock, row.id),
        )

    @property
    def repository(self) -> Repository:
        return Repository.open(self.home)

    def record(self, *, push: bool = False) -> Recorded:
        def pushed(ref: str, sha: str) -> bool:
            done = subprocess.run(
                ["git", "push", "-q", f"--force-with-lease={ref}:", str(self.bare), f"{sha}:{ref}"],
                cwd=self.home, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0 or "stale info" in done.stderr, done.stderr
            return done.returncode == 0

        return record(self.project, self.journal, self.repository, pushed if push else None)

    def tags(self, where: Path | None = None) -> list[str]:
        return sorted(self.git("tag", where=where).splitlines())
