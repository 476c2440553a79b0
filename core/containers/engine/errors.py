"""Turns the errors of an engine into Podium's errors, with a hint for each."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from docker import errors as docker_errors
from requests import exceptions as http_errors
from urllib3.exceptions import HTTPError

from ...domain.text import clean
from ...errors import NotFound, PodiumError, Refused, RunFailed, Unreachable, UsageError
from .address import Address

# What the docker package lets through as it is when an answer that goes on ends in the middle of a message, or is
# silent for too long.
BROKEN = (HTTPError, docker_errors.StreamParseError, ValueError)


class EngineAway(Unreachable):
    """The engine does not answer: it is restarting, or the connection to it broke. The same request may succeed a
    moment later."""


class NothingLeft(EngineAway):
    """This machine or process lacks what a connection needs (descriptors, memory, room on its disk). That says nothing
    of the engine, which nobody may take for lost."""


@contextmanager
def own_files(what: str) -> Generator[None]:
    """Turns failures at a file of this machine into RunFailed: inside `explained` an OSError would be taken for the
    engine's. Errors of the HTTP library, which are OSErrors too, pass unchanged."""
    try:
        yield
    except http_errors.RequestException:
        raise
    except OSError as error:
        name = f"{clean(str(error.filename))[:300]}: " if error.filename else ""
        raise RunFailed(
            f"{what}: {name}{error.strerror or clean(str(error))[:300]}",
            hint="check the free space on the disk and the file's permissions",
        ) from error


@contextmanager
def explained(address: Address, what: str) -> Generator[None]:
    """Turns every error of the docker package into a PodiumError that begins with `what` (a few words such as
    `starting production-v3-1`)."""
    try:
        yield
    except PodiumError:
        raise
    except docker_errors.APIError as error:
        raise refusal(error, what) from error
    except (docker_errors.DockerException, http_errors.RequestException, OSError) as error:
        raise unreachable(error, address, what) from error


# What engines say of a registry.
_NOT_LET_IN = ("pull access denied", "unauthorized", "authentication required", "denied:", "no basic auth")
_REGISTRY_AWAY = (
    "dial tcp",
    "no such host",
    "tls handshake",
    "connection refused",
    "i/o timeout",
    "context deadline exceeded",
)


def refusal(error: docker_errors.APIError, what: str) -> PodiumError:
    """Returns the error for a request that the engine answered with a failure."""
    text = clean(" ".join(str(error.explanation or error).split()))[:600]
    low = text.lower()
    status = error.status_code or 0
    if of_swarm := _refusal_of_swarm(low, text, what):
        return of_swarm
    if "no space left on device" in low:
        return Unreachable(
            f"{what}: the engine's disk is full: {text}", hint="run `docker system df` to see what fills it"
        )
    if isinstance(error, docker_errors.ImageNotFound) or "no such image" in low or "manifest unknown" in low:
        return NotFound(
            f"{what}: the image is neither on the engine nor in a registry: {text}",
            hint="build or pull it, or correct its name",
        )
    if any(word in low for word in _NOT_LET_IN):
        return Refused(
            f"{what}: the registry refused: {text}",
            hint="run `docker login` on this machine, or correct the image's name",
        )
    if "port is already allocated" in low or "address already in use" in low:
        return Refused(
            f"{what}: the port is in use: {text}", hint="stop what uses it, or give the environment another port"
        )
    if any(word in low for word in _REGISTRY_AWAY):
        return Unreachable(
            f"{what}: the engine cannot reach the registry: {text}",
            hint="check that the registry is running and reachable from the engine's machine",
        )
    if status == 404:
        return NotFound(f"{what}: {text}")
    return RunFailed(f"{what}: the engine refused: {text}")


def _refusal_of_swarm(low: str, text: str, what: str) -> PodiumError | None:
    if "does not have a leader" in low:
        hint = "docker node ls on a manager shows which are there: more than half have to be"
        return EngineAway(f"{what}: the managers of the Swarm cannot agree on a leader", hint=hint)
    if "attaching to network failed" in low:
        hint = "docker node ls shows its availability, which has to be active; docker node update changes it"
        return RunFailed(f"{what}: the Swarm does not let it onto its network on that node: {text}", hint=hint)
    if "not a swarm manager" in low:
        return UsageError(f"{what}: the engine is no manager of a Swarm", hint="name a manager as `host`")
    return None


# What this machine lacks, and not the engine's: that one says so in an answer.
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOMEM})


def unreachable(error: BaseException, address: Address, what: str) -> PodiumError:
    """Returns the error for an engine that does not answer. Distinguishes a daemon that is not running, missing
    permission, a time-out, an untrusted certificate, and what this machine lacks itself."""
    # An SSLError is an OSError whose number is OpenSSL's own: 1 would read as «no permission».
    numbers = {
        cause.errno
        for cause in _causes(error)
        if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) and cause.errno
    }
    text = clean(" ".join(str(error).split()))[:300]
    if numbers & _OURS:
        return NothingLeft(
            f"{what}: this machine cannot open the connection to {address}: {text}",
            hint="check its free disk space, and the limit of open files (ulimit -n)",
        )
    if errno.EACCES in numbers or errno.EPERM in numbers:
        hint = "add yourself to the group `docker` and log in again, or name another engine in docker.host"
        return Refused(f"{what}: no permission on the socket of the Docker engine at {address}", hint=hint)
    if numbers & {errno.ENOENT, errno.ECONNREFUSED}:
        return EngineAway(
            f"{what}: no Docker engine answers at {address}",
            hint="start it (`docker info` must answer), or name another engine in docker.host",
        )
    if isinstance(error, http_errors.Timeout) or any(isinstance(cause, TimeoutError) for cause in _causes(error)):
        return EngineAway(
            f"{what}: the Docker engine at {address} timed out",
            hint="try again; the engine may be overloaded or stopped",
        )
    if "certificate" in text.lower() or "ssl" in text.lower():
        return EngineAway(
            f"{what}: the Docker engine at {address} is not trusted: {text}",
            hint="check the directory that `tls` names",
        )
    return EngineAway(
        f"{what}: the Docker engine at {address} cannot be used: {text}",
        hint="check that it is running, then try again",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the error, its causes, and the errors that the HTTP library wraps as arguments."""
    pending, seen = [error], set[int]()
    while pending:
        cause = pending.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        pending += [
            each
            for each in (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
            if isinstance(each, BaseException)
        ]
