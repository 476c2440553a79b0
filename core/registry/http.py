"""MLflow's tracking server over HTTP: its error codes as Podium's errors, and the addresses of its artifacts. The
client itself is `core/http_client.py`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from ..errors import NotFound, PodiumError, Refused, Unreachable, UsageError
from ..http_client import Credentials, HttpClient, HttpResponse, Limits, Trust, printable

LIMITS = Limits()
START_HINT = "start it, or correct mlflow.tracking_uri in podium.yaml"
_MISSING = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "ENDPOINT_NOT_FOUND"})
_SET_CREDENTIALS = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
_HOST_HEADER = "Invalid Host header"
_ARTIFACT_SERVICE = "/api/2.0/mlflow-artifacts/artifacts/"


class TrackingServer:
    """One tracking server. Connections are kept until close(). Not for use by several threads at once."""

    def __init__(self, uri: str, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._client = HttpClient(
            uri,
            subject="the MLflow server at",
            hint=START_HINT,
            credentials=_credentials(uri, environ),
            trust=_trust(environ),
            limits=LIMITS,
        )
        self.name = self._client.name
        self._uri = uri
        self._sends = _source(uri, environ)

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._object(self._client.ask("GET", path, params=params), path)

    def post(self, path: str, body: Mapping[str, Any], *, method: str = "POST", retry: bool = False) -> dict[str, Any]:
        """Sends a request and returns the JSON answer. `retry` is only for calls that may be carried out twice."""
        return self._object(self._client.ask(method, path, repeat=retry, json=body), path)

    def put_bytes(self, path: str, content: bytes, kind: str) -> None:
        answer = self._client.ask("PUT", path, repeat=True, content=content, headers={"Content-Type": kind})
        if answer.status >= 400:
            raise self._error(answer, path)

    def download(self, path: str, into: BinaryIO, size: int | None) -> None:
        """Streams one artifact into an open file. `size` is the size in the listing; a shorter file is an error."""
        answer = self._client.download(path, into, size=size)
        if not answer.good:
            raise self._error(answer, path)

    def _object(self, answer: HttpResponse, path: str) -> dict[str, Any]:
        if not answer.good:
            raise self._error(answer, path)
        found = answer.document()
        if found is None:
            start = printable(answer.body[:120].decode(errors="replace"), 80)
            raise Unreachable(
                f"{self.name} answered {printable(path)} with something that is not MLflow's JSON: {start}",
                hint="check that this is an MLflow tracking server and that no login page stands before it; or "
                + START_HINT,
            )
        return found

    def _error(self, answer: HttpResponse, path: str) -> PodiumError:
        status = answer.status
        body = answer.document() or {}
        code, message = str(body.get("error_code", "")), printable(body.get("message", ""))
        if status in (401, 403):
            return self._refusal(answer, message)
        if code in _MISSING and message:
            return NotFound(message, hint="run `podium models` to list the registry's models")
        if code == "RESOURCE_ALREADY_EXISTS":
            return Refused(message)
        if status in (400, 422) and message:
            return UsageError(f"MLflow does not accept this: {message}")
        if 300 <= status < 400:
            return Unreachable(
                f"{self.name} redirects to {answer.redirect()}",
                hint="set mlflow.tracking_uri to its final address; a redirect may also mean that it needs a login",
            )
        if status == 404:
            return Unreachable(
                f"{self.name} has no {printable(path)} (404): it is not an MLflow tracking server", hint=START_HINT
            )
        return Unreachable(f"{self.name} answered {status} {message}".rstrip(), hint="read the server's log")

    def _refusal(self, answer: HttpResponse, message: str) -> PodiumError:
        """Returns what a 401 or 403 means: no credential, a wrong one, one that may not do this, or a server that knows
        itself by another name."""
        said = message or printable(answer.body[:300].decode(errors="replace"), 120)
        if _HOST_HEADER in said:
            host = urlsplit(self._uri).netloc.rpartition("@")[2]
            return Unreachable(
                f"{self.name} refuses every request that calls it {printable(host)} (403: {said})",
                hint=f"start it with `mlflow server --allowed-hosts {printable(host)}`, or name it in"
                " mlflow.tracking_uri as it calls itself",
            )
        if not self._sends:
            return Unreachable(
                f"{self.name} asks for credentials, and there are none ({answer.status})", hint=_SET_CREDENTIALS
            )
        if answer.status == 403:
            return Unreachable(
                f"{self.name} does not let {self._sends} do this (403{f': {said}' if message else ''})",
                hint="ask for the permission on that server, or use other credentials",
            )
        return Unreachable(
            f"{self.name} refused the credentials ({answer.status}) in {self._sends}", hint=_SET_CREDENTIALS
        )


def _credentials(uri: str, environ: Mapping[str, str]) -> Credentials | None:
    """Returns the credentials that MLflow's own client would send: a user name takes precedence over that of the
    address, and that over a token."""
    name = environ.get("MLFLOW_TRACKING_USERNAME", "")
    if name:
        return Credentials.basic(uri, name, environ.get("MLFLOW_TRACKING_PASSWORD", ""))
    token = environ.get("MLFLOW_TRACKING_TOKEN", "")
    return Credentials.in_address(uri) or (Credentials.bearer(uri, token) if token else None)


def _source(uri: str, environ: Mapping[str, str]) -> str:
    """Returns where the credentials are from, in words; empty where there are none."""
    if environ.get("MLFLOW_TRACKING_USERNAME"):
        return "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    if Credentials.in_address(uri):
        return "the address"
    return "MLFLOW_TRACKING_TOKEN" if environ.get("MLFLOW_TRACKING_TOKEN") else ""


# In the order in which MLflow's own client looks: what it believes, Podium believes.
_BUNDLES = ("MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def _trust(environ: Mapping[str, str]) -> Trust:
    return Trust(
        verify=environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() not in ("true", "1"),
        bundle=next((environ[name] for name in _BUNDLES if environ.get(name)), ""),
        client_certificate=environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH", ""),
        variable=_BUNDLES[0],
    )


def artifact_path(uri: str) -> str | None:
    """Returns the path, below the server's artifact service, of an artifact that the server itself serves; None for
    any other store."""
    parts = urlsplit(uri)
    if parts.scheme == "mlflow-artifacts":
        return parts.path.strip("/").removeprefix(_ARTIFACT_SERVICE.strip("/") + "/")
    if parts.scheme in ("http", "https") and _ARTIFACT_SERVICE in parts.path:
        return parts.path.partition(_ARTIFACT_SERVICE)[2].strip("/")
    return None
