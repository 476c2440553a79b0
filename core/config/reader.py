"""The reader that every kind of value uses: it collects problems, fills in variables, and returns the text of a
node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..domain.frozen import Frozen
from ..domain.text import one_line
from ..errors import Problem
from ..known_secrets import in_address
from .source import YamlNode
from .variables import expand

MAX_PROBLEMS = 50
MAX_SUGGESTED = 300


class _Invalid:
    def __repr__(self) -> str:
        return "INVALID"


INVALID: Final = _Invalid()
"""What reading gives for a value that is wrong; the problem is already noted, and nobody has to complain again."""


class Record(Frozen):
    """A section as read: `values` by key (without invalid ones), `nodes` by key (with invalid ones), `node` its
    position, `path` its key path."""

    node: YamlNode
    path: str
    values: Mapping[str, Any]
    nodes: Mapping[str, YamlNode]

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def has(self, key: str) -> bool:
        """Tells whether the key was written, valid or not."""
        return key in self.nodes

    def at(self, key: str, index: int | None = None) -> YamlNode:
        """Returns the node of a value, or of its index-th item; a single value may stand for a list of one."""
        node = self.nodes.get(key, self.node)
        return node.items[index] if index is not None and node.kind == "list" and index < len(node.items) else node


@dataclass(slots=True)
class Reader:
    """Collects problems. `seen` holds (section, key) of everything read: the test of config.example.yaml uses it to
    prove that no key is missing."""

    file: str
    environ: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list[Problem])
    secrets: list[str] = field(default_factory=list[str])
    seen: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def problem(self, node: YamlNode, key: str, message: str, hint: str = "") -> Any:
        """Notes a problem and returns INVALID, so that a kind can `return reader.problem(…)`."""
        self.problems.append(Problem(self.file, node.line, node.column, key, message, hint))
        return INVALID

    def suggest(self, word: str, known: Iterable[str]) -> str:
        """Returns the hint of `did_you_mean`, until there are more problems than will be shown: looking for similar
        words is the slow part."""
        return did_you_mean(word, known) if len(self.problems) < MAX_PROBLEMS else ""

    def text(self, node: YamlNode, key: str, *, variables: bool = True) -> str | Any:
        """Returns a scalar's text with its variables filled in; INVALID for a list, a mapping, or a variable that is
        not set."""
        if node.kind != "text":
            return self.problem(node, key, f"has to be one value, not {article(node)}")
        self.secrets.extend(in_address(node.text))
        if not variables:
            return node.text
        found = expand(node.text, self.environ)
        if found.malformed:
            return self.problem(
                node,
                key,
                "`${` does not begin a variable",
                "write ${NAME} or ${NAME:-default}; a literal `${` is written `$${`",
            )
        if found.missing:
            names = ", ".join(dict.fromkeys(found.missing))
            first = found.missing[0]
            return self.problem(
                node, key, f"the variable {names} is not set", f"export {first}=…, or write ${{{first}:-default}}"
            )
        self.secrets.extend(found.secrets)
        if found.text != node.text:
            self.secrets.extend(in_address(found.text))
        return found.text


def article(node: YamlNode) -> str:
    """Returns a node's kind in words."""
    if node.null:
        return "nothing"
    return {"text": "a single value", "list": "a list", "map": "a mapping"}[node.kind]


def shorten(text: str, limit: int = 60) -> str:
    """Returns a value as messages quote it: one line, no control characters, bounded length."""
    line = one_line(text[: limit + 1])
    return line if len(text) <= limit else line[:limit] + "…"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns a hint that names the most similar known word, or all of them if none is similar."""
    from difflib import get_close_matches
    from itertools import islice

    names = list(islice(known, MAX_SUGGESTED))
    near = get_close_matches(word[:80], names, n=1, cutoff=0.6) or [
        name for name in names if name.lower() == word.lower()
    ]
    if near:
        return f"did you mean `{near[0]}`?"
    if not names:
        return ""
    shown = ", ".join(sorted(names)[:20])
    return f"known: {shown}{', …' if len(names) > 20 else ''}"
