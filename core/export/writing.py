"""What both formats have in common: YAML, names, sizes, the words at the top of a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from ..domain.engines.exports import ExportedEnvironment, Served
from ..domain.text import one_line

WRITTEN = "# Written by podium export"
"""How a file begins that an export may replace."""
_NAME_LENGTH = 50


def document(content: Mapping[str, Any]) -> str:
    """Returns one YAML document."""
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=False, allow_unicode=True, width=110)


def head(facts: ExportedEnvironment, more: Iterable[str] = ()) -> str:
    """Returns the comment at the top of a file: what it is of, and what it lacks."""
    shares = ", ".join(f"v{one.version} with {one.share} % of the requests" for one in facts.served)
    lines = [
        f"{facts.environment.name} of {facts.project} as it served when this was written: {shares}.",
        *(f"Not in here: {each}." for each in facts.left_out),
        *more,
    ]
    return f"{WRITTEN}, which replaces this file.\n" + "".join(f"# {one_line(line)}\n" for line in lines)


def name_of(*parts: str) -> str:
    """Returns a name of lower-case letters, digits and hyphens, which DNS takes. What cannot be written in it, such as
    where one of several parts with hyphens ends, is told apart by a few digits at its end."""
    written = "-".join(parts)
    name = re.sub(r"[^a-z0-9]+", "-", written.lower()).strip("-")[:_NAME_LENGTH].strip("-") or "x"
    if not name[0].isalpha():
        name = f"x-{name}"
    if name == written and (len(parts) == 1 or "-" not in "".join(parts)):
        return name
    return f"{name}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:6]}"


def replica_variables(facts: ExportedEnvironment, one: Served) -> dict[str, str]:
    """Returns the variables of one version's replicas."""
    return {
        **dict(facts.variables),
        "PODIUM_SERVING_ENVIRONMENT": facts.environment.name,
        "PODIUM_SERVING_VERSION": str(one.version),
        "PODIUM_SERVING_MODEL_NAME": facts.model,
        "PODIUM_SERVING_DIGEST": one.digest,
        "PODIUM_SERVING_COMMIT": one.commit,
    }


def lineage(facts: ExportedEnvironment, one: Served) -> dict[str, str]:
    """Returns where a version comes from, as labels; the first ones are those of the Open Container Initiative
    (image-spec, annotations)."""
    known = {
        "org.opencontainers.image.title": facts.model,
        "org.opencontainers.image.version": str(one.version),
        "org.opencontainers.image.revision": one.commit,
        "podium.export/environment": facts.environment.name,
        "podium.export/run": "" if one.run is None else str(one.run),
        "podium.export/model-digest": one.digest,
    }
    return {key: value for key, value in known.items() if value}
