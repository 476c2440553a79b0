"""Questions about a graph of names, asked by the config (is it sound?) and by the engine (in what order?)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def find_cycle(needs: Mapping[str, Sequence[str]]) -> list[str] | None:
    """A loop as `[a, b, c, a]`, each name needing the next one; None when there is none. Names that are not keys are
    passed over.

    Iterative, so that a chain of any length cannot exhaust the stack.
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
    """Whether `start` needs `goal`, directly or not. Loops and unknown names do no harm."""
    pending, seen = [start], {start}
    while pending:
        for name in needs.get(pending.pop(), ()):
            if name == goal:
                return True
            if name not in seen:
                seen.add(name)
                pending.append(name)
    return False
