"""CloudFormation's API, with its pages turned and its errors in plain words. boto3 is an optional extra."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from ...domain.frozen import Frozen
from ...domain.infra.settings import Infra
from ...domain.text import one_line
from ...errors import MissingExtra, PodiumError, Refused, RunFailed, Unreachable
from ...logs.masking import masked

_MAX_PAGES = 500
_EXECUTING = ("AVAILABLE", "EXECUTE_IN_PROGRESS")
# Also after boto3 has tried again a few times.
_TOO_MANY = (
    "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException",
    "ServiceUnavailable", "InternalFailure", "InternalError",
)  # fmt: skip
_NOT_ALLOWED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_NOT_BELIEVED = ("InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "UnrecognizedClientException")


class NoSuchStack(PodiumError):
    """There is no stack of that name."""


class Throttled(RunFailed):
    """The API has too much to do."""


class Away(Unreachable):
    """The API cannot be reached."""


PASSING = (Throttled, Away)
"""What an operation goes on in spite of, so that whoever follows it asks again."""


def client_of(infra: Infra) -> Any:
    """Returns boto3's client for an infrastructure's region. Raises MissingExtra without boto3, Unreachable without a
    region."""
    try:
        boto3, config = import_module("boto3"), import_module("botocore.config")
    except ImportError as error:
        raise MissingExtra("CloudFormation needs boto3", hint='pip install "podium[aws]"') from error
    options = config.Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "max_attempts": 5})
    try:
        return boto3.client(
            "cloudformation", region_name=infra.region or None, endpoint_url=infra.endpoint or None, config=options
        )
    except Exception as error:  # botocore raises two dozen kinds
        raise _plain(error, infra, ()) from error


class Execution(Frozen):
    """How far the execution of a change set is."""

    going_on: bool = False
    failed: bool = False
    words: str = ""


class Api:
    """The calls that are made, for one stack."""

    def __init__(self, client: Any, infra: Infra, secrets: tuple[str, ...]) -> None:
        self._client, self._infra, self._secrets = client, infra, secrets

    @contextmanager
    def asked(self) -> Generator[None]:
        """Turns errors of the API into plain words."""
        try:
            yield
        except PodiumError:
            raise
        except Exception as error:
            raise _plain(error, self._infra, self._secrets) from error

    def call(self, name: str, **arguments: Any) -> Mapping[str, Any]:
        """Makes one call."""
        with self.asked():
            return getattr(self._client, name)(**arguments)

    def pages(self, name: str, key: str, **arguments: Any) -> Iterator[Mapping[str, Any]]:
        """Yields what is under `key` on all pages of a call's answer."""
        token: dict[str, str] = {}
        for _ in range(_MAX_PAGES):
            answer = self.call(name, **arguments, **token)
            yield from answer.get(key) or ()
            if not answer.get("NextToken"):
                return
            token = {"NextToken": str(answer["NextToken"])}

    def stack(self, name: str) -> Mapping[str, Any] | None:
        """Returns a stack; None if there is none of that name or id."""
        try:
            return next(iter(self.call("describe_stacks", StackName=name)["Stacks"]), None)
        except NoSuchStack:
            return None

    def change_set(self, change_set: str) -> Mapping[str, Any]:
        """Returns a change set with the changes of all its pages."""
        answer: dict[str, Any] = {}
        found: list[Any] = []
        token: dict[str, str] = {}
        for _ in range(_MAX_PAGES):
            answer = dict(self.call("describe_change_set", ChangeSetName=change_set, **token))
            found += answer.get("Changes") or ()
            if not answer.get("NextToken"):
                break
            token = {"NextToken": str(answer["NextToken"])}
        return {**answer, "Changes": found}

    def execution(self, change_set: str) -> Execution:
        """Returns how far the execution of a change set is. One that is gone was executed."""
        try:
            found = self.call("describe_change_set", ChangeSetName=change_set)
        except Refused:
            return Execution()
        status = str(found.get("ExecutionStatus") or "")
        reason = one_line(masked(str(found.get("StatusReason") or ""), self._secrets))
        return Execution(status in _EXECUTING, status not in (*_EXECUTING, "EXECUTE_COMPLETE"), f"{status}: {reason}")

    def events(self, stack: str) -> Iterator[Mapping[str, Any]]:
        """Yields a stack's events, the newest first; nothing for a stack that is gone."""
        try:
            yield from self.pages("describe_stack_events", "StackEvents", StackName=stack)
        except NoSuchStack:
            return

    def failed_events(self, stack: str, operation: str) -> list[Mapping[str, Any]]:
        """Returns the failed events of one operation; none where the API does not know operations."""
        try:
            return list(
                self.pages(
                    "describe_events",
                    "OperationEvents",
                    StackName=stack,
                    OperationId=operation,
                    Filters={"FailedEvents": True},
                )
            )
        except PodiumError:
            return []


def _plain(error: Exception, infra: Infra, secrets: tuple[str, ...]) -> PodiumError:
    """Returns an error of boto3 in plain words."""
    kind = type(error).__name__
    said: Mapping[str, Any] = getattr(error, "response", {}).get("Error", {})
    code = str(said.get("Code", ""))
    words = one_line(masked(str(said.get("Message", "")) if code else str(error), secrets))
    if code == "ValidationError" and "does not exist" in words:
        return NoSuchStack(words)
    if code in ("ChangeSetNotFound", "ChangeSetNotFoundException", "InvalidChangeSetStatus"):
        return Refused(f"the change set of {infra.name} cannot be applied: {words}", hint="make a new plan")
    if code in _NOT_ALLOWED:
        return Refused(f"AWS does not allow it: {words}", hint="give the account the permission that it names")
    if code in _NOT_BELIEVED or kind in ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"):
        return Unreachable(f"AWS does not accept the credentials: {words}", hint="AWS_PROFILE, or `aws sso login`")
    if kind == "NoRegionError":
        return Unreachable("no AWS region is said", hint=f"set infra.{infra.name}.region, or AWS_REGION")
    if not code:
        return Away(f"CloudFormation cannot be asked: {words}", hint=infra.endpoint or "is the network there?")
    if code in _TOO_MANY:
        return Throttled(f"CloudFormation: {words} ({code})", hint="try it again in a minute")
    return RunFailed(f"CloudFormation: {words} ({code})")
