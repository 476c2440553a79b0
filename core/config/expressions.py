"""`${{ params.x }}` in texts, and the small language of `when:`.

    render("--depth ${{ matrix.depth }}", {"matrix": {"depth": 8}}, quote=True)
    evaluate_when("params.fast != 'yes' and branch == 'main'", {"params": {...}, "run": {"branch": "main", "trigger":
    "push"}})

Namespaces of values: `params`, `matrix` (of the cell), `run` (`trigger`, `branch`; written without a namespace), and
for `when:` also `needs`: `{"train.state": "failed", …}`, one entry for each step before this one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..domain.frozen import Frozen
from ..domain.project import Scalar
from ..errors import UsageError
from .conditions import evaluate, parse
from .shell import Quoting, places, quoted

Values = Mapping[str, Mapping[str, Scalar]]

_PLACEHOLDER = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
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
    for match in _PLACEHOLDER.finditer(template):
        name = _NAME.fullmatch(match[1])
        if name is None:
            raise UsageError(
                f"`{match[0]}` is not the name of a value", hint="write ${{ params.NAME }} or ${{ matrix.NAME }}"
            )
        found.append(Placeholder(name[1], name[2], match.start(), match.end()))
    if "${{" in _PLACEHOLDER.sub("", template):
        raise UsageError("`${{` is not closed by `}}`")
    return found


def text_of(value: Scalar) -> str:
    """Returns the text of a value in a command, a name or a comparison."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def render(template: str, values: Values, *, quote: bool) -> str:
    """Returns the template with its values filled in.

    With `quote` the template is a shell command, and each value arrives unchanged, as part of the word around it,
    whether bare or between double or single quotes; nothing in it can become shell. Raises UsageError for an unknown
    name, for a place where no quoting can hold (inside backquotes, `${…}`, `$((…))` or a here-document), and for a
    value with a NUL byte.
    """
    found = placeholders(template)
    where = places(template, [(each.start, each.end) for each in found]) if quote else [Quoting.BARE] * len(found)
    parts: list[str] = []
    position = 0
    for each, place in zip(found, where, strict=True):
        value = text_of(_lookup(each, values))
        parts += (template[position : each.start], quoted(value, place, str(each)) if quote else value)
        position = each.end
    return "".join((*parts, template[position:]))


def check_template(template: str, *, quote: bool) -> list[Placeholder]:
    """Returns the placeholders if `render` can fill them in. Raises UsageError otherwise."""
    found = placeholders(template)
    if quote and found:
        for each, place in zip(found, places(template, [(each.start, each.end) for each in found]), strict=True):
            quoted("", place, str(each))
    return found


def _lookup(each: Placeholder, values: Values) -> Scalar:
    names = values.get(each.namespace)
    if names is None or each.name not in names:
        known = [f"{space}.{name}" for space in values for name in values[space]]
        raise UsageError(f"`${{{{ {each} }}}}` has no value", hint=_near(str(each), known))
    return names[each.name]


def _near(word: str, known: Iterable[str]) -> str:
    from .reader import did_you_mean

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
