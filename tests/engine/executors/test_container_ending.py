"""The tables of `ending.py`: what a container's exit code makes of its step, and what is said about it."""

from __future__ import annotations

import pytest
from podium.core.engine.executors.container.ending import ContainerEnd, ContainerExitCode, explain, step_exit_code

GIB = 1 << 30


@pytest.mark.parametrize(
    ("code", "lost", "signalled", "wanted"),
    [
        (0, False, False, 0),
        (3, True, True, 3),
        (ContainerExitCode.COMMAND_ENDED_WITH_180, False, True, 179),
        (ContainerExitCode.TERMINATED_WELL, False, False, 0),
        (ContainerExitCode.TERMINATED_WELL, True, False, 143),
        (ContainerExitCode.TERMINATED_WELL, False, True, 143),
    ],
)
def test_the_steps_exit_code(code: int, lost: bool, signalled: bool, wanted: int) -> None:
    assert step_exit_code(ContainerEnd(code, False, lost=lost), signalled=signalled) == wanted


@pytest.mark.parametrize(
    ("end", "memory", "shell_missing", "words", "hint"),
    [
        (
            ContainerEnd(137, True),
            GIB,
            False,
            "out of memory: the container needed more than its limit of 1 GiB",
            "raise",
        ),
        (
            ContainerEnd(1, True),
            None,
            False,
            "more than the memory of the engine's machine (exit code 1)",
            "set `memory`",
        ),
        (
            ContainerEnd(143, False, lost=True),
            None,
            False,
            "the engine was stopped while the step ran",
            "podium resume 7",
        ),
        (
            ContainerEnd(137, False, lost=True),
            None,
            False,
            "the engine was stopped while the step ran",
            "podium resume 7",
        ),
        (ContainerEnd(137, False), None, False, "killed (exit code 137), but not for want of memory", "SIGKILL"),
        (ContainerEnd(127, False, "no such file"), None, True, "the image has no /bin/sh", "use an image with a shell"),
        (
            ContainerEnd(126, False, "permission denied"),
            None,
            False,
            "the container could not run: permission denied",
            "",
        ),
        (ContainerEnd(2, False, lost=True), None, False, "", ""),
        (ContainerEnd(2, False), GIB, False, "", ""),
    ],
)
def test_what_is_said_about_a_step_that_failed(
    end: ContainerEnd, memory: int | None, shell_missing: bool, words: str, hint: str
) -> None:
    found = explain(end, end.exit_code, run=7, memory=memory, shell_missing=shell_missing)
    assert (words in found.error) and (hint in found.hint)
    assert bool(found.error) == bool(words) and bool(found.hint) == bool(hint)
