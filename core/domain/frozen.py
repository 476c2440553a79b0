"""Frozen dataclasses whose methods are made when the first value is made.

To make the methods of one dataclass takes about as long as to import a small module (4 million instructions of Python
3.11), and a command uses a third of those that it imports: with all of them made, `podium status` took a third longer.
What compares, hashes and shows a value is the same code here for all classes: a tenth less to make.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import attrgetter
from threading import RLock
from typing import TYPE_CHECKING, Any, cast, dataclass_transform

_FIELDS = "__dataclass_fields__"  # what dataclasses, and all that works with them, ask a class for
_COMPARED = "_compared"  # where a class keeps what gets the fields by which its values are told apart
_making = RLock()


class _NotYet:
    """Stands for the fields of a class: makes its methods when they are asked for, by a subclass too."""

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def __get__(self, instance: object, owner: type) -> Any:
        _make(self._cls)
        return getattr(owner, _FIELDS)


class _Made(type):
    """The class of classes that have their methods."""


class _Late(_Made):
    """The class of classes that do not have them yet."""

    if not TYPE_CHECKING:  # for a type checker, it is called with the fields

        def __call__(cls, *values, **named):
            _make(cls)
            return type.__call__(cls, *values, **named)


def _make(cls: type) -> None:
    with _making:
        if isinstance(cls.__dict__.get(_FIELDS), _NotYet):
            dataclass(frozen=True, eq=False, repr=False)(cls)
            delattr(cls, "__setstate__")
            type.__setattr__(cls, "__class__", _Made)


def _compared(value: object) -> Any:
    """Returns the fields by which a value is told apart from others of its class."""
    cls = type(value)
    get = cls.__dict__.get(_COMPARED)
    if get is None:
        names = [each.name for each in fields(cast("Any", cls)) if each.compare]
        get = attrgetter(*names) if names else type
        setattr(cls, _COMPARED, get)
    return get(value)


def _set_state(self: object, state: dict[str, Any]) -> None:
    """Restores a pickled value, which may be the first of its class."""
    _make(type(self))
    self.__dict__.update(state)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Frozen(metaclass=_Late):
    """The base of frozen dataclasses, which are used like any other, with `field`, `replace`, `asdict` and so on."""

    def __init_subclass__(cls) -> None:
        setattr(cls, _FIELDS, _NotYet(cls))
        setattr(cls, "__setstate__", _set_state)  # noqa: B010
        type.__setattr__(cls, "__class__", _Late)

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return bool(_compared(self) == _compared(other))

    def __hash__(self) -> int:
        return hash(_compared(self))

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{each.name}={getattr(self, each.name)!r}" for each in fields(cast("Any", self)) if each.repr
        )
        return f"{type(self).__qualname__}({shown})"
