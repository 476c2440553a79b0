"""The words and the commands of a shell text, and what a shell puts into them before it runs them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

SPAN, UNKNOWN, SPLIT = "\0", "\1", "\2"
"""Stand in a word for a value, for what only a shell can know, and for values that may become several words."""

ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^=]*)?\+?=", re.DOTALL)
DECLARING = frozenset({"declare", "typeset", "local", "export", "readonly"})
_KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "while", "until", "do", "!", "{", "time", "}", "fi", "done", "esac"}
)
_PREFIXES = frozenset({"command", "builtin", "exec", "-p", "--"})
_LOOPS = frozenset({"for", "select", "case"})
_COMPUTING = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})


class Node:
    """Something that values flow through: what a command reads, or what a group of commands writes."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class Flow:
    """What a shell puts into a word: the values of variables, or what commands write."""

    names: tuple[str, ...] = ()
    """The variables, or what stands for parameters (`Script.parameters`)."""
    commands: list[Command] = field(default_factory=list["Command"])
    """Those whose output it is."""
    splits: bool = False
    """Whether it may become several words."""
    whole: bool = False
    """Whether it is `"$@"` or `"${NAME[@]}"`, all of whose words stay as they are."""
    file: str = ""
    """`<` or `>` for a process substitution: the word is the name of a file that is read or written."""
    sets: str = ""
    """The variable that `${NAME:=…}` sets."""
    default: str = ""
    """What `${NAME:-…}` is without the variable."""

    def mark(self, reached: Container[object]) -> str:
        """Returns what stands for it in the text of a word; `reached` is what values flow into."""
        if self not in reached or self.file:
            return UNKNOWN
        return SPLIT if self.splits else SPAN


@dataclass(slots=True, eq=False)
class Word:
    """A word without its quotes. `values` are the positions of the values in it, each a SPAN in `text`."""

    parts: list[str | Flow] = field(default_factory=list[str | Flow])
    values: list[int] = field(default_factory=list[int])
    text: str = ""
    """The parts together; set when the word has ended, and again when it is known what values flow into it."""

    def joined(self, reached: Container[object] = ()) -> str:
        self.text = "".join(part if isinstance(part, str) else part.mark(reached) for part in self.parts)
        return self.text

    def flows(self) -> Iterator[Flow]:
        return (part for part in self.parts if isinstance(part, Flow))

    @property
    def base(self) -> str:
        """The name of the program, if it is one. What only a shell can know may be nothing."""
        return self.text.rpartition("/")[2].replace(UNKNOWN, "")

    @property
    def vanishes(self) -> bool:
        """Tells whether it may be no word at all."""
        parts = [part for part in self.parts if part]
        nothing = all(part.splits if isinstance(part, Flow) else part == UNKNOWN for part in parts)
        return bool(parts) and nothing and SPLIT not in self.text

    @property
    def only(self) -> Flow | None:
        """What is put into it, if it has nothing else."""
        parts = [part for part in self.parts if part]
        return parts[0] if len(parts) == 1 and isinstance(parts[0], Flow) else None

    @property
    def whole(self) -> str:
        """The name of the parameters or of the array if it is nothing but `"$@"` or `"${NAME[@]}"`; otherwise empty."""
        flow = self.only
        return flow.names[0] if flow is not None and flow.whole else ""

    @property
    def file(self) -> str:
        """The file that it names, as it is written; empty if that cannot be told."""
        flows = list(self.flows())
        if self.values or any(len(flow.names) != 1 or flow.commands for flow in flows):
            return ""
        written = "".join(part if isinstance(part, str) else f"${part.names[0]}" for part in self.parts)
        return f"file {written.removeprefix('./')}"


