"""What the queue of this machine looks like from outside: who has what, what waits, and why (`podium cluster`)."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.machines.cluster import Share
from ..domain.machines.machine import MachineClaim, MachineGpu, MachineStatus
from ..identity.machine import here
from .gpus import gpus
from .queue import Claim, claims_in, directory, standing
from .resources import Capacity, capacity

_STOPPED = "its worker is stopped: others pass it"


def status() -> MachineStatus:
    """Returns how this machine stands now. Looks for GPUs, which takes a moment where there are some."""
    place = directory()
    host = here().host
    if place is None:
        return MachineStatus(host, Share(), Share(), off=True)
    there = capacity(place, with_gpus=True)
    claims = sorted(claims_in(place), key=lambda each: (not each.running, each.place))
    running = [each for each in claims if each.running]
    return MachineStatus(
        host,
        Share(sum(each.wanted.cpus for each in running), there.cpus),
        Share(sum(each.wanted.memory for each in running), there.memory),
        tuple(_gpu(number, words, running) for number, words in _seen(there).items()),
        tuple(_claim(each, there, claims) for each in claims),
    )


def _seen(there: Capacity) -> dict[str, str]:
    if not there.gpus:
        return {}
    words = {gpu.index: gpu.words for gpu in gpus()}
    return {number: words.get(number, f"GPU {number}") for number in there.gpus}


def _gpu(number: str, words: str, running: Sequence[Claim]) -> MachineGpu:
    return MachineGpu(number, words, next((each.words for each in running if number in each.given), ""))


def _claim(claim: Claim, there: Capacity, claims: Sequence[Claim]) -> MachineClaim:
    waits = ""
    if claim.stopped:
        waits = _STOPPED
    elif not claim.running:
        # One that could be admitted is, as soon as its worker looks.
        now = standing(claim, there, claims)
        waits = now.words(claim.wanted, claims) if now.lacking else "starts in a moment"
    return MachineClaim(
        claim.owner.project,
        claim.owner.run,
        claim.step,
        claim.owner.user,
        claim.wanted.words,
        claim.running,
        claim.given,
        claim.since,
        waits,
    )
