"""Formats of single texts: paths, branch names, cron lines. Each function returns what is wrong with a text, or ""
if nothing is."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_MODEL_LETTERS = 200
_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|/\.|\.lock(/|$)|[./]$|^@$")


def bad_path(text: str) -> str:
    """Checks a path of the project. Any other could not be carried by the cache and the worktree of a pushed commit."""
    path = PurePosixPath(text)
    if path.is_absolute() or text.startswith("~"):
        return "is not relative to the project's directory"
    if ".." in path.parts:
        return "leads out of the project's directory"
    if ".podium" in path.parts or ".git" in path.parts:
        return "is Podium's or git's own"
    return "is more than one line" if "\n" in text else ""


def bad_model(text: str) -> str:
    """Checks the name of a registered model, in which `${{ }}` stands for anything, by MLflow's own rules."""
    plain = re.sub(r"\$\{\{.*?\}\}", "x", text)
    if "/" in plain or ":" in plain:
        return "is not a model's name (no `/` or `:`)"
    if not plain.strip() or plain in (".", "..") or len(plain) > _MODEL_LETTERS:
        return "is not a model's name"
    return "is more than one line" if "\n" in plain else ""


def bad_table(text: str) -> str:
    """Checks the name of a table: a path of the project, or `dataset:NAME`."""
    if not text.startswith("dataset:"):
        return bad_path(text)
    return "" if text.removeprefix("dataset:").strip() else "names no dataset: write dataset:NAME"


def bad_schema_file(text: str) -> str:
    """Checks a place in a Python file of the project: `FILE.py:NAME`."""
    file, colon, name = text.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        return "is not FILE.py:NAME"
    return bad_path(file)


def bad_local(text: str) -> str:
    """Checks a path on this machine, inside the project or not (keys and certificates do not belong in a project)."""
    return "is more than one line" if "\n" in text else ""


def bad_branch(text: str) -> str:
    return "cannot be the name of a branch (patterns are not read here)" if _BRANCH.search(text) else ""


def bad_pattern(text: str) -> str:
    """Checks a pattern of names of branches or tags, in which `*` and `?` stand for anything."""
    plain = text.replace("*", "x").replace("?", "x")
    return "cannot be the pattern of a branch or tag (`*` and `?` stand for anything)" if _BRANCH.search(plain) else ""


def bad_remote(text: str) -> str:
    """Checks an address that git is given. A credential in it would be seen by everybody who lists processes."""
    if text.startswith("-") or any(char in text for char in "\0\n\r") or "::" in text.split("/")[0]:
        return "is not the name of a remote, an address or a path"
    if re.match(r"https?://[^/]*@", text):
        return "holds a credential: name the host as `git.host`, with its `token`"
    return ""


def bad_reason(text: str) -> str:
    """Checks a reason that people read later: `true` says that there is a reason, but not which."""
    if text.strip().lower() in ("true", "false", "yes", "no", "on", "off") or not any(char.isalpha() for char in text):
        return "is not a reason: write why it is right to do it, or leave the key out"
    return ""


def bad_metric(text: str) -> str:
    """Checks a metric's name. One with a colon is a function of the project: a path, and the function's name."""
    path, colon, function = text.rpartition(":")
    if not colon:
        return ""
    if not path.endswith(".py") or not function.isidentifier():
        return "is neither a metric's name nor a function such as `metrics.py:profit`"
    return bad_path(path)


def bad_schedule(text: str) -> str:
    from datetime import UTC, datetime

    from cronsim import CronSim, CronSimError

    if len(text.split()) != 5:
        return "is not a cron line: five fields, minute hour day month weekday"
    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
    except StopIteration:
        return "is a cron line that never comes"
    except (CronSimError, ValueError) as error:
        return f"is not a cron line: {error}" if str(error) else "is not a cron line"
    return ""


def bad_shown_address(text: str) -> str:
    """Checks an address that stands in the file: whatever has a name, a password or a query may hold a secret."""
    return "holds what may be a secret" if "@" in text or "?" in text else ""


def bad_listening(text: str) -> str:
    """Checks where something listens."""
    address, colon, port = text.rpartition(":")
    known = port.isascii() and port.isdecimal() and int(port) < 1 << 16 and (bool(address) or not colon)
    return "" if known else "is neither a port nor ADDRESS:PORT"


def bad_argument(text: str) -> str:
    """Checks an argument of a command: everybody who lists processes sees it."""
    return "is not filled in: everybody would see it in the list of processes; use `env`" if "${" in text else ""
