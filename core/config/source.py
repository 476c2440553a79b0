"""Text of a YAML file -> a tree of nodes that remember their positions. The tree keeps scalars as they were written:
the type of a scalar (a number, a duration, a name) depends on its key (kinds.py), never on YAML's guessing. So `on:`
is a key and not a boolean, and `2013-03` or `3.10` stay texts. Everything here is bounded: size, depth, and the
number of nodes after aliases are followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..domain.frozen import Frozen
from ..errors import ConfigError, Problem

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_DEPTH = 40


class YamlNode(Frozen):
    """A node of the tree. Lines and columns count from 1."""

    kind: Literal["text", "list", "map"]
    """Tells which of `text`, `items` and `entries` is in use."""
    line: int
    column: int
    text: str = ""
    plain: bool = False
    """False for quoted and block text."""
    items: tuple[YamlNode, ...] = ()
    entries: tuple[tuple[YamlNode, YamlNode], ...] = ()
    size: int = 1
    """The number of nodes below and including this one, aliases followed."""

    def get(self, key: str) -> YamlNode | None:
        return next((value for name, value in self.entries if name.text == key), None)

    @property
    def merges(self) -> bool:
        """Tells whether this key is `<<`, which includes its value: a mapping or a list of mappings."""
        return self.kind == "text" and self.plain and self.text == "<<"

    @property
    def null(self) -> bool:
        """Tells whether the value is empty: nothing, `~` or `null`."""
        return self.kind == "text" and self.plain and self.text in ("", "~", "null", "Null", "NULL")


def read_text(path: Path) -> str:
    """Returns the file's text. Raises ConfigError for a file that is missing, unreadable, too big, binary or not
    UTF-8; reads no more than the limit."""
    name = path.name
    try:
        # O_NONBLOCK: opening a FIFO must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise ConfigError(
            (Problem(name, 0, 0, "", f"there is no such file in {path.parent}"),), hint="create one with `podium init`"
        ) from None
    except OSError as error:
        raise ConfigError(
            (Problem(name, 0, 0, "", f"cannot be read: {error.strerror}"),), hint=f"check the permissions of {path}"
        ) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError((Problem(name, 0, 0, "", "is not a regular file"),), hint=f"make {path} a text file")
        if status.st_size > MAX_BYTES:
            raise _too_big(name, status.st_size)
        data = b""
        while chunk := os.read(descriptor, MAX_BYTES + 1 - len(data)):
            data += chunk
    except OSError as error:
        raise ConfigError((Problem(name, 0, 0, "", f"cannot be read: {error.strerror}"),)) from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise _too_big(name, len(data))
    return decode(data, name)


def _too_big(name: str, size: int) -> ConfigError:
    message = f"is {size / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read"
    return ConfigError(
        (Problem(name, 0, 0, "", message, "a podium.yaml is a few kilobytes; keep data in files of their own"),)
    )


def decode(data: bytes, name: str) -> str:
    """Decodes UTF-8, with or without a byte-order mark. Raises ConfigError with the position of the first byte that
    is not text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]  # the decoder's own view: without the byte-order mark
        start = before.rfind(b"\n") + 1
        problem = Problem(
            name,
            before.count(b"\n") + 1,
            len(before[start:].decode("utf-8", "replace")) + 1,
            "",
            "is not UTF-8 text",
            "save the file as UTF-8",
        )
        raise ConfigError((problem,)) from None
    if "\0" in text:
        before_nul = text[: text.index("\0")]
        line = before_nul.count("\n") + 1
        raise ConfigError(
            (
                Problem(
                    name, line, len(before_nul) - before_nul.rfind("\n"), "", "is a binary file (it holds a NUL byte)"
                ),
            )
        )
    return text


def parse(text: str, name: str) -> YamlNode | None:
    """Returns the document's root; None for an empty document. Raises ConfigError at the first syntax error."""
    import yaml

    try:
        from yaml import cyaml

        compiled: Any = cyaml
        parser: Any = compiled.CParser(text)
    except ImportError:  # PyYAML built without libyaml: the same events, slower
        parser = yaml.SafeLoader(text)
    try:
        return _Composer(parser, name).document()
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        message, hint = _explain(text, line, column, str(error.problem or error.context or "is not YAML"))
        raise ConfigError((Problem(name, line, column, "", message, hint),)) from None
    except yaml.YAMLError as error:
        position = int(getattr(error, "position", 0) or 0)
        before = text[:position]
        message = "holds a control character" if "control" in str(error) else str(error).splitlines()[0]
        raise ConfigError(
            (Problem(name, before.count("\n") + 1, len(before) - before.rfind("\n"), "", message),)
        ) from None


