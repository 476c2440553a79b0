"""One stack of CloudFormation: planned as a change set, applied by executing that, looked at by its drift detection."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ...config.infra.outputs import fill
from ...domain.infra.plan import InfraPlan, Output, ResourceChange
from ...domain.infra.settings import Infra
from ...domain.project import Project
from ...domain.text import one_line
from ...errors import NotFound, PodiumError, Refused, RunFailed
from ...logs.masking import masked
from .. import Progress, Say
from . import change_set as sets
from .api import PASSING, Api, Execution, NoSuchStack, client_of
from .following import Following
from .states import DONE, NEW, explained, may_plan

POLL_INTERVAL = 2.0
MAX_BODY = 51_200
_DESTROY = "delete "
_TOOL = "CloudFormation"


class StackBusy(Refused):
    """Somebody else is changing the stack."""


class StackStuck(Refused):
    """The stack is in a state in which it cannot be updated."""


class StalePlan(Refused):
    """The stack or the change set is not what the plan was made of."""


class CloudFormation:
    """The tool `cloudformation` of one infrastructure."""

    def __init__(
        self, project: Project, infra: Infra, say: Say, *, client: Any = None, poll: float = POLL_INTERVAL
    ) -> None:
        """`client` is boto3's where it is not made from podium.yaml; `poll` the seconds between two looks."""
        self._project, self._infra, self._poll = project, infra, poll
        self._say: Say = lambda words: say(self._mask(words))
        self._given = client

    @property
    def stack(self) -> str:
        """Returns the stack's name."""
        return self._infra.stack or f"{self._project.name}-{self._infra.name}".replace("_", "-").replace(".", "-")

    # What a tool does

    def plan(self, *, destroy: bool = False) -> InfraPlan:
        stack = self._steady()
        if destroy:
            return self._ending(stack)
        started = time.time()
        kind = "CREATE" if stack is None or str(stack["StackStatus"]) in NEW else "UPDATE"
        name = self._create(kind, started)
        if not name:
            return self._as_plan("", [], (), started, applyable=False)
        found = self._made(name)
        state, reason = str(found.get("Status")), str(found.get("StatusReason") or "")
        if state == "FAILED" and not sets.is_empty(reason):
            self._forget(name)
            raise RunFailed(f"CloudFormation cannot plan {self._infra.name}: {one_line(self._mask(reason))}")
        if state == "FAILED":
            self._forget(name)
            return self._as_plan(name, [found], (), started, applyable=False)
        documents = [found]

        def described(nested: str) -> Mapping[str, Any]:
            documents.append(self._api.change_set(nested))
            return documents[-1]

        changes = sets.changes_of(found, described, self._resources, self._mask)
        return self._as_plan(name, documents, changes, started, applyable=True)

    def apply(self, plan: InfraPlan, progress: Progress) -> None:
        """Executes the change set of the plan, after a look whether it is still what was planned."""
        stack = self._steady()
        state = str((stack or {}).get("StackStatus", ""))
        following = Following(self._api, self._id(stack), state, progress, self._say, self._poll)
        self._say(f"{plan.tool} applies the plan {plan.short}: {plan.words()}")
        token = f"podium-{plan.digest[:40]}"
        if plan.reference.startswith(_DESTROY):
            if self._ending(stack).digest != plan.digest:
                raise StalePlan(f"the stack {self.stack} is another one by now", hint=self._again)
            self._api.call("delete_stack", StackName=self._id(stack), ClientRequestToken=token)
        else:
            self._ensure_same(plan)
            self._api.call("execute_change_set", ChangeSetName=plan.reference, ClientRequestToken=token)
        self._follow(following, plan.reference)

    def drift(self) -> InfraPlan:
        started = time.time()
        if self._steady() is None:
            raise NotFound(f"there is no stack {self.stack}", hint=f"podium infra apply {self._infra.name}")
        detection = str(self._api.call("detect_stack_drift", StackName=self.stack)["StackDriftDetectionId"])
        found = self._detected(detection)
        if found.get("DetectionStatus") == "DETECTION_FAILED":
            reason = one_line(self._mask(str(found.get("DetectionStatusReason") or "")))
            raise RunFailed(f"CloudFormation could not look at all of {self.stack}: {reason}")
        drifted = self._api.pages(
            "describe_stack_resource_drifts",
            "StackResourceDrifts",
            StackName=self.stack,
            StackResourceDriftStatusFilters=["MODIFIED", "DELETED"],
        )
        plan = self._as_plan(detection, [], (), started, applyable=False)
        return replace(plan, drift=tuple(sets.drift_of(each, self._mask) for each in drifted), refresh_only=True)

    def outputs(self) -> Sequence[Output]:
        stack = self._api.stack(self.stack)
        written: Sequence[Mapping[str, Any]] = (stack or {}).get("Outputs") or ()
        found: list[Output] = []
        for each in written:
            value = str(each.get("OutputValue", ""))
            shown = self._mask(value)
            found.append(Output(one_line(str(each.get("OutputKey", ""))), shown, sensitive=shown != value))
        return found

    def discard(self, plan: InfraPlan) -> None:
        if plan.reference and not plan.reference.startswith(_DESTROY):
            self._forget(plan.reference)

    # How

    @cached_property
    def _api(self) -> Api:
        client = self._given if self._given is not None else client_of(self._infra)
        return Api(client, self._infra, self._project.secrets)

    @cached_property
    def _parameters(self) -> Mapping[str, str]:
        return {name: fill(text, self._project.state) for name, text in self._infra.vars.items()}

    @property
    def _again(self) -> str:
        return f"make a new plan: podium infra plan {shlex.quote(self._infra.name)}"

    def _mask(self, words: str) -> str:
        return masked(words, self._project.secrets)

    def _id(self, stack: Mapping[str, Any] | None) -> str:
        return str(stack["StackId"]) if stack is not None else self.stack

    def _steady(self) -> Mapping[str, Any] | None:
        """Returns the stack, None for none. Refused where it is being changed, or can only be put right by hand."""
        stack = self._api.stack(self.stack)
        state = str(stack["StackStatus"]) if stack is not None else ""
        if may_plan(state):
            return stack
        known = explained(state, self.stack)
        kind = StackBusy if state.endswith("_IN_PROGRESS") else StackStuck
        raise kind(f"the stack {self.stack} is in {state}: {known.words}", hint=known.to_do)

    def _template(self) -> str:
        path = self._project.root / self._infra.path
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            told = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            raise NotFound(
                f"infra.{self._infra.name}: {self._infra.path} cannot be read: {told}",
                hint=f"it is looked for in {self._project.root}",
            ) from error
        if len(text.encode()) > MAX_BODY:
            raise RunFailed(
                f"{self._infra.path} has more than {MAX_BODY:,} bytes, which CloudFormation takes from a bucket only",
                hint="split it into nested stacks, or pack it with `aws cloudformation package`",
            )
        return text

    def _create(self, kind: str, started: float) -> str:
        """Has a change set made; returns its id, empty where the API says at once that there is nothing to change."""
        try:
            made = self._api.call(
                "create_change_set",
                StackName=self.stack,
                ChangeSetName=f"podium-{int(started * 1000)}",
                ChangeSetType=kind,
                TemplateBody=self._template(),
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in self._parameters.items()],
                Capabilities=list(self._infra.capabilities),
                IncludeNestedStacks=True,
            )
        except RunFailed as error:
            if sets.is_empty(error.message):
                return ""
            raise
        return str(made["Id"])

    def _made(self, name: str) -> Mapping[str, Any]:
        return self._polled(
            lambda: self._api.change_set(name), lambda found: found.get("Status") not in _MAKING, "make the change set"
        )

    def _detected(self, detection: str) -> Mapping[str, Any]:
        return self._polled(
            lambda: self._api.call("describe_stack_drift_detection_status", StackDriftDetectionId=detection),
            lambda found: found.get("DetectionStatus") != "DETECTION_IN_PROGRESS",
            "look for drift",
        )

    def _polled(
        self, ask: Callable[[], Mapping[str, Any]], good: Callable[[Mapping[str, Any]], bool], what: str
    ) -> Mapping[str, Any]:
        deadline = time.monotonic() + self._infra.timeout
        while True:
            found: Mapping[str, Any] | None = None
            with suppress(*PASSING):
                found = ask()
            if found is not None and good(found):
                return found
            if time.monotonic() > deadline:
                raise RunFailed(f"CloudFormation took longer than {self._infra.timeout:g} s to {what}")
            time.sleep(self._poll)

    def _ensure_same(self, plan: InfraPlan) -> None:
        documents: list[Mapping[str, Any]] = []

        def described(name: str) -> Mapping[str, Any]:
            documents.append(self._api.change_set(name))
            return documents[-1]

        try:
            first = described(plan.reference)
            sets.changes_of(first, described, self._resources, self._mask)
        except NoSuchStack as error:
            raise StalePlan(
                f"the change set of {self._infra.name} is gone: {error.message}", hint=self._again
            ) from error
        if first.get("ExecutionStatus") != "AVAILABLE" or sets.digest(documents) != plan.digest:
            state = one_line(str(first.get("ExecutionStatus", "gone")))
            raise StalePlan(
                f"the change set of {self._infra.name} is not what was planned any more ({state})", hint=self._again
            )

    def _follow(self, following: Following, reference: str) -> None:
        ends = reference.startswith(_DESTROY)
        execution = Execution()

        def begun(state: str) -> bool:
            nonlocal execution
            if ends:
                return state.startswith("DELETE")
            execution = self._api.execution(reference)
            return not execution.going_on

        state, stack = following.until_over(self._infra.timeout, begun)
        if state in DONE and execution.failed:
            raise RunFailed(
                f"the change set of {self._infra.name} was not carried out ({execution.words}): the stack is as it was",
                hint=self._again,
            )
        if state in ({"DELETE_COMPLETE"} if ends else DONE):
            return
        if state == "TIMED_OUT":
            raise RunFailed(
                f"the stack {self.stack} was not done within {self._infra.timeout:g} s, and goes on by itself",
                hint="its events say how far it is; raise `timeout` of the infrastructure",
            )
        failed = following.failures(stack)
        for each in failed:
            self._say(f"error: {each.words()}")
        known = explained(state, self.stack)
        cause = f": {self._mask(failed[0].words())}" if failed else ""
        raise RunFailed(f"the stack {self.stack} ended in {state}, {known.words}{cause}", hint=known.to_do)

    def _ending(self, stack: Mapping[str, Any] | None) -> InfraPlan:
        """Returns the plan to delete the stack with all that is in it."""
        started = time.time()
        changes = list(sets.ended(self.stack, self._resources)) if stack else []
        reference = _DESTROY + self._id(stack)
        plan = self._as_plan(reference, [], changes, started, applyable=stack is not None)
        seen = [
            reference,
            sorted([each.address, each.type] for each in changes),
            str((stack or {}).get("LastUpdatedTime")),
        ]
        return replace(plan, digest=hashlib.sha256(json.dumps(seen).encode()).hexdigest())

    def _resources(self, stack: str) -> list[Mapping[str, Any]]:
        """Returns all resources of a stack; none of one that is gone."""
        try:
            return list(self._api.pages("list_stack_resources", "StackResourceSummaries", StackName=stack))
        except NoSuchStack:
            return []

    def _as_plan(
        self,
        reference: str,
        documents: Sequence[Mapping[str, Any]],
        changes: Sequence[ResourceChange],
        started: float,
        *,
        applyable: bool,
    ) -> InfraPlan:
        return InfraPlan(
            infra=self._infra.name,
            tool=_TOOL,
            digest=sets.digest(documents),
            created=started,
            expires=started + self._infra.expires,
            changes=tuple(sorted(changes, key=lambda each: (each.kind.rank, each.address))),
            directory=str(self._project.root),
            workspace=self.stack,
            applyable=applyable,
            reference=reference,
        )

    def _forget(self, name: str) -> None:
        """Removes a change set; one that is gone or cannot be removed is no trouble: it does nothing by itself."""
        try:
            self._api.call("delete_change_set", ChangeSetName=name)
        except PodiumError as error:
            self._say(f"the change set stays: {error.message}")


_MAKING = ("CREATE_PENDING", "CREATE_IN_PROGRESS")
