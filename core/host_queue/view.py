"""What the queue of this machine looks like from outside: who has what, what waits, and why (`podium cluster`)."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.machines.cluster import Share
from ..domain.machines.machine import MachineClaim, MachineGpu, MachineStatus
from ..identity.machine import here
from .gpus import Gpu, gpus
from .queue import Claim, claims_in, directory, standing
from .resources import Capacity, capacity

_STOPPED = "its worker is stopped: others pass it"


def status() -> MachineStatus:
    """Returns how this machine stands now. Looks for GPUs, which takes a moment where there are some."""
    place = directory()
    host = here().host
    if place is None:
        return MachineStatus(host, Share(), Share(), off=True)
    found = gpus()
    there = capacity(place, found)
    claims = sorted(claims_in(place), key=lambda each: (not each.running, each.place))
    running = [each for each in claims if each.running]
    return MachineStatus(
        host,
        Share(sum(each.wanted.cpus for each in running), there.cpus),
        Share(sum(each.wanted.memory for each in running), there.memory),
        tuple(_gpu(gpu, running) for gpu in found if gpu.index in there.gpus),
        tuple(_claim(each, there, claims) for each in claims),
    )


def _gpu(gpu: Gpu, running: Sequence[Claim]) -> MachineGpu:
    return MachineGpu(gpu.index, gpu.words, next((each.words for each in running if gpu.index in each.given), ""))


def _claim(claim: Claim, there: Capacity, claims: Sequence[Claim]) -> MachineClaim:
    waits = ""
    if claim.stopped:
        waits = _STOPPED
    elif not claim.running:
        # One that could be admitted is, as soon as its worker looks.
        now = standing(claim, there, claims)
        waits = now.words(claim.wanted, claims) if now.lacking else "starts in a moment"
    return MachineClaim(
        claim.place,
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
