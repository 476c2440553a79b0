"""What the states of a stack mean, and what a person can do in each: CloudFormation says neither."""

from __future__ import annotations

from collections.abc import Mapping

from ...domain.frozen import Frozen

GOOD = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"})
"""A stack in such a state can be updated."""
NEW = frozenset({"REVIEW_IN_PROGRESS", "DELETE_COMPLETE", ""})
"""There is nothing of the stack yet."""
DONE = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
"""An operation that ended so has succeeded."""


class StackState(Frozen):
    """A state in words."""

    words: str
    to_do: str = ""
    """What to do about it; `STACK` stands for the stack's name."""


_DELETE = "`aws cloudformation delete-stack --stack-name STACK` removes what is left; then plan it again"
_STATES: Mapping[str, StackState] = {
    "CREATE_FAILED": StackState("its creation failed, and what was created was left there", _DELETE),
    "ROLLBACK_COMPLETE": StackState("its creation failed and was taken back: it can only be deleted", _DELETE),
    "ROLLBACK_FAILED": StackState("its creation failed, and taking that back failed too", _DELETE),
    "DELETE_FAILED": StackState(
        "its deletion failed: something in it cannot be deleted",
        "empty or release what the events name, and delete it again; --retain-resources leaves it there",
    ),
    "UPDATE_FAILED": StackState(
        "its update failed, and what was changed was left as it is",
        "plan and apply again, or `aws cloudformation rollback-stack --stack-name STACK` takes it back",
    ),
    "UPDATE_ROLLBACK_FAILED": StackState(
        "its update failed, and taking that back failed too: it can be neither updated nor used as it is",
        "remove what the events name as the cause, then `aws cloudformation continue-update-rollback --stack-name"
        " STACK`; --resources-to-skip leaves out what cannot be taken back",
    ),
    "UPDATE_ROLLBACK_COMPLETE": StackState(
        "its last update failed and was taken back: it is as it was before", "correct the template, and plan again"
    ),
    "IMPORT_ROLLBACK_FAILED": StackState(
        "an import failed, and taking that back failed too", "see its events, and remove the cause by hand"
    ),
    "IMPORT_ROLLBACK_COMPLETE": StackState("an import failed and was taken back", "correct it, and plan again"),
}


def explained(state: str, stack: str) -> StackState:
    """Returns what a state means and what to do about it."""
    found = _STATES.get(state)
    if found is not None:
        return StackState(found.words, found.to_do.replace("STACK", stack))
    if state.endswith("_IN_PROGRESS"):
        return StackState("it is being changed", "wait until that has ended; its events say how far it is")
    return StackState(f"its state is {state}")


def may_plan(state: str) -> bool:
    """Tells whether a change set can be made for a stack in this state."""
    return state in GOOD or state in NEW or state == "IMPORT_ROLLBACK_COMPLETE" or state == "UPDATE_FAILED"


def over(state: str) -> bool:
    """Tells whether an operation has ended. What only cleans up after an update still counts as a part of it."""
    return not state.endswith("_IN_PROGRESS") or state == "REVIEW_IN_PROGRESS"