@dataclass(slots=True, eq=False)
class Command:
    """A simple command, or what stands behind a subshell."""

    words: list[Word] = field(default_factory=list[Word])
    """Those that have ended, without redirections."""
    redirects: list[tuple[str, Word]] = field(default_factory=list[tuple[str, Word]])
    """The targets of its redirections, each behind its sign; for `<<` the here-document itself."""
    lists: list[tuple[str, Flow]] = field(default_factory=list[tuple[str, Flow]])
    """The arrays that it assigns, whose elements are written as words of commands."""
    element: bool = False
    """Whether its words are such elements."""
    body: list[Command] = field(default_factory=list["Command"])
    """The commands of the subshell before it."""
    scripts: list[Script] = field(default_factory=list["Script"])
    """The shell texts that it runs (`sh -c '…'`)."""
    function: str = ""
    """The function that begins with it."""
    after: str = ""
    """The operator that ended it."""
    parted: int = 0
    """How many words stand before a `&>`, at which some shells end the command."""
    stdin: Node = field(default_factory=Node)
    """What it reads."""
    word: Word | None = None
    """The one that is being read."""
    target: str = ""
    """The redirection whose target the next word is."""
    in_brackets: bool = False
    """Whether a `[[` before it was not closed: what ends a command elsewhere does not end that one."""

    def add(self, part: str | Flow, value: int | None = None) -> None:
        """Lengthens the word, or begins one."""
        if self.word is None:
            self.word = Word()
        self.word.parts.append(part)
        if value is not None:
            self.word.values.append(value)

    def end_word(self) -> None:
        if self.word is None:
            return
        self.word.joined()
        if self.target:
            self.redirects.append((self.target, self.word))
        else:
            self.words.append(self.word)
        self.word, self.target = None, ""

    def all_words(self) -> Iterator[Word]:
        yield from self.words
        yield from (word for _, word in self.redirects)

    def all_flows(self) -> Iterator[Flow]:
        for word in self.all_words():
            yield from word.flows()
        yield from (flow for _, flow in self.lists)

    @property
    def empty(self) -> bool:
        return not (self.words or self.redirects or self.body or self.function)

    @property
    def strings(self) -> Iterator[tuple[str, Word]]:
        """The words behind `<<<`, and those that name a descriptor to copy."""
        return (each for each in self.redirects if each[0] == "<<<" or each[0].endswith("&"))

    @property
    def typed(self) -> bool:
        """Tells whether it makes variables to which nothing can be assigned without being computed."""
        words = command_words(self.words)
        return bool(self.lists) or (bool(words) and words[0].text in DECLARING and attributes(words))


@dataclass(slots=True, eq=False)
class Script:
    """A text that a shell runs."""

    commands: list[Command]
    """The outermost ones."""
    numbers: bool
    """Whether something in it computes."""
    computed: set[str]
    """The variables that it computes with by name."""
    parameters: str
    """The name that stands for all of its `$1`, `$2`, `$@`, …"""
    depth: int = 0
    """How many texts it stands in."""
    typed: bool = False
    """Whether some of its variables are numbers or arrays."""
    shifts: int = 0
    """How many `shift` it has."""

    def __post_init__(self) -> None:
        for command in everything(self.commands):
            words = command_words(command.words)
            self.numbers = self.numbers or (reads_arithmetic(command) and not command.element)
            self.typed = self.typed or command.typed
            self.shifts += bool(words) and words[0].text == "shift"


def everything(commands: Sequence[Command]) -> Iterator[Command]:
    """Yields the commands with all that are inside them, except those of scripts of their own."""
    waiting = list(commands)
    while waiting:
        command = waiting.pop()
        yield command
        waiting += command.body
        for flow in command.all_flows():
            waiting += flow.commands


class Leading(NamedTuple):
    """What stands before a command."""

    length: int
    """How many words."""
    keywords: list[str]
    """Among them, and the `for`, `select` or `case` that the command is."""
    function: str
    """The one that is defined (`function NAME`)."""


def leading(words: Sequence[Word]) -> Leading:
    """Returns what stands before the name, or the assignments, of a command."""
    keywords: list[str] = []
    at, function = 0, ""
    if words and words[0].text == "coproc":
        at = next((index for index, word in enumerate(words) if word.text == "{"), 1)
    while at < len(words) and (words[at].text in _KEYWORDS or words[at].text == "function"):
        if words[at].text == "function":
            function = words[at + 1].text if at + 1 < len(words) else ""
            at += 2
        else:
            keywords.append(words[at].text)
            at += 1
    if at < len(words) and words[at].text in _LOOPS:
        keywords.append(words[at].text)
    return Leading(at, keywords, function)


def after_keywords(words: Sequence[Word]) -> Sequence[Word]:
    return words[leading(words).length :]


def command_words(words: Sequence[Word]) -> Sequence[Word]:
    """Returns the words from the name of the command on."""
    words = after_keywords(words)
    at = 0
    while at < len(words) and (ASSIGNMENT.match(words[at].text) or words[at].base in _PREFIXES):
        at += 1
    return words[at:]


def attributes(words: Sequence[Word]) -> bool:
    """Tells whether a declaration has options beyond those that only export or protect."""
    options = [word.text[1:] for word in words[1:] if word.text[:1] in ("-", "+")]
    return any(not set(option) <= set("xrgp-") for option in options)


def open_brackets(command: Command) -> bool:
    """Tells whether a `[[` is open when the command ends."""
    words = command_words(command.words)
    opened = command.in_brackets or (bool(words) and words[0].text == "[[")
    return opened and all(word.text != "]]" for word in command.words)


def reads_arithmetic(command: Command) -> bool:
    """Tells whether the command computes with the values of variables."""
    words = command_words(command.words)
    brackets = command.in_brackets or (bool(words) and words[0].text == "[[")
    return (bool(words) and words[0].text == "let") or (brackets and any(word.text in _COMPUTING for word in words))
