"""Talking to a tracking server: short time-outs, bounded answers, and errors that say what to do. Knows HTTP, not
models."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlsplit, urlunsplit

from ..errors import NotFound, PodiumError, Refused, Unreachable, UsageError

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 3.0
READ_SECONDS = 15.0
ANSWER_SECONDS = 60.0
ANSWER_BYTES = 64 * 1024 * 1024
RETRY_PAUSES = (0.2, 0.6)
_RETRIED = frozenset({429, 502, 503, 504})
_MISSING = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "ENDPOINT_NOT_FOUND"})

START_HINT = "Start it, or correct mlflow.tracking_uri in podium.yaml."


def shown(uri: str) -> str:
    """The address without a user's name and password in it."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # not an address at all: say only what cannot hold a password
        return uri.rpartition("@")[2]
    if "@" not in parts.netloc:
        return uri  # as it was written: put together again, a file's address would lose slashes
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def printable(text: object, limit: int = 300) -> str:
    """A server's words, fit for one line of an error."""
    flat = "".join(letter if letter.isprintable() else " " for letter in str(text)[: limit * 2])
    return " ".join(flat.split())[:limit]


def loaded() -> ModuleType:
    """httpx, without its command line: that one loads click, rich and pygments, which is half of the import's time.
    None in the table of modules is Python's way to say "not installed", which httpx provides for."""
    if "httpx" in sys.modules:
        return sys.modules["httpx"]
    sys.modules.setdefault("httpx._main", cast("ModuleType", None))
    try:
        import httpx
    finally:
        if not sys.modules.get("httpx._main"):
            sys.modules.pop("httpx._main", None)
    return httpx


