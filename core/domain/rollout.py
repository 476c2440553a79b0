"""The phases of a rollout, and its state: the `data` of a ledger row, with names and types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, cast

from .frozen import Frozen

# The phases, by what the ledger stores when one is finished.
NOTE = "read"
START = "started"
WAIT_HEALTHY = "healthy"
WARM_UP = "warmed"
SHIFT = "shifted"
MOVE_ALIASES = "aliased"
DRAIN = "drained"
VERIFY = "verified"
CLEAN_UP = "kept"

SEQUENCE = (NOTE, START, WAIT_HEALTHY, WARM_UP, SHIFT, MOVE_ALIASES, DRAIN, VERIFY, CLEAN_UP)


class RolloutState(Frozen):
    """The state of one rollout, kept in the ledger so that another process can undo or finish it.

    The keys in the journal are short and never change (`_KEYS`). Rows of earlier and later versions can be read, and
    keys that this version does not know are written back unchanged.
    """

    weights_before: Mapping[str, int] = field(default_factory=dict[str, int])
    """Replica id -> weight, as it was before the rollout changed anything."""

    new_replicas: tuple[str, ...] = ()
    """Ids of the replicas that the rollout starts: they did not run before."""

    stopped_before: tuple[str, ...] = ()
    """Those of `new_replicas` that were kept as stopped replicas; an undo stops them again and keeps them."""

    proxy_ran: bool | None = None
    """Whether the proxy ran before the rollout; None until `read`, the first phase, has noted these four fields."""

    start_seconds: float | None = None
    """How long the new replicas took until they were healthy."""

    share: int | None = None
    """Percent of the traffic that the new version has."""

    traffic_seconds: float | None = None
    """How long it took from the request until the new version had all traffic."""

    aliases_before: Mapping[str, int | None] | None = None
    """Alias -> version (None: it did not exist), of the aliases that the rollout moves; None until it moves any.
    Written by the process that moves them, before it moves the first."""

    canary: Mapping[str, Any] | None = None
    """The stage of a canary that is being watched, as `rollout/canary.py` writes it; None when none is."""

    stages: tuple[Mapping[str, Any], ...] = ()
    """The stages of the canary that are over: share, time, verdict, results, and how it went on. Kept for good."""

    given_up: str = ""
    """Why the rollout failed and could not be undone immediately; recovery undoes it later."""

    unknown: Mapping[str, object] = field(default_factory=dict[str, object])
    """Keys that this version does not know."""

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> RolloutState:
        """Returns the state that a ledger row's `data` holds. Values of an unexpected type count as missing."""
        proxy = data.get("proxy")
        return cls(
            weights_before=_mapping(data.get("weights")) or {},
            new_replicas=_names(data.get("new")),
            stopped_before=_names(data.get("stopped")),
            proxy_ran=proxy if isinstance(proxy, bool) else None,
            start_seconds=_number(data.get("start_seconds")),
            share=cast("int | None", _number(data.get("share"))),
            traffic_seconds=_number(data.get("traffic_seconds")),
            aliases_before=_mapping(data.get("aliases")),
            canary=_mapping(data.get("canary")),
            stages=_stages(data.get("stages")),
            given_up=str(data.get("given_up") or ""),
            unknown={key: value for key, value in data.items() if key not in _KEYS},
        )

    def to_json(self) -> dict[str, object]:
        """Returns the JSON that the ledger keeps: everything known so far, and the keys of other versions."""
        known: dict[str, object] = {}
        if self.proxy_ran is not None or self.weights_before or self.new_replicas:
            known = {
                "weights": dict(self.weights_before),
                "new": list(self.new_replicas),
                "proxy": self.proxy_ran,
                "stopped": list(self.stopped_before),
            }
        later = {
            "start_seconds": self.start_seconds,
            "share": self.share,
            "traffic_seconds": self.traffic_seconds,
            "aliases": None if self.aliases_before is None else dict(self.aliases_before),
            "canary": None if self.canary is None else dict(self.canary),
            "stages": list(self.stages) or None,
            "given_up": self.given_up or None,
        }
        return {**self.unknown, **known, **{key: value for key, value in later.items() if value is not None}}


_KEYS = frozenset(
    (
        *("weights", "new", "stopped", "proxy", "start_seconds", "share", "traffic_seconds", "aliases", "canary"),
        *("stages", "given_up"),
    )
)


def _mapping(value: object) -> dict[str, Any] | None:
    return dict(cast("dict[str, Any]", value)) if isinstance(value, dict) else None


def _stages(value: object) -> tuple[Mapping[str, Any], ...]:
    found = (_mapping(each) for each in cast("list[object]", value)) if isinstance(value, list) else ()
    return tuple(each for each in found if each is not None)


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(name) for name in cast("list[object]", value)) if isinstance(value, list) else ()


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
