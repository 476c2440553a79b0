"""config.example.yaml is complete and right, and the JSON Schema agrees with the reader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from podium.core.config import schema, source
from podium.core.config.kinds import as_written
from podium.core.config.loading import from_text, read
from podium.core.config.reader import Reader
from podium.core.config.sections import Chosen, Either, ListOf, MapOf, Section
from podium.core.config.source import YamlNode
from podium.core.config.table import PROJECT

from .test_bad_files import CASES
from .test_loading import FLIGHTS

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
VALIDATOR = jsonschema.Draft202012Validator(schema())


def sections(kind: Any) -> Iterator[Section]:
    """Every section of the table, wherever it hides."""
    if isinstance(kind, Section):
        yield kind
        for key in kind.keys:
            yield from sections(key.kind)
    elif isinstance(kind, Chosen):
        for option in kind.options:
            yield from sections(option.section)
    elif isinstance(kind, ListOf | MapOf):
        yield from sections(kind.kind)
    elif isinstance(kind, Either):
        yield from sections(kind.other)


def plain(node: YamlNode) -> Any:
    """The tree as an editor's YAML 1.2 parser hands it to a validator."""
    if node.kind == "map":
        return {name.text: plain(value) for name, value in node.entries}
    if node.kind == "list":
        return [plain(item) for item in node.items]
    if node.null:
        return None
    if not node.plain:
        return node.text
    try:
        return (
            float(node.text)
            if as_written(node.text) == node.text and node.text[:1].isdigit()
            else as_written(node.text)
        )
    except ValueError:
        return node.text


def parsed(text: str) -> YamlNode:
    node = source.parse(text, "podium.yaml")
    assert node is not None
    return node


def test_the_example_has_every_key(tmp_path: Path) -> None:
    text = source.read_text(EXAMPLE)
    project = from_text(text, EXAMPLE.name, tmp_path, tmp_path, {})
    assert project.name == "flight-delay"
    reader = Reader(EXAMPLE.name, {})
    read(parsed(text), reader)
    # The forms of a step share their keys: each has to be shown once, not once for every built-in.
    shown = {(section.partition(".")[0], key) for section, key in reader.seen}
    known = {(section.name.partition(".")[0], key.name) for section in sections(PROJECT) for key in section.keys}
    assert not known - shown
    words = {
        option.word
        for section in sections(PROJECT)
        for key in section.keys
        if isinstance(key.kind, MapOf) and isinstance(key.kind.kind, Chosen)
        for option in key.kind.kind.options
        if option.word
    }
    used = {step.uses for pipeline in project.pipelines.values() for step in pipeline.steps.values()}
    used |= {monitor.measure for monitor in project.monitors.values()}
    assert words and words <= used


def test_every_key_of_the_example_is_explained() -> None:
    """Each key has a comment in one of the lines that it is written in; those of the top explain themselves by what
    is below."""
    lines = EXAMPLE.read_text().splitlines()
    top = {key.name for key in PROJECT.keys}
    names = (
        {key.name for section in sections(PROJECT) for key in section.keys}
        - top
        - {"canary", "rolling", "blue-green", "steps"}
    )
    silent = {name for name in names if not any(re.search(rf"(^|[\s{{,]){name}:.*#", line) for line in lines)}
    assert not silent


def test_every_key_has_words() -> None:
    for section in sections(PROJECT):
        for key in section.keys:
            assert 3 < len(key.doc) < 120, f"{section.name}.{key.name}"


@pytest.mark.parametrize("text", [EXAMPLE.read_text(), FLIGHTS, "project: p\n"], ids=["example", "flights", "smallest"])
def test_the_schema_takes_what_the_reader_takes(text: str) -> None:
    errors = [
        f"{list(error.absolute_path)}: {error.message[:200]}" for error in VALIDATOR.iter_errors(plain(parsed(text)))
    ]
    assert not errors, "\n".join(errors)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


STRUCTURAL = (
    "unknown key",
    "has to be a",
    "one value",
    "not known",
    "out of range",
    "is missing",
    "whole number",
    "needs one of",
    "both",
    "neither true",
    "no reason",
    "leave the key out",
)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if any(word in case[3] for word in STRUCTURAL) and "whether" not in case[3]],
    ids=lambda case: case[2] or "file",
)
def test_the_schema_refuses_what_the_reader_refuses(case: tuple[str, ...]) -> None:
    if "needs: s" in case[0] or "when: now" in case[0] or "metric: zz" in case[0]:
        pytest.skip("more than the form of the file")
    assert not VALIDATOR.is_valid(plain(parsed(case[0])))


def test_the_schema_can_be_asked_for_twice() -> None:
    """A submodule named like the function would take its place after the first call."""
    import podium.core.config as config

    assert config.schema() == config.schema()
