"""Commits that ask for no run, in the words of the three hosts, in any case."""

from __future__ import annotations

import re

# GitHub and Gitea: [skip ci], [ci skip], [no ci], [skip actions], [actions skip]; GitLab: the first two, with a hyphen
# too; `***NO_CI***` is older than all of them.
_IN_THE_MESSAGE = re.compile(
    r"\[(?:skip[ -]ci|ci[ -]skip|no[ -]ci|skip actions|actions skip)\]|\*{3}\s*NO_CI\s*\*{3}", re.IGNORECASE
)
_TRAILER = re.compile(r"^skip-checks:[ \t]*true[ \t]*$", re.IGNORECASE | re.MULTILINE)


def skip_words(message: str) -> str:
    """Returns what in a commit's message says that nothing should run for it; empty if nothing does."""
    found = _IN_THE_MESSAGE.search(message) or _TRAILER.search(message)
    return " ".join(found.group().split()) if found else ""
