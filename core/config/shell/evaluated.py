"""Which values of a shell command are taken for code by the command that gets them, although they are quoted: `eval`,
the text behind `sh -c`, bash's arithmetic (`let`, `[[ … -eq … ]]`, `declare -i`, the subscript of an array), the few
variables whose values are expanded or computed (`PS4`, `RANDOM`). What is said of bash was tried with bash 5.2; where
it is sh, dash and busybox's sh are stricter only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SPAN, UNKNOWN = "\0", "\1"
"""Stand in a word for a value, and for what only a shell can know."""

_KEYWORDS = frozenset({"if", "then", "else", "elif", "while", "until", "do", "!", "{", "time", "}"})
_PREFIXES = frozenset({"command", "builtin", "exec", "-p", "--"})
_EVALUATORS = frozenset({"eval", "let", "trap", "alias", "bind", "complete", "compgen", "enable", "fc", "getopts"})
_NAMING = frozenset({"read", "mapfile", "readarray", "unset", "wait"})
_DECLARING = frozenset({"declare", "typeset", "local", "export", "readonly"})
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"})
_LIKE_SHELLS = frozenset({"su", "runuser", "script", "flock"})
_STARTERS = frozenset({"sudo", "env", "timeout", "nohup", "nice", "setsid", "xargs"})
_REMOTE = frozenset({"ssh", "watch", "parallel"})
_INTERPRETER = re.compile(r"(?:python|pypy)[0-9.]*|perl|ruby|node|nodejs|php|Rscript|lua")
_SHELL_CODE = re.compile(r"-[A-Za-z]*c[A-Za-z]*|--command(=.*)?", re.DOTALL)
_CODE = re.compile(r"-[A-Za-z]*[cerpE]|--(eval|print|run)(=.*)?|-[ceErp].*\0.*", re.DOTALL)
_WITH_ARGUMENT = frozenset({"-o", "-O", "+o", "+O", "--rcfile", "--init-file", "-W", "-X", "-I", "-M"})
_COMPUTING = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})
_ASKING = frozenset({"-v", "-R"})
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^=]*)?\+?=", re.DOTALL)
_ELEMENT = re.compile(r"\[[^\0]*\0.*\]\+?=", re.DOTALL)
_SUBSCRIPT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\[")
_COMPUTED = frozenset(
    {"PS0", "PS1", "PS2", "PS4", "ENV", "BASH_ENV", "PROMPT_COMMAND", "RANDOM", "OPTIND", "HISTCMD", "LINENO"}
    | {"SECONDS", "SRANDOM", "BASH_ARGV0", "EPOCHSECONDS", "LD_PRELOAD", "SHELLOPTS", "BASHOPTS"}
)
_SSH_WITH_ARGUMENT = frozenset(f"-{letter}" for letter in "BbcDEeFIiJLlmOopQRSWwn")


@dataclass(slots=True)
class Word:
    """A word without its quotes. `values` are the positions of the values in it, each a SPAN in `text`."""

    parts: list[str] = field(default_factory=list[str])
    values: list[int] = field(default_factory=list[int])
    text: str = ""
    """The parts together; set when the word has ended."""

    def joined(self) -> str:
        self.text = "".join(self.parts)
        return self.text


@dataclass(slots=True)
class Command:
    """A simple command: its words so far, and the one that is being read. `strings` are the words behind `<<<` and
    those that name a descriptor to copy."""

    words: list[Word] = field(default_factory=list[Word])
    strings: list[Word] = field(default_factory=list[Word])
    word: Word | None = None
    target: str = ""
    """The redirection whose target the next word is."""
    arrays: bool = False
    in_brackets: bool = False
    """Whether a `[[` before it was not closed: what ends a command elsewhere does not end that one."""

    def add(self, text: str, value: int | None = None) -> None:
        """Lengthens the word, or begins one."""
        if self.word is None:
            self.word = Word()
        self.word.parts.append(text)
        if value is not None:
            self.word.values.append(value)

    def end_word(self) -> None:
        if self.word is None:
            return
        text = self.word.joined()
        if not self.target:
            self.words.append(self.word)
        elif self.target == "<<<" or self.target.endswith("&"):
            self.strings.append(Word(values=self.word.values, text=self.target + text))
        self.word, self.target = None, ""

    @property
    def typed(self) -> bool:
        """Tells whether it makes variables to which nothing can be assigned without being computed."""
        words = _command_words(self.words)
        return self.arrays or (bool(words) and words[0].text in _DECLARING and _attributes(words))


def open_brackets(command: Command) -> bool:
    """Tells whether a `[[` is open when the command ends."""
    words = _command_words(command.words)
    opened = command.in_brackets or (bool(words) and words[0].text == "[[")
    return opened and all(word.text != "]]" for word in command.words)


def reads_arithmetic(command: Command) -> bool:
    """Tells whether the command computes with the values of variables."""
    words = _command_words(command.words)
    brackets = command.in_brackets or (bool(words) and words[0].text == "[[")
    return (bool(words) and words[0].text == "let") or (brackets and any(word.text in _COMPUTING for word in words))


def evaluated(command: Command, *, typed: bool, numbers: bool) -> Iterator[int]:
    """Yields the positions of the values that would be code. `typed` tells that some variables are integers or
    arrays, `numbers` that some are computed with, anywhere in the text."""
    yield from _of_assignments(command.words, refused=typed or numbers)
    yield from _all(word for word in command.words if _ELEMENT.match(word.text))
    words = _command_words(command.words)
    if command.in_brackets:
        yield from _of_brackets(command.words)
    if words:
        yield from _of_builtin(words, numbers=numbers)
        yield from _of_programs(words)
    computed = numbers or _runs_code(words) or any(word.text in _COMPUTED for word in words)
    yield from _all(word for word in command.strings if computed or word.text.startswith((">&", "<&")))


def _of_assignments(words: Sequence[Word], *, refused: bool) -> Iterator[int]:
    for word in _after_keywords(words):
        match = _ASSIGNMENT.match(word.text)
        if match is None:
            if _SUBSCRIPT.match(word.text):
                yield from word.values
            return
        if refused or match[2] or match[1] in _COMPUTED:
            yield from word.values


def _after_keywords(words: Sequence[Word]) -> Sequence[Word]:
    at = 0
    if words and words[0].text in ("function", "coproc"):
        at = next((index for index, word in enumerate(words) if word.text == "{"), 1)
    while at < len(words) and words[at].text in _KEYWORDS:
        at += 1
    return words[at:]


def _command_words(words: Sequence[Word]) -> Sequence[Word]:
    """Returns the words from the name of the command on."""
    words = _after_keywords(words)
    at = 0
    while at < len(words) and (_ASSIGNMENT.match(words[at].text) or words[at].text in _PREFIXES):
        at += 1
    return words[at:]


def _all(words: Iterable[Word]) -> Iterator[int]:
    for word in words:
        yield from word.values


def _of_builtin(words: Sequence[Word], *, numbers: bool) -> Iterator[int]:
    name, rest = words[0].text, words[1:]
    texts = [word.text for word in rest]
    if SPAN in name or name in _EVALUATORS or name in _NAMING:
        yield from _all(rest)  # a value that names the command may name `eval`
    elif name in _DECLARING:
        yield from _of_declaration(words, numbers=numbers)
    elif name == "[[":
        yield from _of_brackets(rest)
    elif name in ("[", "test"):
        yield from _of_test(rest)
    elif name == "printf":
        if any(text.startswith("-v") for text in texts[:1]):
            yield from _all(rest)
    elif name in ("for", "select", "set") and (numbers or not _COMPUTED.isdisjoint(texts[:1])):
        yield from _all(rest)


def _of_declaration(words: Sequence[Word], *, numbers: bool) -> Iterator[int]:
    computed = numbers or _attributes(words)
    for word in words[1:]:
        match = _ASSIGNMENT.match(word.text)
        if computed or match is None or match[2] or match[1] in _COMPUTED:
            yield from word.values


def _attributes(words: Sequence[Word]) -> bool:
    """Tells whether a declaration has options beyond those that only export or protect."""
    options = [word.text[1:] for word in words[1:] if word.text[:1] in ("-", "+")]
    return any(SPAN in option or not set(option) <= set("xrgp-") for option in options)


def _of_brackets(rest: Sequence[Word]) -> Iterator[int]:
    """`[[` computes what it compares as numbers, and a subscript."""
    texts = [word.text for word in rest]
    if not _COMPUTING.isdisjoint(texts) or not _ASKING.isdisjoint(texts) or any(map(_SUBSCRIPT.match, texts)):
        yield from _all(rest)


def _of_test(rest: Sequence[Word]) -> Iterator[int]:
    """`test -v NAME` computes a subscript, and so does what a value that is `-v` stands before."""
    for before, word in pairwise(rest):
        if before.text in _ASKING or SPAN in before.text:
            yield from word.values


def _base(word: Word) -> str:
    return word.text.rpartition("/")[2]


def _runs_code(words: Sequence[Word]) -> bool:
    return any(_base(word) in _SHELLS or _INTERPRETER.fullmatch(_base(word)) for word in words)


def _of_programs(words: Sequence[Word]) -> Iterator[int]:
    read = False
    for at, word in enumerate(words):
        name = _base(word)
        if name in _SHELLS:
            yield from _of_code(words, at + 1, _SHELL_CODE, behind_words=False)
        elif name in _LIKE_SHELLS and not read:
            yield from _of_code(words, at + 1, _SHELL_CODE, behind_words=True)
            read = True  # up to the end
        elif _INTERPRETER.fullmatch(name):
            yield from _of_code(words, at + 1, _CODE, behind_words=False)
            yield from _all(word for word in words[at + 1 : at + 2] if word.text.startswith(SPAN))  # `-cimport os`
        elif name in _REMOTE and (at == 0 or words[0].text in _STARTERS):
            yield from _of_remote(words[at + 1 :], host=name == "ssh")
            return  # all that follows is what it reads


def _of_code(words: Sequence[Word], start: int, option: re.Pattern[str], *, behind_words: bool) -> Iterator[int]:
    """Yields the values in the code itself, not those in the arguments behind it."""
    coming = skipped = False
    for index in range(start, len(words)):
        word = words[index]
        text = word.text
        if skipped:
            skipped = False
        elif text.startswith(SPAN) and not coming:
            coming = True  # it may be `-c`, and then the next word is the code
        elif text[:1] in ("-", "+"):
            skipped = text in _WITH_ARGUMENT
            coming = coming or option.fullmatch(text) is not None
            yield from word.values if coming else ()
        elif coming:
            yield from word.values
            return
        elif not behind_words:
            return


def _of_remote(rest: Sequence[Word], *, host: bool) -> Iterator[int]:
    """Yields the values in what another shell reads: all words behind the host."""
    at = 0
    while host and at < len(rest) and rest[at].text.startswith("-"):
        at += 2 if rest[at].text in _SSH_WITH_ARGUMENT else 1
    yield from _all(rest[at + 1 if host else 0 :])
