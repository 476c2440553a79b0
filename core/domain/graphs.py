"""Algorithms on a graph of names, for the configuration (is it acyclic?) and the engine (in what order?)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def find_cycle(needs: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Returns a cycle as `[a, b, c, a]`, in which each name needs the next one; None if there is none. Names that
    are not keys are ignored.

    It is iterative, so that a chain of any length cannot exhaust the stack.
    """
    done: set[str] = set()
    for start in needs:
        if start in done:
            continue
        path = [start]
        on_path = {start}
        pending = [iter(needs[start])]
        while pending:
            name = next(pending[-1], None)
            if name is None:
                pending.pop()
                last = path.pop()
                on_path.discard(last)
                done.add(last)
            elif name in on_path:
                return [*path[path.index(name) :], name]
            elif name in needs and name not in done:
                path.append(name)
                on_path.add(name)
                pending.append(iter(needs[name]))
    return None


def reaches(needs: Mapping[str, Sequence[str]], start: str, goal: str) -> bool:
    """Tells whether `start` needs `goal`, directly or indirectly. Cycles and unknown names are harmless."""
    pending, seen = [start], {start}
    while pending:
        for name in needs.get(pending.pop(), ()):
            if name == goal:
                return True
            if name not in seen:
                seen.add(name)
                pending.append(name)
    return False
