"""Reads statements: in-toto Statement v1 about the files and the images of one version
(https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import UNREADABLE

STATEMENT = "https://in-toto.io/Statement/v1"
MODEL_PREFIX, BUNDLE_PREFIX = "model/", "evidence/"


def parsed(content: bytes) -> Any:
    """Returns JSON; None for what is none, or nested as nothing is that Podium writes."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def subjects(content: Any) -> dict[str, str]:
    """Returns what a statement is about: name -> SHA-256; nothing for what is no statement."""
    try:
        return {str(each["name"]): str(each["digest"]["sha256"]) for each in content["subject"]}
    except UNREADABLE:
        return {}


def version_of(content: Any) -> tuple[str, int | None]:
    """Returns the model and the version that a statement is about; ("", None) for what does not say it."""
    try:
        parameters = content["predicate"]["buildDefinition"]["externalParameters"]
        return str(parameters["model"]), int(parameters["version"])
    except UNREADABLE:
        return "", None


def model_files(said: Mapping[str, str]) -> dict[str, str]:
    """Returns the model's files of a statement: path -> SHA-256."""
    return {name.removeprefix(MODEL_PREFIX): sha for name, sha in said.items() if name.startswith(MODEL_PREFIX)}


def images(said: Mapping[str, str]) -> frozenset[str]:
    """Returns the digests of the images that a statement is about, in hexadecimal."""
    return frozenset(sha for name, sha in said.items() if not name.startswith((MODEL_PREFIX, BUNDLE_PREFIX)))
