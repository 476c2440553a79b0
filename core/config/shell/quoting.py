"""The places of a value in a shell command, and what is written there."""

from __future__ import annotations

from enum import Enum

from ...errors import UsageError


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
    ARITHMETIC = "inside `((…))` or `$[…]`"
    HEREDOC = "inside a here-document"
    EVALUATED = "where a shell or a program takes it for code"
    PASSED_ON = "in what a shell or a program takes for code later"
    UNSURE = "behind something that shells read in different ways"


_QUOTES = {Quoting.BARE: "", Quoting.DOUBLE: '"', Quoting.SINGLE: "'", Quoting.COMMENT: ""}
FILLED = frozenset(_QUOTES)
"""The places that can be filled in."""
_VARIABLE_HINT = 'give it to the step as a variable (`env: {X: …}`) and write "$X" here'
_HINTS = {
    Quoting.ARITHMETIC: "compute it in the program; or give it to the step as a variable (`env: {X: …}`) and let"
    ' `case $X in ""|*[!0-9]*) exit 2;; esac` refuse what is no number before "$X" is used here',
    Quoting.EVALUATED: "give it to the step as a variable (`env: {X: …}`), which the code reads by its name"
    ' (`sh -c \'echo "$X"\'`, `os.environ["X"]`), or as an argument behind the code (`sh -c \'echo "$1"\' sh …`)',
    Quoting.PASSED_ON: 'write each "$x" and "$(…)" that it goes through in double quotes; and let code read it by the'
    " name of a variable of the step (`env: {X: …}`, `sh -c 'echo \"$X\"'`), or as an argument behind the code"
    " (`sh -c 'echo \"$1\"' sh …`)",
    Quoting.UNSURE: 'give it to the step as a variable (`env: {X: …}`) and write "$X" here; or put the command into a'
    " script",
}


def refusal(place: Quoting, name: str) -> UsageError | None:
    """Returns the error of a place that cannot be filled in; None if it can."""
    if place in _QUOTES:
        return None
    return UsageError(
        f"`${{{{ {name} }}}}` stands {place.value}, where nothing keeps a value a value",
        hint=_HINTS.get(place, _VARIABLE_HINT),
    )


def quoted(value: str, place: Quoting) -> str:
    """Returns the value as a person would write it in that place, for commands that are shown."""
    if place is Quoting.COMMENT:
        value = " ".join(value.split())
    around = _QUOTES[place]
    return around + "'" + value.replace("'", "'\"'\"'") + "'" + around


def reference(variable: str, place: Quoting) -> str:
    """Returns what stands for a value in that place of the command that is run: the variable that has it."""
    return f'{_QUOTES[place]}"${{{variable}}}"{_QUOTES[place]}'
