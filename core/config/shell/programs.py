"""What programs run: shells and interpreters the text behind an option, or what they read; `env`, `sudo` and their
like the command behind their options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .words import ASSIGNMENT, SPAN, SPLIT, Command, Flow, Node, Word

Source = Word | Flow | Node | str
"""Where values come from: a word, what is put into it, what a command reads or writes, or a name."""

ENVIRONMENT = "the environment"
"""The name of what `env` writes."""
COMPUTED = frozenset(
    {"PS0", "PS1", "PS2", "PS4", "ENV", "BASH_ENV", "PROMPT_COMMAND", "RANDOM", "OPTIND", "HISTCMD", "LINENO"}
    | {"SECONDS", "SRANDOM", "BASH_ARGV0", "EPOCHSECONDS", "LD_PRELOAD", "SHELLOPTS", "BASHOPTS"}
    | {"GIT_SSH_COMMAND", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_PAGER", "EDITOR", "VISUAL", "PAGER", "LESSOPEN"}
)
"""Variables whose values are expanded, computed or run."""

_SHELLS = frozenset(
    {"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "rbash", "rksh", "rzsh", "lksh", "oksh", "loksh", "pdksh"}
    | {"csh", "tcsh", "fish", "yash", "hush", "posh", "bosh", "gash", "osh", "ysh", "sash", "nu", "xonsh", "elvish"}
    | {"pwsh", "powershell"}
)
_VERSION = re.compile(r"(?:-?[0-9][0-9.]*|[-.]static)$")
_INTERPRETER = re.compile(
    r"(?:i?python|pypy|perl|ruby|php|lua|tclsh)[0-9.]*|node|nodejs|bun|Rscript|luajit|julia|raku|octave|expect"
)
_LIKE_SHELLS = frozenset({"su", "runuser", "script", "sg"})
_REMOTE = frozenset({"ssh", "rsh", "slogin", "autossh"})
_JOINING = frozenset({"watch", "parallel", "tmux", "bsub"})
_QUEUES = frozenset({"sbatch", "qsub", "bsub"})
_SHELL_CODE = re.compile(r"-[A-Za-z]*[cC][A-Za-z]*|--(?:init-)?commands?(=.*)?", re.DOTALL)
_CODE = re.compile(r"-[A-Za-z]*[cerpE]|--(eval|print|run)(=.*)?|-[ceErp].*[\0\2].*", re.DOTALL)
_NO_INPUT = re.compile(r"-[A-Za-z]*[cerpEmf]|-m.*|--(eval|print|run|version|help).*", re.DOTALL)
_INPUT = re.compile(r"-|/dev/stdin|/dev/fd/[0-9]+|/proc/self/fd/[0-9]+")
_WITH_ARGUMENT = frozenset({"-o", "-O", "+o", "+O", "--rcfile", "--init-file", "-W", "-X", "-I", "-M"})
_SSH_WITH_ARGUMENT = frozenset(f"-{letter}" for letter in "BbcDEeFIiJLlmOopQRSWw")
_SSH_COMMAND = re.compile(r"-o\s*(?:\w*Command|Match\b|[\0\2])", re.IGNORECASE)

# Programs that run the command behind their options: the letters of those that have an argument, and how many other
# words stand before the command.
_WRAPPERS = {
    "sudo": ("ugpCTrtDRUh", 0), "doas": ("uC", 0), "env": ("uCS", 0), "nice": ("n", 0), "ionice": ("cnpPu", 0),
    "chrt": ("TPDp", 1), "taskset": ("", 1), "timeout": ("ks", 1), "nohup": ("", 0), "setsid": ("", 0),
    "stdbuf": ("ioe", 0), "xargs": ("EILnPsda", 0), "flock": ("wEc", 1), "unshare": ("SGRw", 0), "chroot": ("", 1),
    "time": ("fo", 0), "busybox": ("", 0), "toybox": ("", 0), "screen": ("cehpsStTX", 0), "strace": ("aeEoOPsSuX", 0),
    "sshpass": ("pfdP", 0), "numactl": ("NmCilp", 0), "nsenter": ("tSG", 0), "setpriv": ("", 0), "gosu": ("", 1),
    "systemd-run": ("puGMEH", 0), "catchsegv": ("", 0), "xvfb-run": ("efnpsw", 0), "su-exec": ("", 1),
    "tini": ("pe", 0), "dumb-init": ("r", 0), "unbuffer": ("", 0), "torsocks": ("", 0), "eatmydata": ("", 0),
}  # fmt: skip
_LONG_WITH_ARGUMENT = frozenset(
    {"--user", "--group", "--signal", "--kill-after", "--unset", "--chdir", "--adjustment", "--max-args", "--max-procs"}
    | {"--delimiter", "--arg-file", "--max-lines", "--input", "--output", "--error", "--class", "--classdata", "--role"}
    | {"--timeout", "--host", "--prompt", "--type", "--close-from", "--chroot", "--argv0", "--command", "-dmS"}
)
# Others that run a command, at a place that is not looked for.
_RUNNERS = frozenset(
    {"docker", "podman", "nerdctl", "kubectl", "oc", "lxc", "find", "uv", "uvx", "poetry", "pipenv", "conda", "mamba"}
    | {"micromamba", "hatch", "pdm", "pixi", "srun", "mpirun", "mpiexec", "gdb", "valgrind", "perf", "firejail"}
    | {"bwrap", "machinectl", "pkexec", "entr"}
)
_BEFORE_COMMAND = frozenset({"run", "exec", "--", "uvx", "srun", "mpirun", "mpiexec", "valgrind", "firejail", "pkexec"})
_MAX_ARGUMENTS = 1000
_EXEC = frozenset({"-exec", "-execdir", "-ok", "-okdir"})


@dataclass(frozen=True, slots=True)
class Code:
    """Something that is read as code."""

    sources: Sequence[Source]
    text: str = ""
    """It, as far as it is known, if a shell reads it."""
    arguments: Sequence[Word] | None = None
    """What that shell has as `$0`, `$1`, …; None for a shell that has it already."""


def code(words: Sequence[Word], arguments: Sequence[Word] | None = None) -> Code:
    """Returns the words as what a shell reads."""
    return Code(words, " ".join(word.text for word in words), arguments)


def of_programs(words: Sequence[Word], command: Command) -> Iterator[Code]:
    """Yields what the programs that a command starts read as code; `words` are those of the command from its name on,
    which may be more than it was written with."""
    ranges, start = _wrappers(words)
    for name, begin, end in ranges:
        yield from _of_wrapper(name, words[begin:end])
        if name in ("env", "screen") and _may_split(name, words[begin:end]):
            yield code(words[begin:])
            return  # all that follows is in it
    if start < len(words):
        yield from _of_name(words[start:], command)
        if ranges and ranges[-1][0] == "env" and words[start].text[:1] == SPAN and words[start - 1].text != "--":
            yield Code(words[start:])  # it may be `-S`
        yield from _of_places(words, start)
    yield from _of_shells(words, command)
    if _reads_code(words, start):
        yield Code((command.stdin,))
        for sign, word in command.redirects:
            if sign in ("<<", "<<<"):
                yield code((word,), ())


def contents(word: Word, command: Command) -> Code:
    """Returns what is in the file that a word names, if values may be."""
    sources: list[Source] = [flow for flow in word.flows() if flow.file == "<"]
    if _INPUT.fullmatch(word.text):
        sources.append(command.stdin)
    return Code([*sources, *filter(None, [word.file])])


def _runs_code(words: Sequence[Word]) -> bool:
    return any(_is_shell(word.base) or _INTERPRETER.fullmatch(word.base) for word in words)


def wrapped_assignments(words: Sequence[Word]) -> Iterator[Word]:
    """Yields the words with which `env` or `sudo` assigns variables."""
    for name, begin, end in _wrappers(words)[0]:
        if name in ("env", "sudo"):
            yield from (word for word in words[begin:end] if ASSIGNMENT.match(word.text))


def prints_environment(words: Sequence[Word]) -> bool:
    """Tells whether a command writes the values of all variables as they are, among which is each value of a step."""
    ranges, start = _wrappers(words)
    if not all(word.vanishes for word in words[start:]):
        return words[start].base == "printenv"
    return bool(ranges) and ranges[-1][0] == "env"


def _is_shell(name: str) -> bool:
    return name in _SHELLS or _VERSION.sub("", name) in _SHELLS


def _wrappers(words: Sequence[Word]) -> tuple[list[tuple[str, int, int]], int]:
    """Returns the name of each program that only runs another one, with where it begins and ends, and where the command
    begins that they run."""
    found: list[tuple[str, int, int]] = []
    at = 0
    while at < len(words) and words[at].base in _WRAPPERS:
        name, begin = words[at].base, at
        at = _behind(words, at + 1, name)
        found.append((name, begin, at))
    return found, at


def _behind(words: Sequence[Word], at: int, name: str) -> int:
    letters, operands = _WRAPPERS[name]
    while at < len(words):
        text = words[at].text
        if text[:1] == "-":
            at += 2 if _has_argument(text, letters) or (name == "flock" and text == "--wait") else 1
        elif name in ("env", "sudo") and ASSIGNMENT.match(text):
            at += 1
        elif operands or words[at].vanishes:
            operands -= operands > 0
            at += 1
        else:
            break
    return min(at, len(words))


def _has_argument(option: str, letters: str) -> bool:
    """Tells whether the next word belongs to the option, which may be several letters (`-nu`)."""
    if option in _LONG_WITH_ARGUMENT:
        return True
    found = [index for index, letter in enumerate(option[1:], 2) if letter in letters]
    return option[1:2] != "-" and bool(found) and found[0] == len(option)


def _of_wrapper(name: str, words: Sequence[Word]) -> Iterator[Code]:
    """Yields what may be code before the command that a program runs."""
    for before, word in pairwise(words):
        assigned = ASSIGNMENT.match(word.text)
        if SPLIT in word.text or (assigned and assigned[1] in COMPUTED):
            yield Code((word,))
        if name == "flock" and before.text in ("-c", "--command"):
            yield code((word,), ())


def _may_split(name: str, words: Sequence[Word]) -> bool:
    """Tells whether `env` reads a text as words (`-S`), or `screen` what follows as its own commands (`-X`)."""
    letter = "S" if name == "env" else "X"
    options = [word.text for word in words[1:] if word.text[:1] == "-"]
    return any(text.startswith("--split-string") or (text[1:2] != "-" and letter in text[1:]) for text in options)


def _of_name(words: Sequence[Word], command: Command) -> Iterator[Code]:
    name = words[0].text
    if SPLIT in name:
        yield Code(words)
    elif SPAN in name:
        yield Code(words[1:])  # a value that names the command may name `eval`
    else:
        yield contents(words[0], command)


def _of_places(words: Sequence[Word], start: int) -> Iterator[Code]:
    """Yields what is code for a program that is no shell, but has one run it."""
    name, rest = words[start].base, words[start + 1 :]
    if name in _REMOTE:
        yield from _of_remote(rest)
    elif name in _JOINING:
        yield code(rest, ())
    elif name in _QUEUES:
        yield from (code((word,), ()) for before, word in pairwise(rest) if before.text == "--wrap")
        yield from (Code((word,)) for word in rest if word.text.startswith("--wrap="))
    elif name in _RUNNERS:
        yield from (Code((word,)) for before, word in pairwise(words) if _runs(before, word))
    if name == "find":
        yield from (Code((word,)) for word in rest if SPLIT in word.text)
        for at, (before, word) in enumerate(pairwise(rest)):
            if before.text in _EXEC and SPAN in word.text:
                yield Code(rest[at + 2 :])
                return


def _runs(before: Word, word: Word) -> bool:
    return before.text in _BEFORE_COMMAND and SPLIT in word.text


def _of_shells(words: Sequence[Word], command: Command) -> Iterator[Code]:
    read = False
    for at, word in enumerate(words):
        name = word.base
        if _is_shell(name):
            yield from _of_code(words, at + 1, _SHELL_CODE, command, is_shell=True)
        elif name in _LIKE_SHELLS and not read:
            yield from _of_user(words, at + 1)
            read = True  # up to the end
        elif _INTERPRETER.fullmatch(name):
            yield from _of_code(words, at + 1, _CODE, command, is_shell=False)
            yield from (Code((word,)) for word in words[at + 1 : at + 2] if word.text.startswith(SPAN))  # `-cimport os`


def _of_code(
    words: Sequence[Word], start: int, option: re.Pattern[str], command: Command, *, is_shell: bool
) -> Iterator[Code]:
    """Yields the code itself, not the arguments behind it; or what is in the file that is run."""
    coming = skipped = False
    for index in range(start, len(words)):
        word = words[index]
        text = word.text
        if SPLIT in text:
            coming = True
            yield Code((word,))
        elif skipped:
            skipped = False
        elif text.startswith(SPAN) and not coming:
            coming = True  # it may be `-c`, and then the next word is the code
        elif text[:1] in ("-", "+") and (coming or text not in ("-", "--")):
            skipped = text in _WITH_ARGUMENT
            coming = coming or option.fullmatch(text) is not None
            if coming:
                yield Code((word,))
        elif coming:
            yield code((word,), words[index + 1 : index + _MAX_ARGUMENTS]) if is_shell else Code((word,))
            if not word.vanishes:
                return
        else:
            yield contents(words[index + 1] if text == "--" and index + 1 < len(words) else word, command)
            return


def _of_user(words: Sequence[Word], start: int) -> Iterator[Code]:
    """Yields the code of `su` and its like, whose options may stand behind the user."""
    coming = False
    for index in range(start, len(words)):
        word = words[index]
        text = word.text
        if text[:1] == "-" and text != "--":
            coming = coming or _SHELL_CODE.fullmatch(text) is not None
            if coming:
                yield Code((word,))
        elif coming:
            yield code((word,), words[index + 1 :])
            return
        elif text[:1] in (SPAN, SPLIT):
            coming = True
            if SPLIT in text:
                yield Code((word,))
        elif text == "--":
            return


def _of_remote(rest: Sequence[Word]) -> Iterator[Code]:
    """Yields what another shell reads: all words behind the host."""
    at = 0
    while at < len(rest) and rest[at].text.startswith("-"):
        option = rest[at : at + (2 if rest[at].text in _SSH_WITH_ARGUMENT else 1)]
        if _SSH_COMMAND.match("".join(word.text for word in option)):
            yield Code(option)
        at += len(option)
    yield from (Code((word,)) for word in rest[: at + 1] if SPLIT in word.text)
    if at + 1 < len(rest):
        yield code(rest[at + 1 :], ())


def _reads_code(words: Sequence[Word], start: int) -> bool:
    """Tells whether a command takes what it reads for code."""
    if start >= len(words):
        return any(word.base in ("chroot", "unshare", "nsenter") or word.text in ("-s", "-i") for word in words)
    name, rest = words[start].base, words[start + 1 :]
    if name in _REMOTE:
        at = 0
        while at < len(rest) and rest[at].text.startswith("-"):
            at += 2 if rest[at].text in _SSH_WITH_ARGUMENT else 1
        return at + 1 >= len(rest)
    texts = [word.text for word in rest]
    if name in ("su", "runuser", "script"):
        return not any(map(_SHELL_CODE.fullmatch, texts)) and "--" not in texts
    if name in ("at", "batch", "crontab", "parallel"):
        return "-f" not in texts and ":::" not in texts and (name != "crontab" or "-" in texts)
    if name in _QUEUES:
        return all(text[:1] == "-" for text in texts)
    if _runs_code(words[start : start + 1]):
        return _reads_script(words, start)
    if name in _RUNNERS:
        return any(_reads_script(words, at) for at in range(start, len(words)) if _runs_code(words[at : at + 1]))
    return False


def _reads_script(words: Sequence[Word], at: int) -> bool:
    """Tells whether the shell or the interpreter at a place has neither code nor a file to run."""
    options = _SHELL_CODE if _is_shell(words[at].base) else _NO_INPUT
    skipped = False
    for word in words[at + 1 :]:
        text = word.text
        if skipped:
            skipped = False
        elif _INPUT.fullmatch(text):
            return True
        elif text[:1] in ("-", "+"):
            if options.fullmatch(text):
                return False
            if re.fullmatch(r"-[a-z]*s[a-z]*", text) and options is _SHELL_CODE:
                return True
            skipped = text in _WITH_ARGUMENT
        elif text[:1] not in (SPAN, SPLIT) and not (options is _SHELL_CODE and word.vanishes):
            return text == ";"  # of `find`
    return True