class Server:
    """One tracking server. Connections are kept; close() gives them back. Not for use by several threads at once."""

    def __init__(self, uri: str, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._uri = uri.rstrip("/")
        self.name = shown(self._uri)
        self._client: httpx.Client | None = None

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._json("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any], *, method: str = "POST", retry: bool = False) -> dict[str, Any]:
        """`retry` only for calls that may be carried out twice."""
        return self._json(method, path, body=body, retry=retry)

    def put_bytes(self, path: str, content: bytes, kind: str) -> None:
        with self._sent("PUT", path, content=content, headers={"Content-Type": kind}) as response:
            data = self._bounded(response)
            if response.status_code >= 400:
                raise self._error(response, data, path)

    def download(self, path: str, dest: Path, size: int | None) -> None:
        """Streams one artifact into `dest`. `size` is what the listing promised; a file cut short is an error."""
        received = 0
        with self._sent("GET", path) as response:
            if response.status_code >= 400:
                raise self._error(response, self._bounded(response), path)
            with dest.open("wb") as stream:
                for chunk in self._chunks(response):
                    received += len(chunk)
                    stream.write(chunk)
        if size is not None and received != size:
            raise Unreachable(
                f"{self.name} sent {received} of {size} bytes of {dest.name}", hint="Try again; the connection was cut."
            )

    def _connected(self) -> httpx.Client:
        loaded()
        import httpx

        if self._client is None:
            self._client = httpx.Client(
                base_url=self._uri,
                timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
                headers=self._headers(),
                auth=self._credentials(),
                verify=self._verify(),
                cert=self._environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None,
            )
        return self._client

    def _headers(self) -> dict[str, str]:
        token = self._environ.get("MLFLOW_TRACKING_TOKEN", "")
        return {"Authorization": f"Bearer {token}"} if token and not self._credentials() else {}

    def _credentials(self) -> tuple[str, str] | None:
        name = self._environ.get("MLFLOW_TRACKING_USERNAME", "")
        return (name, self._environ.get("MLFLOW_TRACKING_PASSWORD", "")) if name else None

    def _verify(self) -> Any:
        if self._uri.startswith("http://"):
            return False  # nothing to verify, and reading the certificate bundle costs 30 ms
        if self._environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
            return False
        bundle = self._environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH", "")
        if not bundle:
            return True
        import ssl

        return ssl.create_default_context(cafile=bundle)

    def _json(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None, retry: bool = False
    ) -> dict[str, Any]:
        pauses = iter(RETRY_PAUSES if retry or method == "GET" else ())
        while True:
            with self._sent(method, path, params=params, json=body) as response:
                data = self._bounded(response)
            pause = next(pauses, None) if response.status_code in _RETRIED else None
            if pause is None:
                break
            time.sleep(pause)
        if response.status_code >= 300:
            raise self._error(response, data, path)
        return self._object(data, path)

    def _object(self, data: bytes, path: str) -> dict[str, Any]:
        try:
            answer = json.loads(data or b"{}")
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            start = printable(data[:120].decode(errors="replace"), 80)
            raise Unreachable(
                f"{self.name} answered {printable(path)} with something that is not MLflow's JSON: {start}",
                hint="Is this an MLflow tracking server? A proxy or a login page may stand before it. " + START_HINT,
            )
        return answer  # pyright: ignore[reportUnknownVariableType]

    def _sent(self, method: str, path: str, **options: Any) -> _Sent:
        return _Sent(self, method, path, options)

    def _bounded(self, response: httpx.Response) -> bytes:
        parts: list[bytes] = []
        total = 0
        for chunk in self._chunks(response):
            total += len(chunk)
            if total > ANSWER_BYTES:
                raise Unreachable(
                    f"{self.name} answered with more than {ANSWER_BYTES >> 20} MiB",
                    hint="Ask for fewer versions, or delete old ones.",
                )
            parts.append(chunk)
            if time.monotonic() > self._deadline:
                raise Unreachable(
                    f"{self.name} did not finish its answer within {ANSWER_SECONDS:.0f} s",
                    hint="Look at the server's load.",
                )
        return b"".join(parts)

    _deadline = float("inf")

    def _chunks(self, response: httpx.Response) -> Iterator[bytes]:
        import httpx

        self._deadline = time.monotonic() + ANSWER_SECONDS
        try:
            yield from response.iter_bytes()
        except httpx.HTTPError as error:
            raise Unreachable(
                f"{self.name} broke off its answer: {printable(error) or type(error).__name__}", hint="Try again."
            ) from error

    def _error(self, response: httpx.Response, data: bytes, path: str) -> PodiumError:
        status = response.status_code
        try:
            body = json.loads(data)
            code, message = str(body.get("error_code", "")), printable(body.get("message", ""))
        except (ValueError, AttributeError):
            code, message = "", ""
        if status in (401, 403):
            return Unreachable(
                f"{self.name} refused our credentials ({status})",
                hint="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
            )
        if code in _MISSING and message:
            return NotFound(message, hint="`podium models` lists what the registry holds.")
        if code == "RESOURCE_ALREADY_EXISTS":
            return Refused(message)
        if status in (400, 422) and message:
            return UsageError(f"MLflow does not accept this: {message}")
        if 300 <= status < 400:
            where = printable(shown(response.headers.get("location", "")), 100)
            return Unreachable(
                f"{self.name} redirects to {where}",
                hint="It may want a login. Give its final address as mlflow.tracking_uri.",
            )
        if status == 404:
            return Unreachable(
                f"{self.name} knows no {printable(path)} (404): it is not an MLflow tracking server", hint=START_HINT
            )
        return Unreachable(f"{self.name} answered {status} {message}".rstrip(), hint="Look at the server's log.")


class _Sent:
    """One request under way, as a context manager: the answer streams, and every failure to get one becomes
    Unreachable."""

    def __init__(self, server: Server, method: str, path: str, options: Mapping[str, Any]) -> None:
        self._server, self._method, self._path, self._options = server, method, path, options
        self._response: httpx.Response | None = None

    def __enter__(self) -> httpx.Response:
        loaded()
        import httpx

        options = {key: value for key, value in self._options.items() if value is not None}
        try:
            client = self._server._connected()  # pyright: ignore[reportPrivateUsage]
            self._response = client.send(client.build_request(self._method, self._path, **options), stream=True)
        except httpx.TimeoutException as error:
            raise Unreachable(
                f"the MLflow server at {self._server.name} does not answer in time", hint=START_HINT
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            words = printable(error) or type(error).__name__
            raise Unreachable(
                f"the MLflow server at {self._server.name} cannot be reached: {words}", hint=START_HINT
            ) from error
        return self._response

    def __exit__(self, *_: object) -> None:
        if self._response is not None:
            self._response.close()


def artifact_path(uri: str) -> str | None:
    """The path, below the server's artifact service, of an artifact that the server itself hands out; None for any
    other store."""
    parts = urlsplit(uri)
    service = "/api/2.0/mlflow-artifacts/artifacts/"
    if parts.scheme == "mlflow-artifacts":
        return parts.path.strip("/").removeprefix(service.strip("/") + "/")
    if parts.scheme in ("http", "https") and service in parts.path:
        return parts.path.partition(service)[2].strip("/")
    return None


def escaped(path: str) -> str:
    return quote(path, safe="/")
