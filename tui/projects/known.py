"""The projects that a person may go to: those that were named on the command line, those of their own list
(`$XDG_CONFIG_HOME/podium/projects.yaml`), and those that one agent watches together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...core.cockpit import several
from ...core.domain.projects import ProjectGlance
from ...core.errors import ConfigError, Problem
from ..personal.settings import place, problem_at, read_yaml

FILE = "projects.yaml"


def listed(file: Path | None = None) -> tuple[Path, ...]:
    """Returns the directories of a person's own list. Raises ConfigError with every entry that is none."""
    file = file or place(FILE)
    root = read_yaml(file) if file is not None else None
    if root is None:
        return ()
    if not isinstance(root.value, list) or root.tag != "tag:yaml.org,2002:seq":
        raise ConfigError((Problem(str(file), 1, 1, "", "must be a list of directories, as in `- ~/work/flights`"),))
    found: list[Path] = []
    problems: list[Problem] = []
    for node in root.value:
        text = node.value if isinstance(node.value, str) else ""
        path = Path(text).expanduser() if text else Path()
        if path.is_absolute():
            found.append(path)
        else:
            problems.append(
                problem_at(str(file), node.start_mark, "", f"{text!r} is no absolute directory", "/… or ~/…")
            )
    if problems:
        raise ConfigError(tuple(problems))
    return tuple(found)


def together(first: Sequence[Path]) -> tuple[Path, ...]:
    """Returns all projects, each once: those that were named first, then the others by their directory. Raises what
    `listed` does."""
    others = sorted({*listed(), *several.listed()})
    return tuple(dict.fromkeys(each.resolve() for each in (*first, *others)))


def labels(homes: Sequence[Path], glances: Mapping[Path, ProjectGlance]) -> Mapping[Path, str]:
    """Returns what names each project: its name, or its directory where another one has that name too."""
    names = {home: glances[home].name if home in glances else home.name for home in homes}
    many = Counter(names.values())
    return {home: name if many[name] == 1 else str(home) for home, name in names.items()}
