"""What `docker login` has stored for the registries of images, in ~/.docker/config.json or with the credential helper
that it names. The docker package would wait for such a helper for ever, and takes its failures for the engine's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, Final, cast

from docker import auth
from docker import errors as docker_errors
from docker.credentials.errors import CredentialsNotFound
from docker.utils.config import find_config_file

from ...domain.text import clean
from ...errors import RunFailed

HELPER_TIMEOUT: Final = 30.0  # seconds; one of a cloud asks its servers
# In these words every helper says that nobody has logged in.
_NONE: Final = "credentials not found in native keychain"


def login_headers(image: str, what: str) -> dict[str, str]:
    """Returns the header with which an engine is let in by the registry of `image`; none if nobody has logged in there.
    It is read anew: somebody may have logged in since this process connected to the engine. Raises RunFailed, which
    begins with `what`, if the file cannot be understood, and if its helper fails or does not answer."""
    with _understood(what):
        package = cast("Any", auth)  # its functions have no types
        stored: Any = cast("Any", _Logins).load_config(None, None)
        found = stored.resolve_authconfig(package.resolve_repository_name(image)[0])
        return {"X-Registry-Auth": package.encode_header(found).decode("ascii")} if found else {}


class _Logins(auth.AuthConfig):
    """The docker package's reader of the file, with helpers that have a bounded time."""

    def _get_store_instance(self, name: str) -> _Helper:
        return _Helper(name)


class _Helper:
    """A program that keeps credentials (docker-credential-helpers' protocol): it is given the registry's address, and
    prints a JSON document, or says why not and fails."""

    def __init__(self, name: str) -> None:
        self._program = f"docker-credential-{name}"

    def get(self, server: str) -> dict[str, str]:
        """Returns `Username` and `Secret`. Raises CredentialsNotFound if it has none, and RunFailed."""
        code, out, err = self._asked(server)
        if code:
            words = clean(" ".join((out.strip() or err.strip()).split()))[:300]
            if _NONE in words:
                raise CredentialsNotFound(server)
            raise self._failed(f"failed: {words or f'exit code {code}'}")
        try:
            document: dict[str, Any] = json.loads(out)
            found = {name: str(document[name]) for name in ("Username", "Secret")}
        except (ValueError, TypeError, KeyError):
            # Not with what it has printed: that may be a password.
            raise self._failed("failed: it printed something that is no login") from None
        if not any(found.values()):
            raise CredentialsNotFound(server)
        return found

    def _asked(self, server: str) -> tuple[int, str, str]:
        """Returns its exit code, its output and its errors. It has no terminal to ask a person at."""
        try:
            process = subprocess.Popen(
                [self._program, "get"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except FileNotFoundError:
            raise self._failed("is not installed") from None
        except OSError as error:
            raise self._failed(f"cannot be started: {error.strerror}") from error
        with process:
            try:
                out, err = process.communicate(server, timeout=HELPER_TIMEOUT)
            except BaseException as error:
                # What it has started holds its output open, and goes with it.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise self._failed(f"does not answer within {HELPER_TIMEOUT:g} s") from error
                raise
        return process.returncode, out, err

    def _failed(self, words: str) -> RunFailed:
        hint = f"try it: echo REGISTRY | {self._program} get; or take it out of that file and run `docker login`"
        return RunFailed(f"the credential helper {self._program} of {_file()} {words}", hint=hint)


@contextmanager
def _understood(what: str) -> Generator[None]:
    """Turns every failure inside into RunFailed: inside `Engine.doing` it would be taken for the engine's."""
    try:
        yield
    except RunFailed as error:
        raise RunFailed(f"{what}: {error.message}", hint=error.hint) from error.__cause__
    except (docker_errors.DockerException, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        words = clean(" ".join(str(error).split()))[:300]
        hint = "correct that file, or remove it and run `docker login` again"
        raise RunFailed(f"{what}: the logins in {_file()} cannot be used: {words}", hint=hint) from error


def _file() -> str:
    return os.fsdecode(cast("Any", find_config_file)() or "~/.docker/config.json")
