"""A person's own settings: YAML files in `$XDG_CONFIG_HOME/podium`, whose mistakes are named with their line."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import ConfigError, Problem

if TYPE_CHECKING:
    from yaml import Node

MAX_LETTERS = 65_536
_TRUE = ("true", "yes", "on")


def place(name: str) -> Path | None:
    """Returns where a file of settings is; None for an account that has no home directory."""
    try:
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    except RuntimeError:
        return None
    return Path(base) / "podium" / name


def read_yaml(file: Path) -> Node | None:
    """Returns the file's one value; None for a file that is empty, or not there. Raises ConfigError for one that cannot
    be read, or is no YAML."""
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        if not os.path.exists(file):  # noqa: PTH110 - nothing is known of a home that this account may not look into
            return None
        raise ConfigError((Problem(str(file), 0, 0, "", f"cannot be read: {error}"),)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError((Problem(str(file), 0, 0, "", f"cannot be read: {error}"),)) from error
    return parse_yaml(text, str(file))


def parse_yaml(text: str, file: str) -> Node | None:
    """Returns the one value of a text, None for an empty one. Raises ConfigError where it is no YAML."""
    import yaml  # only for those who have such a file

    try:
        return yaml.compose(text[:MAX_LETTERS], Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError((problem_at(file, mark, "", f"is not YAML: {error}"),)) from error


def pairs_of(node: Node) -> Sequence[tuple[Node, Node]] | None:
    """Returns the keys and values of a mapping; None for anything else."""
    return node.value if node.tag == "tag:yaml.org,2002:map" and isinstance(node.value, list) else None


def truth(node: Node) -> bool | None:
    """Returns what a value says, true or false; None if it says something else."""
    return str(node.value).lower() in _TRUE if node.tag == "tag:yaml.org,2002:bool" else None


def nearest(name: str, known: Collection[str], otherwise: str = "") -> str:
    """Returns the hint for a name that is not known: the one that it is nearest to, else `otherwise`, else all."""
    import difflib  # only for mistakes

    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else otherwise or f"there are: {', '.join(known)}"


def problem_at(file: str, mark: Any, key: str, words: str, hint: str = "") -> Problem:
    """Returns what is wrong at a mark of a file."""
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    return Problem(file, line, column, key, words, hint)
