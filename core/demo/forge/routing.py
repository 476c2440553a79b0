"""Which function answers a path. `{name}` stands for one part of it, `{name*}` for several."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ...domain.frozen import Frozen

if TYPE_CHECKING:
    from .dialect import Call

Handler = Callable[["Call"], Any]


class Route(Frozen):
    method: str
    pattern: str
    answer: Handler
    scope: str = "repo"
    """What of the forge it is about: repo, status, deployment, checks, issue, ci, hooks, user, app, none."""


class Router:
    """Finds the route of a request. The first one in the table that fits is meant."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = [(re.compile(_expression(route.pattern)), route) for route in routes]

    def find(self, method: str, path: str) -> tuple[Route | None, Mapping[str, str]]:
        """Returns the route and the parts of the path that have names, decoded; None if there is no such path."""
        wanted, path = "GET" if method == "HEAD" else method, path.rstrip("/") or "/"
        for expression, route in self._routes:
            if route.method == wanted and (match := expression.fullmatch(path)):
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        return None, {}

    def methods(self, path: str) -> set[str]:
        return {route.method for expression, route in self._routes if expression.fullmatch(path)}


def _expression(pattern: str) -> str:
    parts = re.split(r"(\{\w+\*?\})", pattern)
    return "".join(_part(part) for part in parts)


def _part(part: str) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    name = part[1:-1]
    return f"(?P<{name[:-1]}>.+)" if name.endswith("*") else f"(?P<{name}>[^/]+)"
