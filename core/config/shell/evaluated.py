"""Which words of a shell command are taken for code by the command that gets them, although they are quoted: `eval`,
the text behind `sh -c`, bash's arithmetic (`let`, `[[ … -eq … ]]`, `declare -i`, the subscript of an array), the few
variables whose values are expanded or computed (`PS4`, `RANDOM`). What is said of bash was tried with bash 5.2; where
it is sh, dash and busybox's sh are stricter only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from .programs import COMPUTED, Code, code, contents, of_programs
from .words import ASSIGNMENT, DECLARING, SPAN, SPLIT, UNKNOWN, Command, Word, after_keywords, attributes, command_words

_SHELL_EVALUATORS = frozenset({"eval", "trap"})
_EVALUATORS = frozenset({"let", "alias", "bind", "complete", "compgen", "enable", "fc", "getopts"})
_NAMING = frozenset({"read", "mapfile", "readarray", "unset", "wait"})
_COMPUTING = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})
_ASKING = frozenset({"-v", "-R"})
_MAX_VANISHED = 4
_ELEMENT = re.compile(r"\[[^\0\2]*[\0\2].*\]\+?=", re.DOTALL)
_SUBSCRIPT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\[")


def evaluated(command: Command, written: Sequence[Word], *, typed: bool, numbers: bool) -> Iterator[Code]:
    """Yields what would be code. `written` are the words of the command, which may be more than it was written with.
    `typed` tells that some variables are integers or arrays, `numbers` that some are computed with, anywhere in the
    text."""
    yield Code([word for word in written if _ELEMENT.match(word.text)])
    if command.element:
        return
    yield Code(list(_of_assignments(written, refused=typed or numbers)))
    words = command_words(written)
    if command.in_brackets:
        yield from _of_brackets(written)
    for run in _runs(words):
        yield from _of_builtin(run, command, numbers=numbers)
        yield from of_programs(run, command)
    yield Code([word for sign, word in command.strings if numbers or sign.endswith("&")])


def _runs(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Yields the words from the command's name on, and from what is the name if nothing is left of the words before
    it."""
    for at, word in enumerate(words[:_MAX_VANISHED]):
        run = words[at:] if at == 0 else command_words(words[at:])
        if at == 0 or (run and SPAN not in run[0].text):
            yield run
        if not word.vanishes:
            return


def _of_assignments(words: Sequence[Word], *, refused: bool) -> Iterator[Word]:
    for word in after_keywords(words):
        match = ASSIGNMENT.match(word.text)
        if match is None:
            if _SUBSCRIPT.match(word.text):
                yield word
            return
        if refused or match[2] or match[1] in COMPUTED:
            yield word


def _of_builtin(words: Sequence[Word], command: Command, *, numbers: bool) -> Iterator[Code]:
    name, rest = words[0].text.replace(UNKNOWN, ""), words[1:]
    if name in _SHELL_EVALUATORS:
        yield code(rest)
    elif name in (".", "source"):
        yield from _of_source(rest, command)
    elif name in DECLARING:
        yield Code(list(_of_declaration(words, numbers=numbers)))
    elif name == "[[":
        yield from _of_brackets(rest)
    elif name in ("[", "test"):
        yield Code(list(_of_test(rest)))
    elif name in _EVALUATORS or name in _NAMING or _computes(name, [word.text for word in rest[:1]], numbers=numbers):
        yield Code(rest)


def _computes(name: str, first: Sequence[str], *, numbers: bool) -> bool:
    if name == "printf":
        return any(text.startswith(("-v", SPAN, SPLIT)) for text in first)
    return name in ("for", "select", "set") and (numbers or not COMPUTED.isdisjoint(first))


def _of_source(rest: Iterable[Word], command: Command) -> Iterator[Code]:
    """A value that names the file may name one that has a value in it, as `/dev/stdin` or `/proc/self/environ` may."""
    for word in rest:
        yield Code((word,))
        if word.text[:1] != "-":
            yield contents(word, command)
            return


def _of_declaration(words: Sequence[Word], *, numbers: bool) -> Iterator[Word]:
    computed = numbers or attributes(words)
    for word in words[1:]:
        match = ASSIGNMENT.match(word.text)
        if computed or match is None or match[2] or match[1] in COMPUTED:
            yield word


def _of_brackets(rest: Sequence[Word]) -> Iterator[Code]:
    """`[[` computes what it compares as numbers, and a subscript."""
    texts = [word.text for word in rest]
    if not _COMPUTING.isdisjoint(texts) or not _ASKING.isdisjoint(texts) or any(map(_SUBSCRIPT.match, texts)):
        yield Code(rest)


def _of_test(rest: Sequence[Word]) -> Iterator[Word]:
    """`test -v NAME` computes a subscript, and so does what a value that is `-v` stands before."""
    yield from (word for word in rest if SPLIT in word.text)
    for before, word in pairwise(rest):
        if before.text in _ASKING or SPAN in before.text:
            yield word
