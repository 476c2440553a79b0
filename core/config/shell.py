"""Finds the place of a value in a shell command, and writes it there so that it stays a value. A value is never made
safe by escaping it for the quotes around it: the quotes are closed, the value is written in single quotes of its
own, and the quotes are opened again. That is exact everywhere except in the places that are refused (`Place`), where
no quotes can be opened or where shells differ. The command itself is trusted, because its author is the project's;
only the values are not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from ..errors import UsageError


class Quoting(Enum):
    """A place in a command. The first four can be filled in; the others say why they cannot."""

    BARE = "bare"
    DOUBLE = "in double quotes"
    SINGLE = "in single quotes"
    COMMENT = "in a comment"
    BACKSLASH = "after a backslash"
    DOLLAR = "right after a `$`"
    BACKQUOTES = "inside backquotes"
    EXPANSION = "inside `${…}`"
    ARITHMETIC = "inside `((…))`"
    HEREDOC = "inside a here-document"
    UNSURE = "after `$'` or a `case` in a quoted `$(…)`"


_QUOTES = {Quoting.BARE: "", Quoting.DOUBLE: '"', Quoting.SINGLE: "'"}
_HEREDOC = re.compile(r"<<(-?)[ \t]*((?:'[^'\n]*'|\"[^\"\n]*\"|\\.|[^\s;&|<>()'\"\\])+)")


def quoted(value: str, place: Quoting, name: str) -> str:
    """Returns the value as shell text for that place. Raises UsageError if none exists; `name` is for the message."""
    if place is Quoting.COMMENT:
        # Quoted as well: a comment that is none, because a shell sees it otherwise than we do, would be shell.
        value, place = " ".join(value.split()), Quoting.BARE
    if place not in _QUOTES:
        hint = 'give it to the step as a variable (`env: {X: …}`) and write "$X" here'
        raise UsageError(f"`${{{{ {name} }}}}` stands {place.value}, where no quoting keeps a value a value", hint=hint)
    if "\0" in value:
        raise UsageError(f"the value of {name} holds a NUL byte", hint="remove it: no command accepts one")
    around = _QUOTES[place]
    return around + "'" + value.replace("'", "'\"'\"'") + "'" + around


def places(command: str, spans: Sequence[tuple[int, int]]) -> list[Quoting]:
    """Returns the place of each (start, end) span of the command. The spans have to be in the order of the text."""
    if not spans:
        return []
    scan = _Scan(command, dict(spans))
    scan.run()
    return [scan.found.get(start, Quoting.UNSURE) for start, _ in spans]


@dataclass(slots=True)
class _Scan:
    """One pass over the command."""

    text: str
    spans: dict[int, int]
    found: dict[int, Quoting] = field(default_factory=dict[int, Quoting])
    stack: list[str] = field(default_factory=list[str])
    """The open constructs: `"` double quotes, `$(` a substitution, `(` a subshell."""
    heredocs: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    unsure: bool = False
    in_word: bool = False  # a `#` begins a comment only where no word has begun
    at: int = 0

    def run(self) -> None:
        while self.at < len(self.text):
            if self.at in self.spans:
                self._span(Quoting.DOUBLE if self._in_double else Quoting.BARE)
                self.in_word = True
                continue
            char = self.text[self.at]
            if char == "\\":
                # A backslash at the end of a line is nothing, and so is the end: the word, if there is one, goes on.
                self.in_word = self.in_word or not self.text.startswith("\n", self.at + 1)
                self._skip_to(self.at + 2, Quoting.BACKSLASH)
            else:
                self.in_word = self._token(char)

    def _token(self, char: str) -> bool:
        """Continues after the token that begins with `char`; returns whether a word goes on there."""
        if char == "`":
            self._skip_to(self._closing("`", self.at + 1), Quoting.BACKQUOTES)
        elif char == "$":
            return self._dollar()
        elif char == '"':
            self._toggle_double()
        elif self._in_double:
            self.at += 1
        else:
            return self._bare(char)
        return True

    @property
    def _in_double(self) -> bool:
        return bool(self.stack) and self.stack[-1] == '"'

    def _span(self, place: Quoting) -> None:
        self.found[self.at] = Quoting.UNSURE if self.unsure else place
        self.at = self.spans[self.at]

    def _skip_to(self, end: int, place: Quoting) -> None:
        """Continues after `end`; every span that begins before it gets `place`, and is not cut in two."""
        while self.at < min(end, len(self.text)):
            if self.at in self.spans:
                self._span(place)
            else:
                self.at += 1

    def _closing(self, char: str, start: int) -> int:
        """Returns the position after the next `char` that is neither escaped by a backslash nor inside a span."""
        position = start
        while position < len(self.text):
            if position in self.spans:
                position = self.spans[position]
            elif self.text[position] == "\\" and position + 1 not in self.spans:
                position += 2
            elif self.text[position] == char:
                return position + 1
            else:
                position += 1
        return position

    def _toggle_double(self) -> None:
        if self._in_double:
            self.stack.pop()
        else:
            self.stack.append('"')
        self.at += 1

    def _dollar(self) -> bool:
        text, at = self.text, self.at
        if at + 1 in self.spans:
            self.at += 1
            self._span(Quoting.DOUBLE if self._in_double else Quoting.DOLLAR)
        elif text.startswith("$((", at):
            self._skip_to(self._balanced(at + 1), Quoting.ARITHMETIC)
        elif text.startswith("$(", at):
            self.stack.append("$(")
            self.at += 2
            return False
        elif text.startswith("${", at):
            self._skip_to(self._closing("}", at + 2), Quoting.EXPANSION)
        else:
            # bash reads $'…' with backslashes, sh as a `$` before single quotes: from here on it is not certain what is
            # quoted.
            self.unsure = self.unsure or (text.startswith("$'", at) and not self._in_double)
            self.at += 1
        return True

    def _balanced(self, start: int) -> int:
        depth, position = 0, start
        while position < len(self.text):
            if position in self.spans:
                position = self.spans[position]
                continue
            depth += {"(": 1, ")": -1}.get(self.text[position], 0)
            position += 1
            if depth == 0:
                break
        return position

    def _bare(self, char: str) -> bool:
        text, at = self.text, self.at
        if char == "'":
            end = at + 1
            while end < len(text) and text[end] != "'":
                end = self.spans.get(end, end + 1)
            self._skip_to(end + 1, Quoting.SINGLE)
        elif char == "#" and not self.in_word:
            end = text.find("\n", at)
            self._skip_to(len(text) if end < 0 else end, Quoting.COMMENT)
        elif text.startswith("((", at):
            self._skip_to(self._balanced(at), Quoting.ARITHMETIC)
        elif char == "(":
            self.stack.append("(")
            self.at += 1
        elif char == ")":
            # Behind a substitution the word goes on; behind a subshell, as behind any operator, a new one begins.
            closed = self.stack.pop() if self.stack and self.stack[-1] in ("(", "$(") else ""
            self.at += 1
            return closed == "$("
        elif char == "<":
            self._redirect()
        elif char == "\n":
            self.at += 1
            self._bodies()
        else:
            self._word(at)
        return char not in " \t\n;&|<>(" and not (char == "#" and not self.in_word)

    def _word(self, at: int) -> None:
        """Reads any other text. A `case` inside a quoted substitution has `)` that close nothing, so the open
        constructs are no longer certain."""
        match = re.compile(r"case\b").match(self.text, at)
        if (
            match
            and '"' in self.stack
            and (at == 0 or not (self.text[at - 1].isalnum() or self.text[at - 1] in "_-./"))
        ):
            self.unsure = True
        self.at += 1

    def _redirect(self) -> None:
        if self.text.startswith("<<<", self.at):
            self.at += 3
            return
        match = _HEREDOC.match(self.text, self.at)
        if match is None:
            self.at += 1
            return
        word = re.sub(r"['\"\\]", "", match[2])
        self.heredocs.append((word, match[1] == "-"))
        self._skip_to(match.end(), Quoting.HEREDOC)

    def _bodies(self) -> None:
        """Skips the here-documents announced in the line that just ended."""
        for word, tabs in self.heredocs:
            end = self.at
            while end < len(self.text):
                stop = self.text.find("\n", end)
                stop = len(self.text) if stop < 0 else stop
                line = self.text[end:stop]
                end = min(stop + 1, len(self.text))
                if (line.lstrip("\t") if tabs else line) == word:
                    break
            self._skip_to(end, Quoting.HEREDOC)
        self.heredocs.clear()
