"""The client of one Docker engine: the docker package's low-level client with time-outs and explained errors."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker import APIClient
from docker.tls import TLSConfig

from ...closing import Closing
from ...errors import Unreachable, UsageError
from .address import Address
from .errors import EngineAway, explained

if TYPE_CHECKING:
    from .ssh import Tunnel

TIMEOUT = 30
SLOW_TIMEOUT = 600.0  # seconds that an engine may be silent while it moves gigabytes on its disk
CHUNK_BYTES = 2 << 20
# Detects a machine that vanished within about 25 s, if ssh's own keep-alive does not detect it earlier.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
# Older engines do not identify images by their content, and are not tested.
_MIN_API_VERSION = (1, 40)


class _Client(APIClient):
    """The docker package's client. It checks certificates against the configured directory only, and ignores
    REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        return super().merge_environment_settings(url, proxies, stream, self.verify if verify is None else verify, cert)


class Engine(Closing):
    """An open connection to a Docker engine. `api` is the docker package's client; use it inside `with
    engine.doing("a few words"):`, which explains its errors. Close the engine, or use `with`."""

    def __init__(self, address: Address, api: Any, tunnel: Tunnel | None = None, *, own: bool = True) -> None:
        """Takes an open client. `own` closes the tunnel together with the engine."""
        self.address = address
        self.api = api
        self._tunnel = tunnel
        self._own = own

    @contextmanager
    def doing(self, what: str) -> Generator[None]:
        """Names the current action, which begins the message of every error inside the block."""
        try:
            with explained(self.address, what):
                yield
        except EngineAway as error:
            # ssh closes its connections first and ends a moment later.
            if self._tunnel is None or not self._tunnel.ends(0.3):
                raise
            cut = self._tunnel.why(cut=True)
            raise EngineAway(f"{what}: {cut.message}", hint=cut.hint) from error

    @property
    def alive(self) -> bool:
        """Returns False once the connection to the engine is known to be broken; this object is then useless."""
        return self._tunnel is None or self._tunnel.alive

    def containers(self, labels: list[str], *, stopped: bool = True) -> list[dict[str, Any]]:
        """Returns the engine's short description of each container that has all these labels (`key=value`). Costs
        one request."""
        with self.doing("listing containers"):
            return self.api.containers(all=stopped, filters={"label": labels})

    def inspect(self, container: str) -> dict[str, Any]:
        """Returns the engine's full description of one container. Raises NotFound if it is gone."""
        with self.doing(f"inspecting container {container[:40]}"):
            return self.api.inspect_container(container)

    def fetch(self, container: str, path: str) -> Iterator[bytes]:
        """Yields the file or directory at `path` in a container as a tar, in pieces. Raises the docker package's
        NotFound if there is none. The package's own `get_archive` has no time-out once the engine falls silent; here
        every piece has the time-out of a request."""
        url = self.api._url("/containers/{0}/archive", container)
        response = self.api._get(url, params={"path": path}, stream=True, headers={"Accept-Encoding": "identity"})
        self.api._raise_for_status(response)
        return response.iter_content(CHUNK_BYTES)

    @contextmanager
    def unhurried(self) -> Generator[None]:
        """Lengthens the time-out for requests that make the engine move gigabytes before it answers."""
        before, self.api.timeout = self.api.timeout, SLOW_TIMEOUT
        try:
            yield
        finally:
            self.api.timeout = before

    def info(self) -> dict[str, Any]:
        with self.doing("reading the engine's description"):
            return self.api.info()

    def client_environment(self) -> dict[str, str]:
        """Returns the environment variables that point another program at this engine, as docker's own client sets
        them."""
        address = self.address
        if address.scheme == "tcp":
            return {
                "DOCKER_HOST": f"tcp://{_host(address)}:{address.port}",
                "DOCKER_TLS_VERIFY": "1",
                "DOCKER_CERT_PATH": address.tls,
            }
        return {
            "DOCKER_HOST": f"unix://{getattr(self._tunnel, 'socket', address.path)}",
            "DOCKER_TLS_VERIFY": "",
            "DOCKER_CONTEXT": "",
        }

    def dial(self) -> socket.socket:
        """Opens a new connection for a two-way stream (attach, exec). Raises OSError if the engine does not answer."""
        address = self.address
        if address.scheme == "tcp":
            plain = socket.create_connection((address.host, address.port), timeout=TIMEOUT)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                plain.setsockopt(socket.IPPROTO_TCP, option, value)
            try:
                return self._trusting().wrap_socket(plain, server_hostname=address.host)
            except BaseException:
                plain.close()
                raise
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        plain.settimeout(TIMEOUT)
        try:
            plain.connect(str(getattr(self._tunnel, "socket", address.path)))
        except BaseException:
            plain.close()
            raise
        return plain

    def _trusting(self) -> ssl.SSLContext:
        directory = Path(self.address.tls)
        context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
        context.load_cert_chain(str(directory / "cert.pem"), str(directory / "key.pem"))
        return context

    def close(self) -> None:
        self.api.close()
        if self._tunnel is not None and self._own:
            self._tunnel.close()


