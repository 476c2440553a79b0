"""Which images may be run where only signed ones are (`verify: required`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from ....containers.engine import labels as names
from ....containers.images import store
from ....domain.text import whole_number
from ....errors import Unreachable
from ....signatures.allowed import Unsigned
from .place import EngineObjects


def is_among(found: dict[str, Any], digests: Collection[str]) -> bool:
    """Tells whether an image, as the engine describes it, is one of these, by its id or a registry's digest."""
    known = (str(found.get("Id") or ""), *(str(each) for each in found.get("RepoDigests") or ()))
    return any(name.rpartition("sha256:")[2] in digests for name in known)


def for_relay(place: EngineObjects, known: Callable[[], Iterable[str]]) -> str:
    """Returns the image that a relay is made of, for its Python: that of a replica on the engine, else the first of
    those known there that may be run. Raises Unreachable if there is none."""
    setting = place.setting
    verified = setting.environment.verified
    replicas = sorted(place.find(names.REPLICA_ROLE), key=lambda one: one.labels.get(names.VERSION, ""), reverse=True)
    # Where only what is signed is run, those that run were looked at before.
    running = next((one.image_id for one in replicas if one.running or not verified), "")
    chosen = running or next((each for each in known() if not verified or _is_signed(place, each)), "")
    if chosen:
        return chosen
    which = " that is signed" if verified else ""
    hint = "sign a version that has one: podium evidence sign" if verified else "deploy a version first"
    raise Unreachable(f"{place.address} has no image yet{which} that could run the relay to the proxy there", hint=hint)


def may_be_relay(place: EngineObjects, image_id: str) -> bool:
    """Tells whether a relay that stands still may be started again."""
    return (
        not place.setting.environment.verified
        or any(one.running and one.image_id == image_id for one in place.find(names.REPLICA_ROLE))
        or _is_signed(place, image_id)
    )


def _is_signed(place: EngineObjects, image_id: str) -> bool:
    """Tells whether an allowed signer has signed an image, as one of the version that its labels name."""
    from ....signatures import required

    setting = place.setting
    found = store.inspect(place.engine, image_id) or {}
    configured: dict[str, Any] = found.get("Config") or {}
    labels: dict[str, str] = configured.get("Labels") or {}
    version = whole_number(labels.get(names.VERSION) or "")
    if version is None:
        return False
    try:
        statements = required.accepted(setting.project, setting.model, version)
    except Unsigned:
        return False
    return any(is_among(found, each.images) for each in statements)
