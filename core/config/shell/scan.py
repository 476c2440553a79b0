"""Finds the place of a value in a shell command, and what is written there. A shell never reads the value itself: it
reads the name of a variable that has it, in double quotes, so that a value can be neither a quote nor a command. What
remains are the places where a shell takes a variable's value for code (arithmetic, `eval`), or where it reads no
variable (a here-document, a backslash): they are refused (`Quoting`), and so is every place behind something that
shells read in different ways. The command itself is trusted, because its author is the project's; only the values are
not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from .evaluated import SPAN, UNKNOWN, Command, evaluated, open_brackets, reads_arithmetic
from .quoting import FILLED, Quoting

_HEREDOC = re.compile(r"<<(-?)[ \t]*((?:'[^']*'|\"[^\"]*\"|\\.|[^\s;&|<>()'\"\\])+)", re.DOTALL)
_CERTAIN_WORD = re.compile(r"[A-Za-z0-9_.,:@%+=!-]+")
_REDIRECTION = re.compile(r"<<<|[<>]{1,2}[&|]?")
_DESCRIPTOR = re.compile(r"[0-9]+|\{[A-Za-z_][A-Za-z0-9_]*\}")
# An expansion whose end all shells see at the same place.
_EXPANSION = re.compile(r"\$\{(?:[^'\"`\\${}]|'[^'}]*'|\"[^\"`\\${}]*\")*\}")
_EXPANSION_IN_QUOTES = re.compile(r"\$\{[^'\"`\\${}]*\}")
_CASE = re.compile(r"case\b")
_NAMED = re.compile(r"[A-Za-z_$`]")


def places(command: str, spans: Sequence[tuple[int, int]]) -> list[Quoting]:
    """Returns the place of each (start, end) span of the command. The spans have to be in the order of the text."""
    if not spans:
        return []
    scan = _Scan(command, dict(spans))
    scan.run()
    return [scan.found.get(start, Quoting.UNSURE) for start, _ in spans]


@dataclass(slots=True)
class _Level:
    """An open construct: `"` double quotes, `$(` a substitution of a command or a process, `(` a subshell, and
    nothing for the command as a whole."""

    opened: str
    command: Command


@dataclass(slots=True)
class _Scan:
    """One pass over the command. It never looks at a character more than a few times, however the text is nested."""

    text: str
    spans: dict[int, int]
    found: dict[int, Quoting] = field(default_factory=dict[int, Quoting])
    levels: list[_Level] = field(default_factory=lambda: [_Level("", Command())])
    heredocs: list[tuple[str, bool, bool]] = field(default_factory=list[tuple[str, bool, bool]])
    """Announced and not begun: the word that ends it, whether tabs before that go, whether it is quoted."""
    commands: list[Command] = field(default_factory=list[Command])
    doubles: int = 0
    """How many double quotes are open."""
    unsure: bool = False
    arithmetic: bool = False
    at: int = 0

    def run(self) -> None:
        while self.at < len(self.text):
            char = self.text[self.at]
            if self.at in self.spans:
                self._value(Quoting.DOUBLE if self._in_double else Quoting.BARE)
            elif char == "\\":
                self._backslash()
            elif char == "`":
                self._skip(self._closing_backquote(), Quoting.BACKQUOTES)
            elif char == "$":
                self._dollar()
            elif char == '"':
                self._toggle_double()
            elif self._in_double:
                self.unsure = self.unsure or (char == "\n" and bool(self.heredocs))
                self._literal(char)
            else:
                self._bare(char)
        while len(self.levels) > 1:
            self._close()
        self._end_command()
        self._judge()

    @property
    def _in_double(self) -> bool:
        return self.levels[-1].opened == '"'

    @property
    def _command(self) -> Command:
        return self.levels[-1].command

    def _value(self, place: Quoting) -> None:
        self.found[self.at] = Quoting.UNSURE if self.unsure else place
        self._command.add(SPAN, self.at)
        self.at = self.spans[self.at]

    def _literal(self, text: str) -> None:
        self._command.add(text)
        self.at += len(text)

    def _skip(self, end: int, place: Quoting) -> None:
        """Continues after `end`; every span that begins before it gets `place`, and is not cut in two."""
        self._command.add(UNKNOWN)
        while self.at < min(end, len(self.text)):
            if self.at in self.spans:
                self._value(place)
            else:
                self.at += 1

    def _backslash(self) -> None:
        text, at = self.text, self.at
        if text.startswith("\n", at + 1):
            # It and the line's end are nothing. What they join may be a sign that nobody would find there.
            self.unsure = self.unsure or (at > 0 and text[at - 1] in "$<>(")
            self.at += 2
        elif at + 1 in self.spans:
            self._skip(at + 2, Quoting.BACKSLASH)
        else:
            self._command.add(text[at + 1 : at + 2] or "\\")
            self.at += 2

    def _closing_backquote(self) -> int:
        position = self.at + 1
        while position < len(self.text):
            if position in self.spans:
                position = self.spans[position]
            elif self.text[position] == "\\" and position + 1 not in self.spans:
                position += 2
            elif self.text[position] == "`":
                return position + 1
            else:
                position += 1
        return position

    def _balanced(self, start: int, opening: str, closing: str) -> int:
        depth, position = 0, start
        while position < len(self.text):
            if position in self.spans:
                position = self.spans[position]
                continue
            depth += {opening: 1, closing: -1}.get(self.text[position], 0)
            position += 1
            if depth == 0:
                break
        return position

    def _compute(self, start: int, opening: str, closing: str) -> None:
        """Skips arithmetic. What is quoted there, shells end at different places."""
        begin, end = self.at, self._balanced(start, opening, closing)
        self._skip(end, Quoting.ARITHMETIC)
        inner = self._without_spans(begin, end)
        self.unsure = self.unsure or any(char in inner for char in "'\"`\\#")
        self.arithmetic = self.arithmetic or _NAMED.search(inner[2:]) is not None

    def _without_spans(self, begin: int, end: int) -> str:
        parts: list[str] = []
        position = begin
        while position < end:
            if position in self.spans:
                position = self.spans[position]
            else:
                parts.append(self.text[position])
                position += 1
        return "".join(parts)

    def _toggle_double(self) -> None:
        if self._in_double:
            self.doubles -= 1
            self.levels.pop()
        else:
            self.doubles += 1
            self._command.add("")
            self.levels.append(_Level('"', self._command))
        self.at += 1

    def _open(self, opened: str, length: int) -> None:
        self.unsure = self.unsure or bool(self.heredocs)
        self.levels.append(_Level(opened, Command()))
        self.at += length

    def _close(self) -> None:
        """Closes the innermost construct."""
        self.unsure = self.unsure or bool(self.heredocs)
        if not self._in_double:
            self._end_command()
        self.levels.pop()  # at the end of the text also double quotes; nobody counts those any more

    def _dollar(self) -> None:
        text, at = self.text, self.at
        if at + 1 in self.spans:
            self._literal("$")
            self._value(Quoting.DOUBLE if self._in_double else Quoting.DOLLAR)
        elif text.startswith("$((", at):
            self._compute(at + 1, "(", ")")
        elif text.startswith("$[", at):
            self._compute(at + 1, "[", "]")
        elif text.startswith("$(", at):
            self._command.add(UNKNOWN)
            self._open("$(", 2)
        elif text.startswith("${", at):
            self._expansion()
        else:
            # bash reads $'…' with backslashes, sh as a `$` before single quotes: from here on it is not certain what is
            # quoted.
            self.unsure = self.unsure or (text.startswith("$'", at) and not self._in_double)
            self._literal("$")

    def _expansion(self) -> None:
        form = _EXPANSION_IN_QUOTES if self._in_double else _EXPANSION
        match = form.match(self.text, self.at)
        if match is None or any(place in self.spans for place in range(self.at, match.end())):
            end = self.text.find("}", self.at)
            self._skip(len(self.text) if end < 0 else end + 1, Quoting.EXPANSION)
            self.unsure = True
        else:
            self.arithmetic = self.arithmetic or ":" in match[0] or "[" in match[0]
            # Several words of a default: what was taken for the command's name may be an argument of another one.
            self.unsure = self.unsure or (not self._in_double and any(char.isspace() for char in match[0]))
            self._skip(match.end(), Quoting.EXPANSION)

    def _bare(self, char: str) -> None:
        text, at = self.text, self.at
        if char == "'":
            self._single()
        elif char == "#" and self._command.word is None:
            end = text.find("\n", at)
            self._skip(len(text) if end < 0 else end, Quoting.COMMENT)
            self._command.word = None
        elif char == "(":
            self._parenthesis()
        elif char == ")":
            self._closed()
        elif char in "<>":
            self._redirect()
        elif char == "\n":
            self.at += 1
            self._end_command()
            self._bodies()
        elif char in " \t":
            self._command.end_word()
            self.at += 1
        elif char in ";&|":
            self._end_command()
            self.at += 1
        else:
            self._letter(char)

    def _single(self) -> None:
        at, end = self.at, self.at + 1
        while end < len(self.text) and self.text[end] != "'":
            end = self.spans.get(end, end + 1)
        self.unsure = self.unsure or (bool(self.heredocs) and "\n" in self.text[at:end])
        self._command.add("")
        self.at += 1
        while self.at < end:
            if self.at in self.spans:
                self._value(Quoting.SINGLE)
            else:
                self._literal(self.text[self.at])
        self.at = end + 1

    def _parenthesis(self) -> None:
        if self.text.startswith("((", self.at):
            self._compute(self.at, "(", ")")
            self._command.word = None
            return
        word = self._command.word
        if word is not None and word.parts[-1:] == ["="]:
            self._command.arrays = True
        self._end_command()
        self._open("(", 1)

    def _closed(self) -> None:
        self.at += 1
        if self.levels[-1].opened in ("(", "$("):
            # Behind a substitution the word goes on; behind a subshell, as behind any operator, a new one begins.
            self._close()
        else:
            self._end_command()

    def _letter(self, char: str) -> None:
        """Reads any other character. A `case` inside a quoted substitution has `)` that close nothing, so the open
        constructs are no longer certain."""
        if char == "c" and self._command.word is None and len(self.levels) > 1 and _CASE.match(self.text, self.at):
            self.unsure = self.unsure or self.doubles > 0
        self._literal(char)

    def _end_command(self) -> None:
        """Ends a command. `[[` goes on over everything that ends one, up to its `]]`."""
        command = self.levels[-1].command
        command.end_word()
        if command.words or command.strings:
            self.commands.append(command)
        self.levels[-1].command = Command(in_brackets=open_brackets(command))

    def _redirect(self) -> None:
        command, heredoc = self._command, self.text.startswith("<<", self.at) and self.text[self.at + 2 : self.at + 3]
        if command.word is not None and not command.word.values and _DESCRIPTOR.fullmatch(command.word.joined()):
            command.word = None
        command.end_word()
        if heredoc and heredoc != "<":
            self._announce()
        elif self.text[self.at + 1 : self.at + 2] == "(":
            command.add(UNKNOWN)
            self._open("$(", 2)
        else:
            match = _REDIRECTION.match(self.text, self.at)
            assert match is not None
            command.target = match[0]
            self.at = match.end()

    def _announce(self) -> None:
        """Reads `<<WORD`. A word that is not plain ends its here-document at different places."""
        match = _HEREDOC.match(self.text, self.at)
        if match is None or any(place in self.spans for place in range(self.at, match.end())):
            end = self.at + 2 if match is None else match.end()
            self._skip(end, Quoting.HEREDOC)
            while self.at < len(self.text) and self.at in self.spans:
                self._value(Quoting.HEREDOC)
            self.unsure = True
            return
        word = re.sub(r"['\"\\]", "", match[2])
        self.unsure = self.unsure or not _CERTAIN_WORD.fullmatch(word) or match.end() in self.spans
        self.heredocs.append((word, match[1] == "-", word != match[2]))
        self.at = match.end()

    def _bodies(self) -> None:
        """Skips the here-documents announced in the line that just ended."""
        for word, tabs, is_quoted in self.heredocs:
            end = self.at
            while end < len(self.text):
                stop = self.text.find("\n", end)
                stop = len(self.text) if stop < 0 else stop
                line = self.text[end:stop].lstrip("\t") if tabs else self.text[end:stop]
                end = min(stop + 1, len(self.text))
                if line == word:
                    break
                joined = not is_quoted and line.endswith("\\")
                self.unsure = self.unsure or joined or (len(self.levels) > 1 and line.startswith(word))
            self._skip(end, Quoting.HEREDOC)
            self._command.word = None
        self.heredocs.clear()

    def _judge(self) -> None:
        """Refuses what stands well, but would be evaluated by the command that it is given to."""
        typed = any(command.typed for command in self.commands)
        numbers = self.arithmetic or any(map(reads_arithmetic, self.commands))
        for command in self.commands:
            for start in evaluated(command, typed=typed, numbers=numbers):
                if self.found[start] in FILLED and self.found[start] is not Quoting.COMMENT:
                    self.found[start] = Quoting.EVALUATED
