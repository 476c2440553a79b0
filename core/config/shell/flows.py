"""What flows where in a shell text: from a value into its word, from the words of a command into what it writes, from
there through a pipe, a substitution, a variable, a function or a file into what reads it. It takes no account of the
order of commands, and takes every command for one that may write its words and what it reads."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .programs import ENVIRONMENT, prints_environment, wrapped_assignments
from .words import ASSIGNMENT, DECLARING, Command, Leading, Node, Script, Word, after_keywords, command_words, leading

_OPENERS = frozenset({"{", "if", "while", "until", "for", "select", "case"})
_CLOSERS = frozenset({"}", "fi", "done", "esac"})
_OUTPUT = frozenset({"-o", "-O", "--output", "--out", "--output-document"})
_WRITING = frozenset({">", ">>", ">|", ">&", "&>", "<>"})
_SILENT = frozenset(
    {"[", "test", "[[", "case", ":", "true", "false", "cd", "pushd", "mkdir", "rm", "touch", "sleep", "exit", "return"}
    | {"kill", "wait", "export", "readonly", "local", "set", "unset", "shift", "read"}
)
"""Commands that write none of their words to what follows."""


@dataclass(slots=True)
class Flows:
    """A graph of where values come from."""

    sources: defaultdict[object, list[object]] = field(default_factory=lambda: defaultdict[object, list[object]](list))
    targets: defaultdict[object, list[object]] = field(default_factory=lambda: defaultdict[object, list[object]](list))
    calls: dict[str, list[Sequence[Word]]] = field(default_factory=dict[str, list[Sequence[Word]]])
    """The words behind each call of a function, or behind the code of a shell, by the name of its parameters; and those
    of an array, by its name."""
    assigned: set[str] = field(default_factory=set[str])
    """The variables that are assigned otherwise."""
    functions: dict[str, str] = field(default_factory=dict[str, str])
    """The name of the parameters of each function that the text defines."""

    def add(self, source: object, target: object) -> None:
        """`source` may be None: nothing."""
        if source is not None:
            self.sources[target].append(source)
            self.targets[source].append(target)

    def reached(self, starts: Iterable[object]) -> set[object]:
        """Returns what the starts flow into."""
        return _closure(starts, self.targets)

    def origins(self, ends: Iterable[object]) -> set[object]:
        """Returns what flows into the ends, and the ends."""
        return _closure(ends, self.sources)


def _closure(starts: Iterable[object], edges: defaultdict[object, list[object]]) -> set[object]:
    found = set[object]()
    waiting = list(starts)
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += edges.get(each, ())
    return found


@dataclass(slots=True)
class _Group:
    """Commands between two keywords (`{`, `if`, `while`, …), or all of a text."""

    stdin: object
    writes: object


def link(script: Script, flows: Flows, stdin: object, writes: object) -> None:
    """Adds what flows in a text whose commands read `stdin`, and write to `writes`."""
    waiting: list[tuple[Sequence[Command], object, object]] = [(script.commands, stdin, writes)]
    while waiting:
        commands, reads, written = waiting.pop()
        for command, group in _grouped(commands, _Group(reads, written), flows):
            _link_words(command, flows)
            _link_names(command, script.parameters, flows)
            waiting += _inside(command, group, flows)


def _inside(command: Command, group: object, flows: Flows) -> Iterator[tuple[Sequence[Command], object, object]]:
    """Yields the commands inside a command, with what they read and where they write. `group` is what writes to the
    targets of its redirections."""
    yield command.body, command.stdin, command
    for flow in command.all_flows():
        if flow.file == ">":
            flows.add(group, stdin := Node())
            yield flow.commands, stdin, Node()
        else:
            yield flow.commands, command.stdin, flow


def _grouped(commands: Sequence[Command], outer: _Group, flows: Flows) -> Iterator[tuple[Command, object]]:
    """Links commands that follow each other to what they read and write. Yields each with what its redirections are of:
    itself, or the group that ends with it."""
    groups = [outer]
    piped: object = None
    function = ""
    for command in commands:
        before = Leading(0, [], "") if command.element else leading(command.words)
        function = command.function or before.function or function
        for keyword in before.keywords:
            if keyword in _OPENERS:
                groups.append(_open(groups[-1], piped, function, flows))
                piped, function = None, ""
        if command.body and function:
            _define(function, command.stdin, command, flows)
        flows.add(groups[-1].stdin, command.stdin)
        flows.add(piped, command.stdin)
        ended = [groups.pop() for keyword in before.keywords if keyword in _CLOSERS and len(groups) > 1]
        for inner in ended[:-1]:
            flows.add(inner.writes, ended[-1].writes)
        of = ended[-1] if ended else _Group(command.stdin, command)
        is_exec = [word.text for word in command.words] == ["exec"]
        _redirect(command, groups[-1].stdin if is_exec else of.stdin, of.writes, flows)
        yield command, of.writes
        function = function if before.length >= len(command.words) and not command.body else ""
        piped = of.writes if command.after == "|" else None
        if piped is None:
            flows.add(of.writes, groups[-1].writes)
    for inner, group in pairwise(reversed(groups)):
        flows.add(inner.writes, group.writes)


def _open(outer: _Group, piped: object, function: str, flows: Flows) -> _Group:
    group = _Group(Node(), Node())
    flows.add(outer.stdin, group.stdin)
    flows.add(piped, group.stdin)
    if function:
        _define(function, group.stdin, group.writes, flows)
    return group


def _define(function: str, stdin: object, writes: object, flows: Flows) -> None:
    flows.add(f"stdin of {function}()", stdin)
    flows.add(writes, f"{function}()")


def _redirect(command: Command, stdin: object, writes: object, flows: Flows) -> None:
    for sign, word in command.redirects:
        if sign in ("<<", "<<<") or any(flow.file == "<" for flow in word.flows()):
            flows.add(word, stdin)
        elif sign in ("<", "<>") and word.file:
            flows.add(word.file, stdin)
        if sign in _WRITING and word.file and not word.text.isdigit():
            flows.add(writes, word.file)


def _link_words(command: Command, flows: Flows) -> None:
    for word in command.all_words():
        for source in (*word.values, *word.flows(), *filter(None, [word.file])):
            flows.add(source, word)
    for flow in command.all_flows():
        for name in flow.names:
            flows.add(name, flow)
        if flow.sets:
            flows.add(flow, flow.sets)
    for source in _written(command):
        flows.add(source, command)


def _written(command: Command) -> Iterator[Word | Node | str]:
    """Yields what a command may write: its words, and what it reads."""
    words = after_keywords(command.words)
    name = next((word.text for word in words if not ASSIGNMENT.match(word.text)), "")
    if name == "wc" and all(word.text[:1] == "-" for word in command_words(words)[1:]):
        return  # only numbers
    if (name and name not in _SILENT) or command.element:
        yield from words
    if name == "pwd":
        yield "PWD"
    if not command.element and prints_environment(command_words(words)):
        yield ENVIRONMENT
    yield command.stdin


def _link_names(command: Command, parameters: str, flows: Flows) -> None:
    """Adds what flows into the variables that a command assigns, and what its own words mean for it."""
    for name, flow in command.lists:
        flows.add(flow, name)
        flows.calls.setdefault(name, []).append([word for element in flow.commands for word in element.words])
    words = command_words(command.words)
    for word in assigned(command):
        match = ASSIGNMENT.match(word.text)
        if match is not None and not command.lists:
            _assign(word, match[1], flows)
        elif match is not None:
            flows.add(word, match[1])
    if words and not command.element:
        for variable, source in _set(words[0].text, words[1:], command, parameters):
            _assign(source, variable, flows)
        _link_call(words[0].text, words[1:], command, parameters, flows)
        for name in _files(words):
            flows.add(command, name)


def _assign(source: object, variable: str, flows: Flows) -> None:
    flows.add(source, variable)
    flows.assigned.add(variable)


def _files(words: Sequence[Word]) -> Iterator[str]:
    """Yields the files that a command writes because its words say so."""
    name = words[0].base
    in_place = name in ("sed", "perl") and any(re.match(r"-[A-Za-z]*i|--in-place", word.text) for word in words)
    for before, word in pairwise(words):
        if word.file and (name == "tee" or in_place or before.text in _OUTPUT):
            yield word.file


def _link_call(name: str, rest: Sequence[Word], command: Command, parameters: str, flows: Flows) -> None:
    """Adds what a command gives to parameters and to functions, and what it copies."""
    if name == "set":
        _call(parameters, rest[1:] if rest and rest[0].text == "--" else rest, flows)
    elif name in ("cp", "mv", "ln", "install"):
        for word in rest[:-1]:
            flows.add(word.file or None, rest[-1].file)
    elif name in flows.functions:
        _call(flows.functions[name], rest, flows)
        flows.add(f"{name}()", command)
        flows.add(command.stdin, f"stdin of {name}()")


def _call(parameters: str, words: Sequence[Word], flows: Flows) -> None:
    flows.calls.setdefault(parameters, []).append(words)
    for word in words:
        flows.add(word, parameters)


def assigned(command: Command) -> Iterator[Word]:
    """Yields the words with which a command assigns variables, and perhaps others."""
    for word in after_keywords(command.words):
        if not ASSIGNMENT.match(word.text):
            break
        yield word
    words = command_words(command.words)
    if words and words[0].text in DECLARING:
        yield from words[1:]
    yield from wrapped_assignments(words)


def _set(name: str, rest: Sequence[Word], command: Command, parameters: str) -> Iterator[tuple[str, object]]:
    """Yields the variables that a built-in command sets, each with what it sets it to."""
    names = [word.text for word in rest if word.text[:1] != "-"]
    if name in ("for", "select"):
        yield from ((names[0], source) for source in (rest[2:] if len(rest) > 1 else [parameters]) if names)
    elif name in ("read", "mapfile", "readarray"):
        yield from ((variable, command.stdin) for variable in (*names, "REPLY", "MAPFILE"))
    elif name == "printf":
        yield from ((names[0], source) for source in rest[2:] if names)
    elif name in ("cd", "pushd"):
        yield from (("PWD", source) for source in rest)
    elif name == "getopts":
        yield from (("OPTARG", source) for source in (parameters, *rest))
