"""What every command needs: the project that it is about, and the façade, opened for this command only."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from ..core.cockpit import Cockpit

directory: ContextVar[Path | None] = ContextVar("directory", default=None)

# More than a number of the journal can be.
_TOO_MANY = 1 << 62

_DIRECTORY = Annotated[
    Path | None, typer.Option("-C", "--directory", metavar="DIR", help="Work as if started in DIR.", show_default=False)
]


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `-C DIR` to a command, and passes it the opened project if its first parameter is called `cockpit`. A
    parameter whose type is a dataclass becomes an option for each of its fields. The command returns the exit code."""
    signature = inspect.signature(function, eval_str=True)
    parameters = list(signature.parameters.values())
    wants_cockpit = bool(parameters) and parameters[0].name == "cockpit"
    own_parameters = parameters[1:] if wants_cockpit else parameters
    spread = {each.name: each.annotation for each in own_parameters if is_dataclass(each.annotation)}
    shown = [each for each in own_parameters if each.name not in spread]
    shown += [option for kind in spread.values() for option in _options(kind)]
    own = inspect.Parameter("directory_", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_DIRECTORY)

    @functools.wraps(function)
    def call(*, directory_: Path | None = None, **values: Any) -> Any:
        if directory_ is not None:
            directory.set(directory_)
        _ensure_numbers(values)
        for name, kind in spread.items():
            values[name] = kind(**{field.name: values.pop(field.name) for field in fields(kind)})
        if not wants_cockpit:
            return function(**values)
        cockpit = opened()
        try:
            return function(cockpit, **values)
        finally:
            cockpit.close()

    call.__signature__ = signature.replace(parameters=[*shown, own])  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in [*shown, own]}
    return call


def _ensure_numbers(values: Mapping[str, Any]) -> None:
    """Raises UsageError for a number that nothing here can be, before it reaches something that cannot hold it."""
    for value in values.values():
        if isinstance(value, int) and abs(value) >= _TOO_MANY:
            from ..core.errors import UsageError

            raise UsageError(f"{value} is too large a number")


def _options(kind: Any) -> list[inspect.Parameter]:
    """Returns a parameter for each field of a dataclass, with the field's default and annotation."""
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name])
        for each in fields(kind)
    ]


def start() -> Path:
    """Returns the directory that the call is about. Raises UsageError if `-C` names none."""
    chosen = directory.get()
    if chosen is None:
        return Path.cwd()
    if not chosen.is_dir():
        from ..core.errors import UsageError

        raise UsageError(f"-C {chosen}: no such directory")
    return chosen


def opened() -> Cockpit:
    """Returns the façade of the project that the call is about."""
    from ..core.cockpit import Cockpit

    return Cockpit.open(start(), say=tell)


def tell(text: str) -> None:
    """Says what opening the project has found out."""
    from .text.diagnostics import note

    for line in text.splitlines():
        note(line, style="yellow")
