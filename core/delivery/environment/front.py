"""What an environment's proxy should ask of clients now: from podium.yaml, the certificate's files and the journal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from ...domain.access.clients import Auth, Tls, is_loopback
from ...domain.engines.places import split
from ...domain.frozen import Frozen
from ...domain.project import Environment, Project
from ...domain.repair import Difference, DifferenceKind, Severity
from ...errors import Problem, UsageError
from ...journal import Journal
from ..host.paths import environment_dir
from ..proxy.front import Front, file_names
from . import certificate

if TYPE_CHECKING:
    from .runtime import EnvironmentRuntime

# Connections from one address where podium.yaml has no `limits.connections`: a quarter of what an instance of the proxy
# holds. On the loopback address all clients are one, and none could be told from the others.
MAX_CONNECTIONS = 1000
_HINT = "name files that this account may read: the certificate with its intermediates, and its key"


def front_of(project: Project, journal: Journal, environment: Environment) -> Front:
    """Returns it. A certificate that cannot be used leaves the one in force that was in use before. Raises UsageError
    if there was none."""
    tls, auth = environment.https, environment.auth or Auth()
    # Beyond this machine `/metrics` is for those who were given a token for it.
    guards = environment.auth is not None or not is_loopback(environment.bind)
    pem, fingerprint = _certificate(project, environment, tls) if tls is not None else ("", "")
    return Front(
        certificate=pem,
        fingerprint=fingerprint,
        client_ca=_authorities(project, environment, auth.client_ca) if auth.client_ca else "",
        clients=auth.clients,
        asks_tokens=auth.tokens,
        guards_metrics=guards,
        tokens={each.digest.upper(): each.words for each in journal.tokens.of(environment.name)} if guards else {},
        rate=environment.limits.rate,
        connections=environment.limits.connections,
        ceiling=None if is_loopback(environment.bind) else MAX_CONNECTIONS,
    )


def _certificate(project: Project, environment: Environment, tls: Tls) -> tuple[str, str]:
    """Returns PEM and fingerprint of the certificate to show."""
    try:
        found = certificate.read(project.home, tls)
        return found.pem, found.fingerprint
    except certificate.UnusableCertificate as error:
        kept = _kept(project, environment, file_names(1)[0])
        if not kept:
            raise UsageError(str(error), hint=f"environments.{environment.name}.tls names it") from None
        return kept, certificate.fingerprint_of(kept)


def _authorities(project: Project, environment: Environment, file: str) -> str:
    try:
        return certificate.authorities(project.home, file)
    except certificate.UnusableCertificate as error:
        kept = _kept(project, environment, file_names(1)[1])
        if not kept:
            raise UsageError(str(error), hint=f"environments.{environment.name}.auth.client_ca names it") from None
        return kept


def _kept(project: Project, environment: Environment, name: str) -> str:
    directory: Path = environment_dir(project, environment.name)
    places = [directory, *sorted(directory.glob("hosts/*"))]  # several hosts have the same
    return next((path.read_text() for place in places if (path := place / name).exists()), "")


def wrong(project: Project, environment: Environment) -> list[tuple[str, str]]:
    """Returns the keys of an environment whose files cannot be used, each with the reason."""
    found: list[tuple[str, str]] = []
    if environment.https is not None:
        try:
            certificate.read(project.home, environment.https)
        except certificate.UnusableCertificate as error:
            found.append(("tls", str(error)))
    if environment.auth is not None and environment.auth.client_ca:
        try:
            certificate.authorities(project.home, environment.auth.client_ca)
        except certificate.UnusableCertificate as error:
            found.append(("auth.client_ca", str(error)))
    return found


def problems(project: Project) -> list[Problem]:
    """Returns the same of all environments, as problems of podium.yaml."""
    return [
        Problem("podium.yaml", environment.line, 1, f"environments.{environment.name}.{key}", words, _HINT)
        for environment in project.environments.values()
        for key, words in wrong(project, environment)
    ]


def differences(runtime: EnvironmentRuntime) -> list[Difference]:
    """Returns where clients see another certificate than podium.yaml names, or one that they refuse."""
    environment, kept = runtime.environment, _kept(runtime.project, runtime.environment, file_names(1)[0])
    if environment.https is None or not kept:
        return []
    until = certificate.ends_of(kept)
    over = until <= time.time()
    seen = f"clients see the one before, which {'expired' if over else 'holds until'} {certificate.day(until)}"
    severity = Severity.PROBLEM if over else Severity.WARNING
    found = [f"{words}; {seen}" for key, words in wrong(runtime.project, environment) if key == "tls"]
    if not found and certificate.read(runtime.project.home, environment.https).pem != kept:
        found = ["the certificate was renewed, and clients see the one before until the agent or a change gives it on"]
    return [Difference(DifferenceKind.CERTIFICATE, "proxy", each, severity) for each in found]


def give_tokens(runtime: EnvironmentRuntime) -> bool:
    """Gives the proxy the tokens of now; tells whether they are in force, as they are not where nothing serves."""
    front = runtime.traffic.layout().front
    runtime.proxy.secure(front)
    return runtime.proxy.asks(front)


class Door(Frozen):
    """Where Podium itself asks the replicas, past TLS, tokens, limits and leases of clients: the `unix` socket of an
    instance of the proxy, or, where that is empty, the environment's port."""

    address: str
    unix: str = ""

    @property
    def host(self) -> str:
        """Returns the host that is asked, where there are several."""
        return split(self.address)[0]


def own_ways(runtime: EnvironmentRuntime) -> list[Door]:
    """Returns the ways in, at least one: with sockets one for each instance of the proxy that runs."""
    layout = runtime.traffic.layout()
    doors = runtime.driver.doors()
    if not layout.front.plain or (layout.mesh is not None and layout.mesh.fence):
        sockets = runtime.proxy.own_sockets()
        if layout.mesh is None:
            return [Door(doors[0], str(path)) for path in sockets] or [Door(doors[0])]
        # The instances of every host have the same ones.
        return [Door(door, str(path)) for path in dict.fromkeys(sockets) for door in doors] or [Door("")]
    return [Door(door) for door in doors] or [Door("")]
