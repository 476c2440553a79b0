"""Moves the traffic to the new version: the stages of a strategy, one after the other."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...domain.delivery import Replica
from .canary import Canary
from .strategies import FULL_SHARE, Stage

if TYPE_CHECKING:
    from .rollout import Rollout

# Between two stages that nobody watches (rolling): the proxy takes the weights, and requests in flight spread.
STAGE_PAUSE = 0.2
HEAL_INTERVAL = 1.0


def shift_traffic(rollout: Rollout, stages: Sequence[Stage], new: Sequence[Replica], old: Sequence[Replica]) -> None:
    """Sets the weights of one stage after the other; holds and analyses those of a canary. RunFailed when the canary
    has to go back."""

    def keep(known: Mapping[str, object]) -> None:
        rollout.update(canary=known)
        rollout.save()

    def keep_stage(ended: Mapping[str, object]) -> None:
        rollout.update(stages=(*rollout.state.stages, ended))
        rollout.save()

    runtime = rollout.runtime
    canary = Canary(runtime, rollout.deployment, new, old, keep=keep, keep_stage=keep_stage, tick=rollout.heal)
    all_now = False
    for index, stage in enumerate(stages):
        if stage.share == FULL_SHARE:
            if rollout.state.canary is not None:
                rollout.update(canary=None)
                rollout.save()
                canary.check_abort()
            runtime.traffic.weigh({**_surplus(rollout, new), **stage.weights})
        elif not all_now:
            runtime.traffic.weigh(stage.weights)
            rollout.update(share=stage.share)
            rollout.save()
            if stage.hold:
                all_now = not canary.hold(stage, index)
            else:
                _pause(rollout, STAGE_PAUSE)


def _surplus(rollout: Rollout, wanted: Sequence[Replica]) -> dict[str, int]:
    """Returns weight 0 for the version's replicas beyond those wanted: there were more of them once."""
    ids = {row.id for row in wanted}
    return {row.id: 0 for row in rollout.runtime.replicas(rollout.version) if row.id not in ids}


def _pause(rollout: Rollout, seconds: float) -> None:
    """Waits, and heals meanwhile."""
    deadline = time.monotonic() + seconds
    while True:
        rollout.heal()
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, HEAL_INTERVAL))
