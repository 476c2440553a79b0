"""Judges the places of values in a shell command. A shell never reads the value itself: it reads the name of a variable
that has it, in double quotes, so that a value can be neither a quote nor a command. What remains are the places where a
shell takes a variable's value for code (arithmetic, `eval`), at once or when it has gone through other variables and
commands, or where it reads no variable (a here-document, a backslash): they are refused (`Quoting`), and so is every
place behind something that shells read in different ways. The command itself is trusted, because its author is the
project's; only the values are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .evaluated import evaluated
from .flows import Flows, assigned, link
from .programs import COMPUTED, ENVIRONMENT, Code
from .quoting import FILLED, Quoting
from .scan import MAX_DEPTH, read
from .words import ASSIGNMENT, SPAN, SPLIT, Command, Flow, Node, Script, Word, everything, leading

_MAX_SCRIPTS = 200
"""How many texts of a command are read that other shells run."""
_MAX_CALLS = 50
"""How many calls of functions are read in the place of `"$@"`."""
_MAX_SHIFTS = 3
_MAX_KNOWN = 8


def places(command: str, spans: Sequence[tuple[int, int]]) -> list[Quoting]:
    """Returns the place of each (start, end) span of the command. The spans have to be in the order of the text."""
    if not spans:
        return []
    script, found = read(command, dict(spans))
    judge = _Judge([script])
    judge.read_inner()
    if len(judge.scripts) > _MAX_SCRIPTS:
        return [Quoting.UNSURE] * len(spans)
    judge.link()
    for start, place in judge.refused(found):
        if found[start] in FILLED and found[start] is not Quoting.COMMENT:
            found[start] = place
    return [found.get(start, Quoting.UNSURE) for start, _ in spans]


@dataclass(slots=True)
class _Judge:
    scripts: list[Script]
    """The command, and the texts in it that other shells run."""
    flows: Flows = field(default_factory=Flows)
    reached: set[object] = field(default_factory=set[object])
    """What values flow into."""
    known: dict[str, str] = field(default_factory=lambda: {"SHELL": "sh", "BASH": "bash"})
    """Variables whose values are written in the text."""

    def read_inner(self) -> None:
        """Reads the texts that the commands run (`sh -c '…'`), too."""
        for script in self.scripts:  # which grows
            self.known.update(_known(script))
            for command in everything(script.commands):
                codes = [code for words in self._known_words(command) for code in _codes(script, command, words)]
                for code in codes:
                    if code.text and script.depth < MAX_DEPTH and len(self.scripts) <= _MAX_SCRIPTS:
                        self._read(script, command, code)

    def _read(self, script: Script, command: Command, code: Code) -> None:
        own = code.arguments is not None
        parameters = f"@{len(self.scripts)}" if own else script.parameters
        inner, _ = read(code.text, {}, parameters=parameters, depth=script.depth + 1)
        self.scripts.append(inner)
        command.scripts.append(inner)
        for word in code.arguments or ():
            self.flows.add(word, parameters)
        if any(word.base == "xargs" for word in command.words):
            self.flows.add(command.stdin, parameters)
        elif code.arguments:
            self.flows.calls[parameters] = [code.arguments[1:]]

    def link(self) -> None:
        for script in self.scripts:
            for command in everything(script.commands):
                for name in filter(None, (command.function, leading(command.words).function)):
                    self.flows.functions[name] = script.parameters
        link(self.scripts[0], self.flows, Node(), Node())
        for script in self.scripts:
            for command in everything(script.commands):
                for inner in command.scripts:
                    link(inner, self.flows, command.stdin, command)

    def refused(self, found: dict[int, Quoting]) -> Iterator[tuple[int, Quoting]]:
        """Yields the values that would be code, each with what to say of its place."""
        for value in found:
            self.flows.add(value, ENVIRONMENT)
        self.reached = self.flows.reached(found)
        for script in self.scripts:
            for command in everything(script.commands):
                for word in command.all_words():
                    word.joined(self.reached)
        ends: list[object] = [*COMPUTED]
        for script in self.scripts:
            ends += script.computed
            for command in everything(script.commands):
                for words in self._written(script, command):
                    ends += [source for code in _codes(script, command, words) for source in code.sources]
        direct = {value for end in ends if isinstance(end, Word) for value in end.values}
        for each in self.flows.origins(ends):
            if isinstance(each, int):
                yield each, Quoting.EVALUATED if each in direct else Quoting.PASSED_ON

    def _written(self, script: Script, command: Command) -> Iterator[Sequence[Word]]:
        """Yields the words of a command as it may be run: with what `xargs` adds, with the words of each call in the
        place of `"$@"`, and from a `&>` on."""
        for known in self._known_words(command):
            words = self._with_input(command, known) if command.stdin in self.reached else known
            yield from self._called(script, words)
            if command.parted:
                yield words[command.parted :]

    def _known_words(self, command: Command) -> Iterator[Sequence[Word]]:
        """Yields the words of a command as they are written, and with what is known of their first ones."""
        yield command.words
        filled: list[Word] = []
        for word in command.words[:_MAX_KNOWN]:
            flow = word.only
            known = "" if flow is None or not flow.names else self._known_value(flow)
            filled += [Word(text=part) for part in known.split()] or [word]
        if filled != command.words[:_MAX_KNOWN]:
            yield [*filled, *command.words[_MAX_KNOWN:]]

    def _called(self, script: Script, words: Sequence[Word]) -> Iterator[Sequence[Word]]:
        at = next((index for index, word in enumerate(words) if word.whole), None)
        name = "" if at is None else words[at].whole
        calls = [] if name in self.flows.assigned else self.flows.calls.get(name, [])
        if at is None or not calls or len(calls) > _MAX_CALLS:
            yield words
            return
        for call in calls:
            called = [word for word in call if word.whole != name]
            for shift in range(min(script.shifts, _MAX_SHIFTS) + 1):
                yield [*words[:at], *called[shift:], *words[at + 1 :]]

    def _known_value(self, flow: Flow) -> str:
        for call in self.flows.calls.get(flow.names[0], ())[:1]:
            if call and not flow.whole and not call[0].values and not any(call[0].flows()):
                return call[0].text
        return self.known.get(flow.names[0], flow.default)

    def _with_input(self, command: Command, words: Sequence[Word]) -> Sequence[Word]:
        """Returns the words of a command, with what `xargs` adds to them."""
        at = next((index for index, word in enumerate(words) if word.base == "xargs"), None)
        if at is None:
            return words
        replaced = _replaced(words[at + 1 :])
        if not replaced:
            return [*words, self._read_by(command, [], SPLIT)]
        filled = [
            self._read_by(command, [word], word.text.replace(replaced, SPAN)) if replaced in word.text else word
            for word in words[at + 1 :]
        ]
        return [*words[: at + 1], *filled]

    def _read_by(self, command: Command, words: Sequence[Word], text: str) -> Word:
        made = Word(values=[value for word in words for value in word.values], text=text)
        for source in (command.stdin, *words):
            self.flows.add(source, made)
        return made


def _codes(script: Script, command: Command, words: Sequence[Word]) -> Iterator[Code]:
    return evaluated(command, words, typed=script.typed, numbers=script.numbers)


def _known(script: Script) -> Iterator[tuple[str, str]]:
    """Yields the variables to which a text assigns something that is written there."""
    for command in everything(script.commands):
        for word in assigned(command):
            match = ASSIGNMENT.match(word.text)
            if match is not None and not word.values and not any(word.flows()):
                yield match[1], word.text[match.end() :]


def _replaced(words: Sequence[Word]) -> str:
    """Returns what `xargs` replaces in its words (`-I`)."""
    for before, word in pairwise([Word(), *words]):
        text = word.text
        if before.text in ("-I", "-J"):
            return text
        if text.startswith(("-I", "-i", "--replace=")) and len(text) > 2:
            return text.removeprefix("--replace=").removeprefix("-I").removeprefix("-i")
        if text in ("-i", "--replace"):
            return "{}"
    return ""
