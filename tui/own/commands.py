"""A person's own commands: `$XDG_CONFIG_HOME/podium/commands.yaml`, a mapping of name -> what it does. Checked as a
whole and fatally, as their keys are: what is wrong is named with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.domain.frozen import Frozen
from ...core.domain.text.durations import parse_duration
from ...core.errors import ConfigError, Problem
from ..actions import Action, Danger
from ..context import Context
from ..keymap import key_named
from ..keys import Keymap, shown_key
from ..personal.settings import nearest, pairs_of, parse_yaml, place, problem_at, read_yaml, truth
from ..screens import BY_NAME
from .values import KNOWN, missing, named_in

if TYPE_CHECKING:
    from yaml import Node

FILE = "commands.yaml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,39}")
_TIMEOUT = 600.0  # seconds for one in the background
_FIELDS = ("command", "key", "description", "screens", "confirm", "dangerous", "background", "pause", "timeout")


class OwnCommand(Frozen):
    """A shell command of a person's own."""

    name: str
    command: str
    description: str = ""
    screens: tuple[str, ...] = ()
    """Where it is; empty: everywhere."""
    key: str = ""
    confirm: bool = False
    """Whether it is asked for first."""
    dangerous: bool = False
    """Whether it is asked for, refused in read-only mode, and in a protected environment by that one's name."""
    background: bool = False
    """Whether it runs without the terminal."""
    pause: bool = True
    """Whether the terminal stays the command's until enter is pressed."""
    timeout: float = _TIMEOUT
    """Seconds after which one in the background is killed."""

    @property
    def action(self) -> Action:
        """Returns it as an action beside the others."""
        return Action(
            id=f"own:{self.name}",
            keys=(self.key,) if self.key else (),
            label=self.name,
            help=self.description or self.command,
            group="Yours",
            refuse=self._refuse(),
            danger=Danger.CHANGE if self.dangerous else Danger.NONE,
            screens=self.screens,
            own=self,
        )

    def _refuse(self) -> Callable[[Context], str]:
        return lambda context: missing(self.command, context)


def load(keymap: Keymap, file: Path | None = None) -> tuple[OwnCommand, ...]:
    """Returns a person's commands. `keymap` has the keys that are taken. Raises ConfigError with every problem."""
    file = file or place(FILE)
    root = read_yaml(file) if file is not None else None
    return () if root is None else _parsed(root, keymap, str(file))


def parse(text: str, keymap: Keymap, file: str = FILE) -> tuple[OwnCommand, ...]:
    """Returns the commands that a text has. Raises ConfigError with every problem found."""
    root = parse_yaml(text, file)
    return () if root is None else _parsed(root, keymap, file)


def _parsed(root: Node, keymap: Keymap, file: str) -> tuple[OwnCommand, ...]:
    pairs = pairs_of(root)
    if pairs is None:
        words = "must be a mapping of names to commands, as in `notebook: {command: jupyter lab}`"
        raise ConfigError((Problem(file, 1, 1, "", words),))
    problems: list[Problem] = []
    found: list[OwnCommand] = []
    taken = dict(keymap.bindings())
    for name_node, node in pairs:
        reading = _Reading(file, str(name_node.value), name_node.start_mark, problems)
        command = reading.command(node)
        if command is None:
            continue
        if any(each.name.casefold() == command.name.casefold() for each in found):
            reading.wrong(name_node.start_mark, "is given twice")
        if command.key in taken:
            whose = taken[command.key]
            reading.wrong(reading.marks.get("key"), f"{shown_key(command.key)!r} is already the key of {whose}")
        elif command.key:
            taken[command.key] = command.name
        found.append(command)
    if problems:
        raise ConfigError(tuple(problems))
    return tuple(found)


class _Reading:
    """Reads one command, and notes what is wrong with it."""

    def __init__(self, file: str, name: str, mark: Any, problems: list[Problem]) -> None:
        self._file, self._name, self._mark, self._problems = file, name, mark, problems
        self.marks: dict[str, Any] = {}

    def wrong(self, mark: Any, words: str, hint: str = "") -> None:
        self._problems.append(problem_at(self._file, mark or self._mark, self._name, words, hint))

    def command(self, node: Node) -> OwnCommand | None:
        """Returns the command; None if nothing can be made of it."""
        before = len(self._problems)
        if not _NAME.fullmatch(self._name):
            self.wrong(None, "is no name: letters, digits, spaces, _ and -, at most 40")
        pairs = pairs_of(node)
        if pairs is None:
            self.wrong(node.start_mark, "must be a mapping", "notebook: {command: jupyter lab, key: ctrl+n}")
            return None
        fields = {str(key.value): value for key, value in pairs}
        self.marks = {str(key.value): value.start_mark for key, value in pairs}
        for key, _ in pairs:
            if key.value not in _FIELDS:
                self.wrong(key.start_mark, f"has no field {key.value!r}", nearest(str(key.value), _FIELDS))
        made = OwnCommand(
            self._name,
            self._command_of(fields),
            self._text(fields, "description"),
            self._screens(fields),
            self._key(fields),
            *(self._truth(fields, each, each == "pause") for each in ("confirm", "dangerous", "background", "pause")),
            self._timeout(fields),
        )
        return made if len(self._problems) == before else None

    def _command_of(self, fields: Mapping[str, Node]) -> str:
        text = self._text(fields, "command")
        if not text.strip():
            self.wrong(self.marks.get("command"), "has no command")
        for name in named_in(text):
            if name not in KNOWN:
                self.wrong(self.marks.get("command"), f"names ${name}, which nothing has", nearest(name, KNOWN))
        return text

    def _text(self, fields: Mapping[str, Node], name: str) -> str:
        node = fields.get(name)
        if node is not None and not isinstance(node.value, str):
            self.wrong(node.start_mark, f"{name} must be a text")
            return ""
        return "" if node is None else node.value

    def _truth(self, fields: Mapping[str, Node], name: str, default: bool) -> bool:
        node = fields.get(name)
        found = default if node is None else truth(node)
        if found is None:
            self.wrong(self.marks.get(name), f"{name} must be true or false")
        return bool(found)

    def _screens(self, fields: Mapping[str, Node]) -> tuple[str, ...]:
        node = fields.get("screens")
        if node is None:
            return ()
        nodes: Sequence[Node] = node.value if isinstance(node.value, list) else [node]
        names = [str(each.value) for each in nodes]
        for each, name in zip(nodes, names, strict=True):
            if name not in BY_NAME:
                self.wrong(each.start_mark, f"there is no screen {name!r}", nearest(name, BY_NAME))
        return tuple(names)

    def _key(self, fields: Mapping[str, Node]) -> str:
        text = self._text(fields, "key")
        try:
            return key_named(text) if text else ""
        except ValueError as error:
            self.wrong(self.marks.get("key"), str(error))
            return ""

    def _timeout(self, fields: Mapping[str, Node]) -> float:
        text = self._text(fields, "timeout")
        seconds = parse_duration(text) if text else _TIMEOUT
        if not seconds:
            self.wrong(self.marks.get("timeout"), f"{text!r} is no time", "30s, 10m, 2h")
        return seconds or _TIMEOUT