def _explain(text: str, line: int, column: int, problem: str) -> tuple[str, str]:
    lines = text.splitlines()
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())] or written[column - 1 : column] == "\t":
        return "a tab is used to indent", "YAML is indented with spaces only"
    if "mapping values are not allowed" in problem:
        return problem, "quote a text that holds `: `, and check the indentation of the line"
    if written[column - 1 : column] in ("%", "@", "`", "&", "*", "!", "|", ">"):
        return problem, f"quote a text that begins with `{written[column - 1]}`"
    if "did not find expected ',' or" in problem:
        return problem, "a `[` or `{` is not closed, or a text inside them needs quotes (`${NAME}` does)"
    return problem, ""


def _merged(entries: tuple[tuple[YamlNode, YamlNode], ...]) -> tuple[tuple[YamlNode, YamlNode], ...]:
    """Returns the entries followed by those that `<<` includes; explicit entries take precedence. A `<<` of anything
    but mappings stays, so that it is reported later."""
    merging = [value for name, value in entries if name.merges]
    if not merging or any(each.kind != "map" for value in merging for each in _sources(value)):
        return entries
    found = [(name, value) for name, value in entries if not name.merges]
    known = {name.text for name, _ in found if name.kind == "text"}
    for value in merging:
        for source in _sources(value):
            found += [(name, each) for name, each in source.entries if name.kind != "text" or name.text not in known]
            known |= {name.text for name, _ in source.entries if name.kind == "text"}
    return tuple(found)


def _sources(value: YamlNode) -> tuple[YamlNode, ...]:
    return value.items if value.kind == "list" else (value,)


@dataclass(slots=True)
class _Composer:
    parser: Any
    name: str
    anchors: dict[str, YamlNode] = field(default_factory=dict[str, YamlNode])
    total: int = 0

    def document(self) -> YamlNode | None:
        import yaml

        root: YamlNode | None = None
        documents = 0
        while self.parser.check_event():
            event = self.parser.get_event()
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error(event, "a second document begins here", "keep one document; remove the `---`")
                root = self._node(self.parser.get_event(), 1)
        return None if root is None or (root.null and not root.text) else root

    def _node(self, event: Any, depth: int) -> YamlNode:
        import yaml

        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if depth > MAX_DEPTH:
            raise self._error(event, f"is nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            node = self.anchors.get(str(event.anchor))
            if node is None:
                raise self._error(
                    event, f"`*{event.anchor}` is not defined above", "quote it if it is a text that begins with `*`"
                )
            self._count(node.size, event)
            return node
        self._count(1, event)
        if event.tag is not None:
            raise self._error(
                event, f"the tag `{event.tag}` is not used here", "quote it if it is a text that begins with `!`"
            )
        if isinstance(event, yaml.ScalarEvent):
            node = YamlNode("text", line, column, text=str(event.value), plain=bool(event.implicit[0]))
        elif isinstance(event, yaml.SequenceStartEvent):
            items = tuple(self._children(yaml.SequenceEndEvent, depth))
            node = YamlNode("list", line, column, items=items, size=1 + sum(item.size for item in items))
        else:
            children = list(self._children(yaml.MappingEndEvent, depth))
            entries = _merged(tuple(zip(children[::2], children[1::2], strict=True)))
            node = YamlNode(
                "map", line, column, entries=entries, size=1 + sum(name.size + value.size for name, value in entries)
            )
        if event.anchor is not None:
            self.anchors[str(event.anchor)] = node
        return node

    def _children(self, end: type, depth: int) -> Iterator[YamlNode]:
        while True:
            event = self.parser.get_event()
            if isinstance(event, end):
                return
            yield self._node(event, depth + 1)

    def _count(self, nodes: int, event: Any) -> None:
        """Counts the cost of walking the tree: nine lines of aliases can expand to a billion nodes."""
        self.total += nodes
        if self.total > MAX_NODES:
            raise self._error(
                event,
                f"stands for more than {MAX_NODES:,} values",
                "aliases (`*name`) repeat everything that they point to",
            )

    def _error(self, event: Any, message: str, hint: str = "") -> ConfigError:
        return ConfigError(
            (Problem(self.name, event.start_mark.line + 1, event.start_mark.column + 1, "", message, hint),)
        )
