"""Kinds that contain other kinds: lists, mappings of names, sections with known keys, and sections whose keys depend
on one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import plugins
from .kinds import Schema, ValueKind
from .reader import INVALID, Reader, Record, article, shorten
from .source import YamlNode

NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}"
VARIABLE_NAME = r"[A-Za-z_][A-Za-z0-9_]*"


def entries(node: YamlNode, key: str, reader: Reader) -> Iterator[tuple[str, YamlNode, YamlNode]]:
    """Yields (name, key node, value node) of a mapping, each name once. Duplicates are noted and skipped."""
    first: dict[str, YamlNode] = {}
    for name, value in node.entries:
        if name.kind != "text" or not name.text:
            reader.problem(name, key, f"{article(name)} cannot be a key")
        elif name.merges:
            reader.problem(value, join(key, "<<"), "merges mappings only")
        elif name.text in first:
            reader.problem(
                name,
                join(key, name.text),
                f"is written twice, first in line {first[name.text].line}",
                "remove one of them",
            )
        else:
            first[name.text] = name
            yield name.text, name, value


def join(path: str, name: str | int) -> str:
    if isinstance(name, int):
        return f"{path}[{name}]"
    name = shorten(name)
    return f"{path}.{name}" if path else name


@dataclass(frozen=True, eq=False, repr=False)
class Key:
    """One key of a section: the kind of its value and a one-line description (also used in the schema)."""

    name: str
    kind: ValueKind
    doc: str
    required: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class ListOf:
    """A tuple. With `single`, a single value counts as a list of one."""

    kind: ValueKind
    single: bool = False
    least: int = 0

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        if self.single and node.kind == "text" and not node.null:
            value = self.kind.read(node, key, reader)
            return INVALID if value is INVALID else (value,)
        if node.kind != "list":
            return reader.problem(node, key, f"has to be a list, not {article(node)}", "write [a, b]")
        if len(node.items) < self.least:
            return reader.problem(node, key, "is an empty list")
        values = [self.kind.read(item, join(key, index), reader) for index, item in enumerate(node.items)]
        return INVALID if any(value is INVALID for value in values) else tuple(values)

    def schema(self) -> Schema:
        items: Schema = {
            "type": "array",
            "items": self.kind.schema(),
            **({"minItems": self.least} if self.least else {}),
        }
        return {"anyOf": [self.kind.schema(), items]} if self.single else items


@dataclass(frozen=True, eq=False, repr=False)
class MapOf:
    """A dict of things that the project names. An entry with problems keeps its name, so that references to it are
    not reported too."""

    kind: ValueKind
    what: str
    pattern: str = NAME
    least: int = 0

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        if node.null and not self.least:
            return {}
        if node.kind != "map":
            return reader.problem(node, key, f"has to be a mapping of {self.what}s, not {article(node)}")
        values: dict[str, Any] = {}
        for name, name_node, value in entries(node, key, reader):
            if not re.fullmatch(self.pattern, name, re.ASCII):
                hint = (
                    "letters, digits and `_`, not a digit first"
                    if self.pattern == VARIABLE_NAME
                    else "letters, digits, `_`, `-` and `.`, at most 63"
                )
                what = f"an {self.what}" if self.what[0] in "aeiou" else f"a {self.what}"
                reader.problem(name_node, join(key, name), f"`{shorten(name)}` cannot be the name of {what}", hint)
                continue
            read = self.kind.read(value, join(key, name), reader)
            if read is not INVALID:
                values[name] = read
            elif not isinstance(value, str):
                values[name] = Record(value, join(key, name), {}, {}) if _holds_records(self.kind) else INVALID
        if self.least and not node.entries:
            return reader.problem(node, key, f"has no {self.what}")
        return {name: value for name, value in values.items() if value is not INVALID}

    def schema(self) -> Schema:
        return {
            "type": "object" if self.least else ["object", "null"],
            "patternProperties": {f"^(?:{self.pattern})$": self.kind.schema()},
            "additionalProperties": False,
            **({"minProperties": self.least} if self.least else {}),
        }


def _holds_records(kind: ValueKind) -> bool:
    return isinstance(kind, Section | Chosen)


@dataclass(frozen=True, eq=False, repr=False)
class Section:
    """A mapping with known keys; reading it returns a Record. `others` takes the keys that the table does not know
    (a plug-in's own)."""

    name: str
    keys: Sequence[Key]
    doc: str = ""
    others: ValueKind | None = None
    example: str = ""
    """What to write, for those who know a shorter form from elsewhere."""
    extensions: str = ""
    """What keys begin with that are nobody's: places for anchors."""

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        if node.kind != "map":
            return reader.problem(
                node,
                key,
                f"has to be a mapping, not {article(node)}",
                self.example or f"its keys: {', '.join(each.name for each in self.keys)}",
            )
        known = {each.name: each for each in self.keys}
        values: dict[str, Any] = {}
        nodes: dict[str, YamlNode] = {}
        for name, name_node, value in entries(node, key, reader):
            found = known.get(name)
            if found is None and self.extensions and name.startswith(self.extensions):
                continue
            if found is None and self.others is None:
                reader.problem(
                    name_node, join(key, name), f"unknown key `{shorten(name)}`", reader.suggest(name, known)
                )
                continue
            reader.seen.add((self.name, name))
            nodes[name] = value
            kind = found.kind if found else self.others
            read = kind.read(value, join(key, name), reader) if kind else INVALID
            if read is not INVALID:
                values[name] = read
        for each in self.keys:
            if each.required and each.name not in nodes:
                reader.problem(node, join(key, each.name), "is missing", each.doc)
        return Record(node, key, values, nodes)

    def schema(self) -> Schema:
        required = [each.name for each in self.keys if each.required]
        return {
            "type": "object",
            **({"description": self.doc} if self.doc else {}),
            "properties": {each.name: {"description": each.doc, **each.kind.schema()} for each in self.keys},
            **({"required": required} if required else {}),
            **({"patternProperties": {f"^{self.extensions}": {}}} if self.extensions else {}),
            "additionalProperties": self.others is not None,
        }


@dataclass(frozen=True, eq=False, repr=False)
class Option:
    """One form of a Chosen section: it applies if `key` is present (and holds `word`, if given)."""

    key: str
    section: Section
    word: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Chosen:
    """A mapping whose form depends on one of its keys: a step on `run` or `uses`, a check on `metric`, `latency` or
    `schema`.

    `otherwise` returns the section for a word that the options do not know (another package's plug-in of this
    `kind`), or None.
    """

    what: str
    options: Sequence[Option]
    otherwise: Callable[[str], Section | None] | None = None
    kind: plugins.PluginKind | None = None

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        choices = list(dict.fromkeys(option.key for option in self.options))
        if node.kind != "map":
            return reader.problem(
                node, key, f"has to be a mapping, not {article(node)}", f"it has one of the keys {', '.join(choices)}"
            )
        present = [choice for choice in choices if node.get(choice) is not None]
        if len(present) != 1:
            hint = _near(node, choices)
            few = (
                f"needs one of the keys {', '.join(choices)}"
                if not present
                else f"has both `{present[0]}` and `{present[1]}`"
            )
            return reader.problem(node, key, f"a {self.what} {few}", hint if not present else "keep one of them")
        section = self._section(node, present[0])
        if section is not None:
            return section.read(node, key, reader)
        value = node.get(present[0]) or node
        if value.kind != "text":
            return reader.problem(value, join(key, present[0]), f"has to be one value, not {article(value)}")
        words = [option.word for option in self.options if option.key == present[0]]
        return reader.problem(
            value, join(key, present[0]), f"`{shorten(value.text)}` is not known", reader.suggest(value.text, words)
        )

    def _section(self, node: YamlNode, key: str) -> Section | None:
        value = node.get(key)
        for option in self.options:
            if option.key == key and (
                not option.word or (value is not None and value.kind == "text" and value.text == option.word)
            ):
                return option.section
        return self.otherwise(value.text) if self.otherwise and value is not None and value.kind == "text" else None

    def schema(self) -> Schema:
        """Returns a schema with all keys at one level, and per form which of them belong to it: editors complete
        better than from a list of alternatives."""
        properties: Schema = {}
        rules: list[Schema] = []
        words: dict[str, list[str]] = {}
        for option in self.options:
            part = option.section.schema()
            for name, kind in part["properties"].items():
                properties[name] = (
                    kind if properties.get(name, kind) == kind else {"description": kind.get("description", "")}
                )
            when: Schema = {"required": [option.key]}
            if option.word:
                when["properties"] = {option.key: {"const": option.word}}
                words.setdefault(option.key, []).append(option.word)
            rules.append(
                {
                    "if": when,
                    "then": {
                        "properties": part["properties"],
                        "required": part.get("required", []),
                        "additionalProperties": False,
                    },
                }
            )
        for key, known in words.items():
            properties[key] = {**properties[key], "enum": [*known, *(plugins.added(self.kind) if self.kind else ())]}
        keys = dict.fromkeys(option.key for option in self.options)
        return {
            "type": "object",
            "properties": properties,
            "allOf": rules,
            "oneOf": [{"required": [key]} for key in keys],
        }


def _near(node: YamlNode, choices: Sequence[str]) -> str:
    from difflib import get_close_matches

    for name, _ in node.entries:
        if name.kind == "text" and (near := get_close_matches(name.text[:80], choices, n=1, cutoff=0.6)):
            return f"`{shorten(name.text)}`: did you mean `{near[0]}`?"
    return ""


@dataclass(frozen=True, eq=False, repr=False)
class Either:
    """One kind for a single value, another for a mapping or a list; where the first takes a list, the other is for a
    mapping alone."""

    single: ValueKind
    other: ValueKind

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        other = node.kind == "map" if isinstance(self.single, ListOf) else node.kind != "text"
        return (self.other if other else self.single).read(node, key, reader)

    def schema(self) -> Schema:
        return {"anyOf": [self.single.schema(), self.other.schema()]}


@dataclass(frozen=True, eq=False, repr=False)
class Plain:
    """Any value unchanged, with the variables in its texts filled in: the options of an installed plug-in."""

    def read(self, node: YamlNode, key: str, reader: Reader) -> Any:
        if node.kind == "list":
            items = [self.read(item, join(key, index), reader) for index, item in enumerate(node.items)]
            return INVALID if any(item is INVALID for item in items) else items
        if node.kind == "map":
            values = {name: self.read(value, join(key, name), reader) for name, _, value in entries(node, key, reader)}
            return INVALID if any(value is INVALID for value in values.values()) else values
        if node.null:
            return None
        from .kinds import as_written

        text = reader.text(node, key)
        return as_written(text) if isinstance(text, str) and node.plain else text

    def schema(self) -> Schema:
        return {}
