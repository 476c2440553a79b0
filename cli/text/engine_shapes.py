"""The JSON of what engines run and hold: containers, images, what is exported for another engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...core.domain.text.format import moment

if TYPE_CHECKING:
    from ...core.domain.containers import Container, Image, UnneededImage
    from ...core.domain.delivery import Replica
    from ...core.domain.engines.exports import Exported


def image(image: Image) -> dict[str, Any]:
    return {
        "model": image.model,
        "version": image.version,
        "engine": image.engine,
        "image_id": image.image_id,
        "reference": image.reference,
        "digest": image.digest,
        "tag": image.tag,
        "base": image.base,
        "model_layer": image.model_layer,
        "size": image.size,
        "seconds": image.seconds,
        "built": moment(image.built),
        "run": image.run_id,
        "sbom": image.sbom,
    }


def unneeded(image: UnneededImage) -> dict[str, Any]:
    return {
        "version": image.version,
        "name": image.name,
        "image_id": image.image_id,
        "size": image.size,
        "why": image.why,
        "engine": image.engine,
    }


def container(one: Container, row: Replica | None, used: Mapping[str, float | None]) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "environment": one.environment,
        "role": one.role,
        "replica": one.replica,
        "version": one.version,
        "state": one.state,
        "health": one.health,
        "restarts": one.restarts,
        "exit_code": one.exit_code,
        "out_of_memory": one.out_of_memory,
        "image": one.image,
        "image_id": one.image_id,
        "address": one.place,
        "node": one.node,
        "created": moment(one.created),
        "started": moment(one.started),
        "weight": row.weight if row is not None else None,
        "in_journal": row is not None if one.role == "replica" else None,
        "cpu": used.get("cpu"),
        "memory": used.get("memory"),
        "received": used.get("received"),
        "sent": used.get("sent"),
    }


def exported(one: Exported) -> dict[str, Any]:
    return {
        "environment": one.environment,
        "format": one.format.value,
        "directory": one.directory,
        "files": list(one.files),
        "versions": list(one.versions),
        "left_out": list(one.left_out),
        "next": list(one.next),
    }