def open_engine(address: Address, *, timeout: int = TIMEOUT) -> Engine:
    """Opens a connection to the engine; every request on it times out after `timeout` seconds. Raises Unreachable,
    or Refused if the socket may not be used."""
    with explained(address, "connecting to Docker"):
        if address.scheme == "ssh":
            from .ssh import Tunnel

            tunnel = Tunnel(address)
            try:
                return through(tunnel, address, timeout=timeout, own=True)
            except BaseException:
                tunnel.close()
                raise
        if address.scheme == "tcp":
            api = _Client(
                base_url=f"https://{_host(address)}:{address.port}", version="auto", timeout=timeout, tls=_tls(address)
            )
        else:
            api = _at_socket(str(address), timeout)
        return _checked(Engine(address, api))


def through(tunnel: Tunnel, address: Address, *, timeout: int = TIMEOUT, own: bool = False) -> Engine:
    """Opens a connection through an open tunnel, which several connections may share."""
    with explained(address, "connecting to Docker"):
        return _checked(Engine(address, _at_socket(f"unix://{tunnel.socket}", timeout), tunnel, own=own))


def _at_socket(url: str, timeout: int) -> _Client:
    """Returns the client of an engine behind a socket of this machine. Proxies and passwords for machines are not
    looked for with every request: that would be an eighth of its CPU."""
    api = _Client(base_url=url, version="auto", timeout=timeout)
    api.trust_env = False
    return api


def _checked(engine: Engine) -> Engine:
    version = tuple(int(part) for part in str(engine.api.api_version).split("."))
    if version < _MIN_API_VERSION:
        engine.close()
        raise Unreachable(
            f"the Docker engine at {engine.address} is too old (API {engine.api.api_version})",
            hint="install Docker 19.03 or newer",
        )
    return engine


def _host(address: Address) -> str:
    return f"[{address.host}]" if ":" in address.host else address.host


def _tls(address: Address) -> TLSConfig:
    """Returns the TLS settings with which both sides prove their identity: an engine that accepts any client gives
    away its machine."""
    if not address.tls:
        hint = (
            "set `tls` to a directory with ca.pem, cert.pem and key.pem (or DOCKER_CERT_PATH with DOCKER_TLS_VERIFY=1),"
            " or use ssh://"
        )
        raise UsageError(
            f"the engine at {address} needs certificates: Podium does not use tcp:// without TLS", hint=hint
        )
    directory = Path(address.tls)
    ca, cert, key = (directory / name for name in ("ca.pem", "cert.pem", "key.pem"))
    for path in (ca, cert, key):
        if not path.is_file():
            raise UsageError(f"{path} is missing", hint="let `tls` name a directory with ca.pem, cert.pem and key.pem")
    return TLSConfig(client_cert=(str(cert), str(key)), ca_cert=str(ca), verify=True)
