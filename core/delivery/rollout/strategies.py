"""The strategies: how traffic moves to the new version, as a list of stages, each a set of weights for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...domain.frozen import Frozen
from ...domain.project import Strategy

FULL_SHARE = 100


class Stage(Frozen):
    """`weights` by replica id (0..100). `share` is the new version's percentage. The stage is analysed for `hold`
    seconds before the next one."""

    share: int
    weights: Mapping[str, int]
    hold: float = 0.0


def stages(strategy: Strategy, new: Sequence[str], old: Sequence[str]) -> list[Stage]:
    """Returns the stages from all traffic on `old` to all of it on `new` (replica ids). Without old replicas there
    is one stage, whatever the strategy."""
    last = Stage(FULL_SHARE, dict.fromkeys(old, 0) | dict.fromkeys(new, FULL_SHARE))
    if not old:
        return [last]
    if strategy.kind == "rolling":
        return [_rolled(new, old, count) for count in range(1, len(new))] + [last]
    if strategy.kind == "canary":
        return [
            Stage(share, split(new, old, share), strategy.interval)
            for share in strategy.weights
            if 0 < share < FULL_SHARE
        ] + [last]
    return [last]


def alike(planned: Sequence[Stage], new: Sequence[str], old: Sequence[str]) -> list[Stage]:
    """Returns the stages with further replicas of both sides, which get no requests now, for when they do."""

    def more(stage: Stage) -> dict[str, int]:
        share = max(stage.weights.values(), default=0)
        return dict.fromkeys(new, share) | dict.fromkeys(old, share if stage.share < FULL_SHARE else 0)

    return [replace(stage, weights={**more(stage), **stage.weights}) for stage in planned]


def _rolled(new: Sequence[str], old: Sequence[str], count: int) -> Stage:
    """Returns the stage with the first `count` new replicas in, and an equal part of the old ones out."""
    out = round(len(old) * count / len(new))
    weights = {name: FULL_SHARE * (place < count) for place, name in enumerate(new)} | {
        name: FULL_SHARE * (place >= out) for place, name in enumerate(old)
    }
    kept = len(old) - out
    return Stage(round(FULL_SHARE * count / (count + kept)), weights)


def split(new: Sequence[str], old: Sequence[str], share: int) -> dict[str, int]:
    """Returns weights that give `new` as a whole `share` percent, as closely as whole weights from 1 to 100 can."""
    one_new, one_old = share / len(new), (FULL_SHARE - share) / len(old)
    scale = FULL_SHARE / max(one_new, one_old)
    return {name: max(1, round(one_new * scale)) for name in new} | {
        name: max(1, round(one_old * scale)) for name in old
    }
