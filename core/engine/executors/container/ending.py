"""How a step's container ended, and what that says about the step.

The container's exit code is that of the wrapper (`wrapper.py`) or of the engine (`ExitCode` names those that mean
something here). It becomes the step's exit code (`step_exit_code`):

    container's code   step signalled, or engine lost    step's code
    -----------------  --------------------------------  -------------------------------------------
    TERMINATED_WELL    yes                               TERMINATED: it has not done all of its work
    TERMINATED_WELL    no                                0: somebody else sent the signal
    any other          either                            the same

A step that failed is explained by the first row that holds (`explain`):

    what happened                                        message
    ---------------------------------------------------  ---------------------------------------------
    the worker signalled it                              none: the worker knows why
    the kernel killed a process for want of memory       out of memory
    the engine was lost, and a signal ended it           the engine was stopped while the step ran
    KILLED                                               killed, but not for want of memory
    the engine found no /bin/sh                          the image has no /bin/sh
    the engine reports an error                          the container could not run
    none of these                                        none: the exit code says it
"""

from __future__ import annotations

from enum import IntEnum

from ....domain.frozen import Frozen


class ContainerExitCode(IntEnum):
    """Exit codes of a step's container that do not come from its command alone."""

    ENGINE_FAILED = 125
    """The engine failed, or the wrapper got no command; the same code as docker's own client."""

    KILLED = 128 + 9
    """SIGKILL: by the kernel for want of memory, or by a person."""

    TERMINATED = 128 + 15
    """SIGTERM."""

    COMMAND_ENDED_WITH_180 = 179
    """The command itself ended with 180, which is taken."""

    TERMINATED_WELL = 180
    """The wrapper was sent SIGTERM, and its command ended with 0 nevertheless."""


# A code above this is 128 + the number of the signal that ended the command.
SIGNAL_BASE = 128


class ContainerEnd(Frozen):
    """How a container ended, as the engine has it."""

    exit_code: int
    """The container's exit code."""

    out_of_memory: bool
    """Whether the kernel killed something in it for want of memory."""

    error: str = ""
    """Why the engine could not run it; empty when it could."""

    lost: bool = False
    """Whether the engine was away for a while, and so may have ended it."""


class Explanation(Frozen):
    """Why a step failed, if it was not simply its command; empty if the exit code says it."""

    error: str = ""
    hint: str = ""


def step_exit_code(end: ContainerEnd, *, signalled: bool) -> int:
    """Returns the step's exit code; `signalled` is whether the worker had the step end."""
    if end.exit_code != ContainerExitCode.TERMINATED_WELL:
        return end.exit_code
    return ContainerExitCode.TERMINATED if end.lost or signalled else 0


def explain(end: ContainerEnd, code: int, *, run: int, memory: int | None, shell_missing: bool) -> Explanation:
    """Returns why the step failed with `code`; `memory` is its limit in bytes, None for none."""
    if end.out_of_memory:
        return _out_of_memory(code, memory)
    if end.lost and code > SIGNAL_BASE:
        return Explanation(
            f"the engine was stopped while the step ran, and ended its container (exit code {code})",
            f"`podium resume {run}` does it again; an engine with live-restore leaves containers alone",
        )
    if code == ContainerExitCode.KILLED:
        return Explanation(
            "killed (exit code 137), but not for want of memory",
            "somebody, or the command itself, sent SIGKILL; `podium logs` shows its last words",
        )
    if shell_missing:
        return Explanation(
            "the image has no /bin/sh, which a step's `run` is given to", "use an image with a shell in it"
        )
    return Explanation(f"the container could not run: {end.error}") if end.error else Explanation()


def _out_of_memory(code: int, memory: int | None) -> Explanation:
    limit = f"its limit of {_size(memory)}" if memory else "the memory of the engine's machine"
    return Explanation(
        f"out of memory: the container needed more than {limit} (exit code {code})",
        "raise `memory` of the step, or have it use less"
        if memory
        else "set `memory` for the step, or have it use less",
    )


def _size(memory: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if memory >= factor:
            return f"{memory / factor:.4g} {unit}"
    return f"{memory} bytes"
