"""Asks about many environments: of several engines at once, of each engine about one after the other. Most of it is
waiting, and an engine that is silent keeps nobody waiting but its own environments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from ... import plugins
from ...domain.project import Environment, Project

T = TypeVar("T")
# Engines that are asked at the same time.
MAX_PARALLEL = 16


def of_each(project: Project, environments: Iterable[Environment], look: Callable[[Environment], T]) -> list[T]:
    """Returns what `look` returns of each environment, in their order. Where they have several engines it is called in
    other threads, and must use a journal of its thread's own. Raises the first error that it lets out."""
    wanted = list(environments)
    served = sum(plugins.driver_capabilities(each.driver).engine for each in wanted)
    if len(wanted) < 2 or not served:
        return [look(each) for each in wanted]
    from ...containers.engine.several import in_lines
    from ...containers.observe.by_engine import grouped

    found: dict[str, T] = {}
    lines = [[(each.name, partial(look, each)) for each in group] for group in grouped(project, wanted).values()]
    in_lines(lines, found.__setitem__, most=MAX_PARALLEL, reading=True)
    return [found[each.name] for each in wanted]
