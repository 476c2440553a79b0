"""Frozen dataclasses whose methods are made when the first value is made.

To make the methods of one dataclass takes about as long as to import a small module (4 million instructions of Python
3.11), and a command uses a third of those that it imports: with all of them made, `podium status` took a third longer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any, dataclass_transform

_FIELDS = "__dataclass_fields__"  # what dataclasses, and all that works with them, ask a class for
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
            dataclass(frozen=True)(cls)
            delattr(cls, "__setstate__")
            type.__setattr__(cls, "__class__", _Made)


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
