"""`${{ params.x }}` in texts, and the small language of `when:`.

    render("model-${{ matrix.depth }}", {"matrix": {"depth": 8}})
    shell_command("train --depth ${{ matrix.depth }}", {"matrix": {"depth": 8}}).script
    evaluate_when("params.fast != 'yes' and branch == 'main'", {"params": {...}, "run": {"branch": "main", "trigger":
    "push"}})

Namespaces of values: `params`, `matrix` (of the cell), `run` (`trigger`, `branch`; written without a namespace), and
for `when:` also `needs`: `{"train.state": "failed", …}`, one entry for each step before this one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from ..domain.frozen import Frozen
from ..domain.project import Scalar
from ..errors import UsageError
from .conditions import evaluate, parse
from .reader import did_you_mean, shorten
from .shell.quoting import Quoting, quoted, reference, refusal

Values = Mapping[str, Mapping[str, Scalar]]

MAX_NAME = 200
"""Characters between `${{` and `}}`."""
VARIABLE = "PODIUM_VALUE_"
"""How the variables that have the values of a command begin."""
_NAME = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_-]*)\.([A-Za-z_][A-Za-z0-9_-]*)\s*", re.ASCII)


class Placeholder(Frozen):
    """A `${{ }}` in a template; `start` and `end` are its position."""

    namespace: str
    name: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.namespace}.{self.name}"


def placeholders(template: str) -> list[Placeholder]:
    """Returns the placeholders of a template, in order. Raises UsageError if one is not closed or does not name a
    value."""
    if "${{" not in template:
        return []
    found: list[Placeholder] = []
    start = template.find("${{")
    while start >= 0:
        end = template.find("}}", start + 3)
        if end < 0:
            raise UsageError(f"`${{{{` is not closed by `}}}}`{_line_of(template, start)}")
        written = template[start + 3 : end]
        name = _NAME.fullmatch(written) if len(written) <= MAX_NAME else None
        if name is None:
            shown = shorten("${{" + written + "}}")
            hint = "write ${{ params.NAME }} or ${{ matrix.NAME }}"
            raise UsageError(f"`{shown}`{_line_of(template, start)} is not the name of a value", hint=hint)
        found.append(Placeholder(name[1], name[2], start, end + 2))
        start = template.find("${{", end + 2)
    return found


def _line_of(template: str, position: int) -> str:
    """Says where in a text of several lines a position is."""
    line = template.count("\n", 0, position) + 1
    return f" in line {line} of the text" if "\n" in template.strip() else ""


def text_of(value: Scalar) -> str:
    """Returns the text of a value in a command, a name or a comparison."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def render(template: str, values: Values) -> str:
    """Returns the template with its values filled in. Raises UsageError for an unknown name."""
    found = placeholders(template)
    return _joined(template, found, [text_of(_lookup(each, values)) for each in found])


class ShellCommand(Frozen):
    """A command with its values. Nothing in a value can become shell: the shell sees only names of variables."""

    script: str
    """What the shell runs."""
    variables: Mapping[str, str]
    """What it needs in its environment."""
    shown: str
    """The same for people, with the values in their places."""


def shell_command(template: str, values: Values) -> ShellCommand:
    """Returns the command of a template. Each value arrives unchanged, as part of the word around it, whether bare or
    between double or single quotes.

    Raises UsageError for an unknown name, for a place where a value would not stay a value (`shell.Quoting`), and for
    a value with a NUL byte.
    """
    found = _checked(template)
    names: dict[str, str] = {}
    variables: dict[str, str] = {}
    for each, _ in found:
        value = text_of(_lookup(each, values))
        if "\0" in value:
            raise UsageError(f"the value of {each} holds a NUL byte", hint="remove it: no command accepts one")
        variables[names.setdefault(str(each), f"{VARIABLE}{len(names) + 1}")] = value
    spots = [each for each, _ in found]
    shown = [quoted(variables[names[str(each)]], place) for each, place in found]
    script = [reference(names[str(each)], place) for each, place in found]
    return ShellCommand(_joined(template, spots, script), variables, _joined(template, spots, shown))


def check_template(template: str, *, command: bool) -> list[Placeholder]:
    """Returns the placeholders if they can be filled in; with `command`, in a shell command. Raises UsageError
    otherwise."""
    return [each for each, _ in _checked(template)] if command else placeholders(template)


@lru_cache(maxsize=256)
def _checked(template: str) -> tuple[tuple[Placeholder, Quoting], ...]:
    """Returns the placeholders of a command with their places. Kept: each cell of a matrix asks for the same."""
    found = placeholders(template)
    if not found:
        return ()
    from .shell.judge import places  # costs as much as all else that looking at a project imports

    where = places(template, [(each.start, each.end) for each in found])
    for each, place in zip(found, where, strict=True):
        error = refusal(place, str(each))
        if error is not None:
            raise UsageError(f"{error.message}{_line_of(template, each.start)}", hint=error.hint)
    return tuple(zip(found, where, strict=True))


def _joined(template: str, found: Iterable[Placeholder], texts: Iterable[str]) -> str:
    parts: list[str] = []
    position = 0
    for each, text in zip(found, texts, strict=True):
        parts += (template[position : each.start], text)
        position = each.end
    return "".join((*parts, template[position:]))


def _lookup(each: Placeholder, values: Values) -> Scalar:
    names = values.get(each.namespace)
    if names is None or each.name not in names:
        known = [f"{space}.{name}" for space in values for name in values[space]]
        raise UsageError(f"`${{{{ {each} }}}}` has no value", hint=_near(str(each), known))
    return names[each.name]


def _near(word: str, known: Iterable[str]) -> str:
    return did_you_mean(word, known)


def evaluate_when(expr: str, values: Values) -> bool:
    """Tells whether a step's `when:` holds; an empty one does. Raises UsageError if it is not an expression or names
    an unknown value."""
    return not expr.strip() or evaluate(parse(expr), values, text_of)


def when_names(expr: str) -> list[str]:
    """Returns the values that an expression names (`params.x`, `branch`, `needs.train.state`). Raises UsageError if
    it is not an expression."""
    return [] if not expr.strip() else list(parse(expr).names)


def looks_at_outcome(expr: str) -> bool:
    """Tells whether the expression itself decides what a failed need means (`always()`, `failed()`, `needs.…`).

    A step without such an expression runs only if all its needs succeeded.
    """
    if not expr.strip():
        return False
    parsed = parse(expr)
    return bool(parsed.functions) or any(name.startswith("needs.") for name in parsed.names)
