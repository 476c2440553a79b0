"""The seeded project in a Git repository of its own, with commits whose names never change."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.runner.scale import scaled
from tests.scm.support import ENVIRONMENT

from .seed import COMMITS, NOW, SeededCockpit

_WORK = (
    ("A first model of delays", "rounds = 40\n", ""),
    ("Deeper trees", "rounds = 60\ndepth = 8\n", "v0.2"),
    ("Learn until July, as the carriers asked", "rounds = 60\ndepth = 8\nuntil = 2013-07\n", ""),
    ("Try a higher rate", "rounds = 60\ndepth = 8\nuntil = 2013-07\nrate = 0.1\n", ""),
    ("Say in the README what a delay is", "", ""),
)


def _git(home: Path, *arguments: str, at: float = NOW) -> str:
    date = {f"GIT_{who}_DATE": f"{int(at)} +0000" for who in ("AUTHOR", "COMMITTER")}
    people = {"GIT_AUTHOR_NAME": "Anna Example", "GIT_COMMITTER_NAME": "Anna Example"}
    done = subprocess.run(
        ["git", *arguments],
        cwd=home,
        env=ENVIRONMENT | people | date,
        capture_output=True,
        text=True,
        timeout=scaled(30),
        check=True,
    )
    return done.stdout.strip()


def seed_repository(cockpit: SeededCockpit) -> list[str]:
    """Commits the project, and makes runs and versions those of the commits; returns their hashes, oldest first."""
    home = cockpit.home
    _git(home, "init", "-q", "-b", "main")
    (home / ".git" / "info" / "exclude").write_text(".podium/\n")
    made: list[str] = []
    for number, (subject, text, tag) in enumerate(_WORK):
        at = NOW - 86_400 * (len(_WORK) - number)
        (home / "params.toml").write_text(text or "rounds = 60\ndepth = 8\nuntil = 2013-07\nrate = 0.1\n")
        if not text:
            (home / "README.md").write_text("A delay is more than 30 minutes.\n")
        _git(home, "add", "params.toml", *([] if text else ["README.md"]), at=at)
        _git(home, "commit", "-qm", subject, at=at)
        made.append(_git(home, "rev-parse", "HEAD"))
        if tag:
            _git(home, "tag", tag, at=at)
    _git(home, "branch", "deeper", made[1])
    database = cockpit.journal._database
    for old, new in zip(COMMITS, made, strict=False):
        for table in ("runs", "versions", "deployments"):
            database.run(f'UPDATE {table} SET "commit" = ? WHERE "commit" = ?', (new, old))
    return made
