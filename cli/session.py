"""What every command shares: which project it is about, and the façade opened on it for just that command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..core.cockpit import Cockpit

directory: ContextVar[Path | None] = ContextVar("directory", default=None)

_DIRECTORY = Annotated[
    Path | None, typer.Option("-C", "--directory", metavar="DIR", help="Work as if started in DIR.", show_default=False)
]


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `-C DIR`, and the opened project where its first parameter is called `cockpit`. What it returns
    is the exit code."""
    signature = inspect.signature(function, eval_str=True)
    parameters = list(signature.parameters.values())
    wants_cockpit = bool(parameters) and parameters[0].name == "cockpit"
    shown = parameters[1:] if wants_cockpit else parameters
    own = inspect.Parameter("directory_", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_DIRECTORY)

    @functools.wraps(function)
    def call(*, directory_: Path | None = None, **values: Any) -> Any:
        if directory_ is not None:
            directory.set(directory_)
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


def start() -> Path:
    """The directory that the call is about. UsageError when `-C` names none."""
    chosen = directory.get()
    if chosen is None:
        return Path.cwd()
    if not chosen.is_dir():
        from ..core.errors import UsageError

        raise UsageError(f"-C {chosen}: there is no such directory")
    return chosen


def opened() -> Cockpit:
    from ..core.cockpit import Cockpit

    return Cockpit.open(start())
