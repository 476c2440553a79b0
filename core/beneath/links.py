"""Where the links of a tree lead, worked out from what they say, without touching the files again.

The tree was read once, and nothing in it was followed; what its links mean is decided over that reading, so that
nobody can change it in between.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Mapping

from .directory import LinkRefused, inside_of, parts_of

# As many as the kernel follows.
_MAX_LINKS = 40


def settled(links: Mapping[str, str], inside: Collection[str], top: str, *, strict: bool = True) -> dict[str, str]:
    """Returns what each link has to say to mean the same wherever the tree is put: the path of a link and its target
    go in, paths relative to `top`. A link has to lead to something at or below one of the paths `inside`, there or
    not; an absolute one becomes relative. LinkRefused names the first that leads elsewhere; without `strict` that
    one stays as it is."""
    found: dict[str, str] = {}
    for path, target in links.items():
        reached = led_to(path, target, links, top)
        if reached is None or not within(reached, inside):
            if strict:
                raise LinkRefused(
                    path,
                    target,
                    "which leads out of what is declared",
                    hint="write the file itself in its place, or a link that stays inside",
                )
            found[path] = target
        else:
            found[path] = _relative(path, reached) if target.startswith("/") else target
    return found


def within(path: str, inside: Collection[str]) -> bool:
    """Whether a path is, or lies below, one of those."""
    return any(one in ("", ".") or path == one or path.startswith(f"{one}/") for one in map(os.path.normpath, inside))


def led_to(path: str, target: str, links: Mapping[str, str], top: str) -> str | None:
    """Returns the path, relative to `top`, that the link at `path` leads to, through other links of the tree; None
    where it leads out of `top` or in a circle."""
    reached = parts_of(path)[:-1]
    left: deque[str] = deque()
    followed = 0
    said: str | None = target
    while said is not None or left:
        if said is not None:
            followed += 1
            rest = said if not said.startswith("/") else inside_of(top, said)
            if rest is None or followed > _MAX_LINKS:
                return None
            reached = [] if said.startswith("/") else reached
            left.extendleft(reversed(parts_of(rest)))
            said = None
            continue
        part = left.popleft()
        if part == "..":
            if not reached:
                return None
            reached.pop()
        elif (said := links.get("/".join([*reached, part]))) is None:
            reached.append(part)
    return "/".join(reached)


def _relative(path: str, reached: str) -> str:
    return os.path.relpath(reached or ".", path.rpartition("/")[0] or ".")
