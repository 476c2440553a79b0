"""A person's own themes: `$XDG_CONFIG_HOME/podium/themes.yaml`, colours by role over one of ours, and which theme the
cockpit opens with. Checked as a whole and fatally, as their keys are: what is wrong is named with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.domain.frozen import Frozen
from ...core.errors import ConfigError, Problem
from ..themes.colours import COLOURS, DARK, GROUNDS, TEXTS, Colours, contrast
from .settings import nearest, pairs_of, parse_yaml, place, problem_at, read_yaml

if TYPE_CHECKING:
    from yaml import Node

FILE = "themes.yaml"
LEAST_CONTRAST = 4.5  # WCAG's AA, for text of an ordinary size
_USE = "use"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_ROLES = tuple(each.name for each in fields(Colours))
_KEYS = ("base", *_ROLES)


class OwnTheme(Frozen):
    """A theme of a person's own."""

    name: str
    base: str
    """The one of ours whose colours it has where it names none."""
    colours: Colours
    warnings: tuple[str, ...] = ()
    """What can hardly be read in it, each with its place."""


class OwnThemes(Frozen):
    """What a person has written about themes."""

    themes: tuple[OwnTheme, ...] = ()
    use: str = DARK
    """The theme that the cockpit opens with."""

    @property
    def names(self) -> tuple[str, ...]:
        """Returns the names of all that there are, ours first."""
        return (*COLOURS, *(each.name for each in self.themes))


def load(file: Path | None = None) -> OwnThemes:
    """Returns a person's own themes. Raises ConfigError with every problem found."""
    file = file or place(FILE)
    root = read_yaml(file) if file is not None else None
    return OwnThemes() if root is None else _Reading(str(file)).all(root)


def parse(text: str, file: str = FILE) -> OwnThemes:
    """Reads a person's own themes. Raises ConfigError with every problem found."""
    root = parse_yaml(text, file)
    return OwnThemes() if root is None else _Reading(file).all(root)


class _Reading:
    """One reading of the file, with what was found wrong in it."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._problems: list[Problem] = []

    def all(self, root: Node) -> OwnThemes:
        pairs = pairs_of(root)
        if pairs is None:
            hint = f"{_USE}: NAME, and NAME: {{base: dark, accent: '#ffaa00'}}"
            raise ConfigError((Problem(self._file, 1, 1, "", "must be a mapping of names to themes", hint),))
        made: dict[str, OwnTheme] = {}
        use: Node | None = None
        for name_node, node in pairs:
            name = str(name_node.value)
            if name == _USE and not isinstance(node.value, list):
                use = node
            elif not _NAME.fullmatch(name):
                self._wrong(name_node, name, "is no name of a theme", "letters, digits, - and _, at most 40")
            elif name in COLOURS:
                self._wrong(name_node, name, "is one of Podium's own", f"another name, with `base: {name}`")
            elif name in made:
                self._wrong(name_node, name, "is given twice")
            else:
                made[name] = self._theme(name, node)
        found = OwnThemes(tuple(made.values()))
        if use is not None:
            found = replace(found, use=str(use.value))
            if found.use not in found.names:
                self._wrong(use, _USE, f"there is no theme {found.use!r}", nearest(found.use, found.names))
        if self._problems:
            raise ConfigError(tuple(self._problems))
        return found

    def _theme(self, name: str, node: Node) -> OwnTheme:
        pairs = pairs_of(node)
        if pairs is None:
            self._wrong(node, name, "must be a mapping of roles to colours", "accent: '#ffaa00'")
            return OwnTheme(name, DARK, COLOURS[DARK])
        base, given, marks = DARK, {}, {}
        for key_node, value in pairs:
            key, text = str(key_node.value), str(value.value)
            if key not in _KEYS:
                self._wrong(key_node, name, f"has no colour {key!r}", nearest(key, _KEYS))
            elif key in marks:
                self._wrong(key_node, name, f"{key} is given twice")
            elif key == "base":
                marks[key] = value.start_mark
                base = text if text in COLOURS else DARK
                if text not in COLOURS:
                    self._wrong(value, name, f"there is no base {text!r}", nearest(text, COLOURS))
            else:
                marks[key] = key_node.start_mark
                given[key] = self._colour(name, key, value)
        colours = replace(COLOURS[base], **{role: colour for role, colour in given.items() if colour})
        return OwnTheme(name, base, colours, self._warnings(colours, marks))

    def _colour(self, name: str, role: str, node: Node) -> str:
        text = str(node.value)
        if isinstance(node.value, list) or not _COLOUR.fullmatch(text):
            # YAML takes what stands behind an unquoted # for a comment.
            unquoted = node.tag == "tag:yaml.org,2002:null"
            words = f"{role} has no value" if unquoted else f"{role}: {text!r} is no colour"
            self._wrong(node, name, words, "in quotes, '#rrggbb' or '#rgb'")
            return ""
        digits = text[1:].lower()
        return "#" + (digits if len(digits) == 6 else "".join(each * 2 for each in digits))

    def _warnings(self, colours: Colours, marks: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns which text of a theme can hardly be read, as far as the person chose one of the two colours. Frames,
        and what cannot be done, may be faint."""
        found: list[str] = []
        for role in TEXTS:
            for ground in ("background", *GROUNDS):
                mark = marks.get(role) or marks.get(ground)
                stands = contrast(getattr(colours, role), getattr(colours, ground))
                if mark and role != "faint" and stands < LEAST_CONTRAST and (ground in _READ or role == "text"):
                    line = f"{Path(self._file).name}:{mark.line + 1}"
                    found.append(f"{role} on {ground} has a contrast of {stands:.1f}, under {LEAST_CONTRAST} ({line})")
        return tuple(found)

    def _wrong(self, node: Node, key: str, words: str, hint: str = "") -> None:
        self._problems.append(problem_at(self._file, node.start_mark, key, words, hint))


# What every colour of text stands on; on the others text does, and a word of another colour now and then.
_READ = ("background", "surface")
