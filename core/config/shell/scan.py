"""Reads a shell text: finds the place of each value in it (in double quotes, in a here-document, …), its commands with
their words, and what flows into those. Behind something that shells read in different ways, every place is unsure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .quoting import Quoting
from .words import ASSIGNMENT, SPAN, UNKNOWN, Command, Flow, Script, Word, leading, open_brackets

_HEREDOC = re.compile(r"<<(-?)[ \t]*((?:'[^']*'|\"[^\"]*\"|\\.|[^\s;&|<>()'\"\\])+)", re.DOTALL)
_CERTAIN_WORD = re.compile(r"[A-Za-z0-9_.,:@%+=!-]+")
_REDIRECTION = re.compile(r"<<<|[<>]{1,2}[&|]?")
_DESCRIPTOR = re.compile(r"[0-9]+|\{[A-Za-z_][A-Za-z0-9_]*\}")
# An expansion whose end all shells see at the same place.
_EXPANSION = re.compile(r"\$\{(?:[^'\"`\\${}]|'[^'}]*'|\"[^\"`\\${}]*\")*\}")
_EXPANSION_IN_QUOTES = re.compile(r"\$\{[^'\"`\\${}]*\}")
_CASE = re.compile(r"case\b")
_NAMED = re.compile(r"[A-Za-z_$`]")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\$\{?[0-9@*]")
_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*|[0-9@*])")
_VARIABLES = re.compile(r"\$\{?!?([A-Za-z_][A-Za-z0-9_]*|[0-9@*])")
_SETTING = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*):?=")
_DEFAULT = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*:?[-=]([A-Za-z0-9_./ -]+)\}")
# What bash computes, expands once more (`@P`), or reads as the name of an element (`!`) in `${…}`.
_COMPUTING = re.compile(r"\[(?![@*]\])|:(?![-=?+])|^\$\{!|@[A-Za-z]\}$")
_EVERY = re.compile(r"^\$(?:\{@|@)|\[@\]")
_WHOLE = re.compile(r"\$(?:@|\{@\}|\{[A-Za-z_][A-Za-z0-9_]*\[@\]\})")
_ESCAPED = re.compile(r"\\([\\`$])")
MAX_DEPTH = 4
"""How many texts may stand in each other to be read: backquotes, here-documents, `sh -c`."""


def read(
    text: str, spans: dict[int, int], *, parameters: str = "@", depth: int = 0
) -> tuple[Script, dict[int, Quoting]]:
    """Returns what the text runs, and the place of each span, by its start; those that are missing are unsure."""
    scan = _Scan(text, spans, parameters, depth)
    scan.run()
    return Script(scan.levels[0].commands, scan.arithmetic, scan.computed, parameters, depth), scan.found


@dataclass(slots=True)
class _Level:
    """An open construct: `"` double quotes, `$(` a substitution of a command or a process, `(` a subshell, `=(` the
    elements of an array, and nothing for the command as a whole."""

    opened: str
    command: Command
    commands: list[Command] = field(default_factory=list[Command])
    """Those that have ended."""
    cases: int = 0
    """How many `case` are open, in which a `)` closes nothing."""


@dataclass(slots=True)
class _Scan:
    """One pass over the command. It never looks at a character more than a few times, however the text is nested."""

    text: str
    spans: dict[int, int]
    parameters: str
    depth: int
    found: dict[int, Quoting] = field(default_factory=dict[int, Quoting])
    levels: list[_Level] = field(default_factory=lambda: [_Level("", Command())])
    heredocs: list[tuple[str, bool, bool, Word]] = field(default_factory=list[tuple[str, bool, bool, Word]])
    """Announced and not begun: the word that ends it, whether tabs before that go, whether it is quoted, and the word
    that it will be."""
    computed: set[str] = field(default_factory=set[str])
    """The variables whose values it computes with, as far as it names them."""
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
                self._backquotes()
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
        self._end_command("")

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

    def _skip(self, end: int, place: Quoting, part: str | Flow = UNKNOWN) -> None:
        """Continues after `end`; every span that begins before it gets `place`, and is not cut in two."""
        self._command.add(part)
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

    def _inner(self, text: str) -> Flow:
        """Returns what a text that the same shell runs or expands puts into the word around it."""
        if self.depth >= MAX_DEPTH:
            return Flow(self._names(text), splits=not self._in_double)
        script, _ = read(text, {}, parameters=self.parameters, depth=self.depth + 1)
        self.arithmetic = self.arithmetic or script.numbers
        self.computed |= script.computed
        return Flow(commands=script.commands, splits=not self._in_double)

    def _names(self, text: str) -> tuple[str, ...]:
        """Returns the names of the variables that a text reads."""
        return tuple(map(self._name, _VARIABLES.findall(text)))

    def _name(self, written: str) -> str:
        return self.parameters if written.lstrip("${")[:1] in "0123456789@*" else written

    def _backquotes(self) -> None:
        end = self._closing_backquote()
        inner = _ESCAPED.sub(r"\1", self._without_spans(self.at + 1, end).removesuffix("`"))
        self._skip(end, Quoting.BACKQUOTES, self._inner(inner) if inner else UNKNOWN)

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

    def _compute(self, start: int, opening: str, closing: str) -> list[Command]:
        """Skips arithmetic. Returns its commands if it is none: `((a); b)`, or `((a))` in a shell that does not know
        it. What is quoted there, shells end at different places."""
        begin, end = self.at, self._balanced(start, opening, closing)
        inner = self._without_spans(begin, end)
        is_arithmetic = opening == "[" or (
            self.text[begin] == "$" and self._balanced(start + 1, opening, closing) == end - 1
        )
        flow = Flow() if is_arithmetic else self._inner(inner.lstrip("$")[1:-1])
        self._skip(end, Quoting.ARITHMETIC, UNKNOWN if is_arithmetic else flow)
        self.unsure = self.unsure or any(char in inner for char in "'\"`\\#")
        self.arithmetic = self.arithmetic or _NAMED.search(inner[2:]) is not None
        self.computed.update(map(self._name, _IDENTIFIER.findall(inner)))
        return flow.commands

    def _without_spans(self, begin: int, end: int) -> str:
        parts: list[str] = []
        position = begin
        while position < min(end, len(self.text)):
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

    def _open(self, opened: str, length: int, commands: list[Command] | None = None) -> None:
        """Opens a construct; `commands` is where its commands are kept."""
        self.unsure = self.unsure or bool(self.heredocs)
        level = _Level(opened, Command(element=opened == "=("))
        level.commands = level.commands if commands is None else commands
        self.levels.append(level)
        self.at += length

    def _substitute(self, file: str = "") -> None:
        """Opens a substitution of a command, or (`file`) of a process."""
        flow = Flow(splits=not self._in_double and not file, file=file)
        self._command.add(flow)
        self._open("$(", 2, flow.commands)

    def _close(self) -> None:
        """Closes the innermost construct."""
        self.unsure = self.unsure or bool(self.heredocs)
        if not self._in_double:
            self._end_command("")
        level = self.levels.pop()  # at the end of the text also double quotes; nobody counts those any more
        if level.opened == "(" and level.commands:
            self._command.body = level.commands
        elif level.opened == "(":
            self._begin_function()

    def _begin_function(self) -> None:
        """Reads `NAME ()`."""
        before = self.levels[-1].commands
        if before and before[-1].after == "(" and before[-1].words:
            self._command.function = before[-1].words.pop().text
            if before[-1].empty:
                before.pop()

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
            self._substitute()
        elif text.startswith("${", at):
            self._expansion()
        elif match := _VARIABLE.match(text, at):
            self._command.add(self._variable(match[0]))
            self.at = match.end()
        else:
            # bash reads $'…' with backslashes, sh as a `$` before single quotes: from here on it is not certain what is
            # quoted.
            self.unsure = self.unsure or (text.startswith("$'", at) and not self._in_double)
            self._literal("$")

    def _variable(self, written: str) -> Flow:
        every = _EVERY.search(written) is not None  # each is a word of its own also in double quotes
        whole = self._in_double and _WHOLE.fullmatch(written) is not None
        setting = _SETTING.match(written)
        sets = "" if setting is None else setting[1]
        default = _DEFAULT.fullmatch(written)
        return Flow(
            self._names(written),
            splits=every or not self._in_double,
            whole=whole,
            sets=sets,
            default="" if default is None else default[1],
        )

    def _expansion(self) -> None:
        form = _EXPANSION_IN_QUOTES if self._in_double else _EXPANSION
        match = form.match(self.text, self.at)
        if match is None or any(place in self.spans for place in range(self.at, match.end())):
            end = self.text.find("}", self.at)
            end = len(self.text) if end < 0 else end + 1
            written = self._without_spans(self.at, end)
            self._compute_in(written)
            flow = self._variable(written)
            flow.commands = self._inner(f"echo {written[2:-1]}").commands
            self._skip(end, Quoting.EXPANSION, flow)
            self.unsure = True
        else:
            self._compute_in(match[0])
            # Several words of a default: what was taken for the command's name may be an argument of another one.
            self.unsure = self.unsure or (not self._in_double and any(char.isspace() for char in match[0]))
            self._skip(match.end(), Quoting.EXPANSION, self._variable(match[0]))

    def _compute_in(self, written: str) -> None:
        computing = _COMPUTING.search(written)
        if computing is not None:
            self.arithmetic = True
            start = 0 if computing[0][0] in "$@" else computing.start()
            self.computed.update(map(self._name, _IDENTIFIER.findall(written, start)))

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
            self._end_command("\n")
            self._bodies()
        elif char in " \t":
            self._end_word()
            self.at += 1
        elif char in ";&|":
            self._operator()
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
            self._command.body = self._compute(self.at, "(", ")")
            self._command.word = None
            return
        word = self._command.word
        if word is not None and word.parts[-1:] == ["="]:
            name = ASSIGNMENT.match(word.joined())
            flow = Flow()
            self._command.lists.append((name[1] if name else "", flow))
            self._open("=(", 1, flow.commands)
        else:
            if not self._command.function or self._command.words:
                self._end_command("(")
            self._open("(", 1)

    def _closed(self) -> None:
        self.at += 1
        level = self.levels[-1]
        level.command.end_word()
        ended = level.command.words[:1] and level.command.words[0].text == "esac"
        if level.opened in ("(", "$(", "=(") and level.cases <= bool(ended):
            # Behind a substitution the word goes on; behind a subshell, as behind any operator, a new one begins.
            self._close()
        else:
            self._end_command(")")
            if level.cases:
                self._pattern(level.commands)

    def _pattern(self, commands: list[Command]) -> None:
        """Reads what stands before the `)` of a `case` as what it is: no commands, and no pipes."""
        is_first = True
        for command in reversed(commands):
            if command.after != (")" if is_first else "|"):
                break
            is_first = False
            command.after = ";"
            if leading(command.words).keywords[-1:] == ["case"]:
                break
            command.element = True

    def _operator(self) -> None:
        """Reads `;`, `&`, `|` and what is made of them. `&>` is a redirection in some shells, and `&` and `>` in the
        others: the words behind it are read as words of the same command and as a command of their own."""
        text, at = self.text, self.at
        if text.startswith("&>", at):
            self._end_word()
            self._command.parted = self._command.parted or len(self._command.words)
            self.at += 1
            return
        length = 2 if text[at : at + 2] in ("||", "&&", "|&") else 1
        self._end_command("|" if text[at : at + 2] == "|&" else text[at : at + length])
        self.at += length

    def _letter(self, char: str) -> None:
        """Reads any other character. A `case` inside a quoted substitution has `)` that close nothing, so the open
        constructs are no longer certain."""
        if char == "c" and self._command.word is None and len(self.levels) > 1 and _CASE.match(self.text, self.at):
            self.unsure = self.unsure or self.doubles > 0
        self._literal(char)

    def _end_word(self) -> None:
        command = self._command
        command.end_word()
        words = command.words
        if words and words[-1].text == "case" and not command.element and leading(words).length == len(words) - 1:
            self.levels[-1].cases += 1

    def _end_command(self, operator: str) -> None:
        """Ends a command. `[[` goes on over everything that ends one, up to its `]]`."""
        level = self.levels[-1]
        command = level.command
        command.end_word()
        command.after = operator
        if not command.empty:
            level.commands.append(command)
        if level.cases and command.words and command.words[0].text == "esac":
            level.cases -= 1
        level.command = Command(in_brackets=open_brackets(command), element=level.opened == "=(")

    def _redirect(self) -> None:
        command, heredoc = self._command, self.text.startswith("<<", self.at) and self.text[self.at + 2 : self.at + 3]
        if command.word is not None and not command.word.values and _DESCRIPTOR.fullmatch(command.word.joined()):
            command.word = None
        command.end_word()
        if heredoc and heredoc != "<":
            self._announce()
        elif self.text[self.at + 1 : self.at + 2] == "(":
            self._substitute(file=self.text[self.at])
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
        self.heredocs.append((word, match[1] == "-", word != match[2], Word()))
        self._command.redirects.append(("<<", self.heredocs[-1][3]))
        self.at = match.end()

    def _bodies(self) -> None:
        """Skips the here-documents announced in the line that just ended."""
        for word, tabs, is_quoted, document in self.heredocs:
            end = last = self.at
            while end < len(self.text):
                last = end
                stop = self.text.find("\n", end)
                stop = len(self.text) if stop < 0 else stop
                line = self.text[end:stop].lstrip("\t") if tabs else self.text[end:stop]
                end = min(stop + 1, len(self.text))
                if line == word:
                    break
                joined = not is_quoted and line.endswith("\\")
                self.unsure = self.unsure or joined or (len(self.levels) > 1 and line.startswith(word))
            else:
                last = end
            body = self._without_spans(self.at, last)
            if is_quoted:
                document.parts.append(body)
            elif body:
                document.parts.append(self._inner('echo "' + body.replace('"', " ") + '"'))
            document.joined()
            self._skip(end, Quoting.HEREDOC)
            self._command.word = None
        self.heredocs.clear()
