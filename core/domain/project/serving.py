"""Environments, and how they serve, as podium.yaml describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from ..access.clients import Auth, ClientLimits, Tls
from ..access.roles import Roles
from ..column_names import NeverKept
from ..frozen import Frozen


class AnalysisRule(Frozen):
    """One limit that a canary has to keep at each weight: `signal` is one of CANARY_SIGNALS (domain/watching.py).

    `at_most` and `at_least` bound its value (a share, or seconds). `compare` is `champion` or empty; `margin` is how
    much worse than the champion's the value may be, as a share of it.
    """

    signal: str
    at_most: float | None = None
    at_least: float | None = None
    compare: str = ""
    margin: float = 0.0


class Strategy(Frozen):
    """The strategy of a rollout: `kind` is rolling, blue-green or canary. `weights` are percentages, `interval` is
    the seconds between them, `drain` the seconds that an old replica has to finish its requests."""

    kind: str = "blue-green"
    weights: tuple[int, ...] = ()
    interval: float = 60.0
    drain: float = 30.0
    analysis: tuple[AnalysisRule, ...] = field(default=(), metadata={"section": AnalysisRule})
    quarantine_failed_canary: bool = True
    """Whether a version that its canary's analysis takes back is quarantined, as after a rollback."""
    on_fail: str = "abort"
    """What a canary does whose analysis fails: `abort` takes it back, `ask` keeps its share and asks a person."""
    answer_within: float = 3600.0
    """How many seconds a person has for the answer; then it is taken back."""


class Batch(Frozen):
    """Requests that are predicted together: `max` at most, gathered for `wait` seconds."""

    max: int = 64
    wait: float = 0.002


# Characters of a token that clients send with labels.
LEAST_TOKEN = 16


class RequestBounds(Frozen):
    """What one request may be and take; beyond it, it is refused."""

    body: int = 16 << 20
    """Bytes."""
    values: int = 1_000_000
    """Values: cells of tables, elements of arrays, members of objects."""
    headers: float = 10.0
    """Seconds until its headers have arrived."""
    arrival: float = 30.0
    """Seconds until the rest of it has arrived."""
    prediction: float = 60.0
    """Seconds until it is answered."""


class Feedback(Frozen):
    """Who may send labels to an environment."""

    tokens: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Name of each client -> its token."""
    token_file: str = ""
    """A file of mode 600 with a name and a token on each line, relative to the project."""
    rate: float = 200.0
    """Labels that one client may send to one replica in a second."""

    @property
    def proved(self) -> bool:
        """Tells whether clients have to prove who they are."""
        return bool(self.tokens or self.token_file)


_LAST_PORT = 65535


class ServingHost(Frozen):
    """One of several machines that serve an environment."""

    engine: str
    """The address of its engine, as in `Docker`."""
    address: str = ""
    """Where the other hosts reach it; empty for the machine of `engine`."""

    @property
    def name(self) -> str:
        """Returns what it is called: where the others reach it."""
        from urllib.parse import urlsplit

        return self.address or urlsplit(self.engine).hostname or self.engine


class Environment(Frozen):
    """An environment: a place where versions are served."""

    name: str
    model: str = ""
    """The registered model whose versions it serves; empty for the project's (`Project.model_of`)."""
    driver: str = "process"
    port: int = 5100
    bind: str = "127.0.0.1"
    host: str = ""
    """As in `Docker`; empty for the same engine. Only for the docker driver."""
    hosts: tuple[ServingHost, ...] = ()
    """The machines that serve it together; empty for one (`host`). Only for the docker driver."""
    constraints: tuple[str, ...] = ()
    """Which nodes of a Swarm may run replicas, in its own words. Only for the swarm driver."""
    nodes: tuple[str, ...] = ()
    """Engines of further nodes of the Swarm, as in `Docker`: images are sent to them. Only for the swarm driver."""
    trusted_network: bool = False
    """Whether the hosts talk to each other without TLS."""
    peer_port: int = 0
    """The port at which hosts take each other's requests; 0 for `port` + 1000."""
    replace: float | None = None
    """Seconds after which the replicas of a host that does not answer are started elsewhere; None for never."""
    stale: str = "refuse"
    """What a host does that was cut off for longer than `lease`: refuse (answer 503), or serve what it knows."""
    lease: float = 30.0
    """Seconds that a host answers after the agent last reached it."""
    replicas: int = 1
    protected: bool = False
    verify: str = "off"
    """`required`: only what an allowed signer has signed is served."""
    keep: int = 1
    """How many earlier versions stay warm."""
    keep_stopped: int = 3
    """How many more stay as stopped containers."""
    tls: str = ""
    """As in `Docker`; empty for the same engine. Only for the docker driver."""
    proxy: str = "container"
    """For the docker driver: `container` (of `proxy_image`, on that engine) or `host` (a process beside Podium)."""
    proxy_image: str = "haproxy:2.8"
    cpus: float | None = None
    """The limit of each replica; None for no limit."""
    memory: int | None = None
    """The limit of each replica in bytes; None for no limit."""
    strategy: Strategy = Strategy()
    request: RequestBounds = field(default=RequestBounds(), metadata={"section": RequestBounds})
    batch: Batch | None = field(default=None, metadata={"section": Batch})
    """Which requests its replicas predict together; None for each alone."""
    capture: float = 0.01
    redact: tuple[str, ...] = ()
    """Columns of requests that are never kept."""
    key: str = ""
    """The column by which labels may name a request; empty for none."""
    feedback: Feedback = field(default=Feedback(), metadata={"section": Feedback})
    https: Tls | None = None
    """The certificate that clients see; None for plain HTTP."""
    auth: Auth | None = None
    """How clients prove who they are; None where they need not."""
    open: bool = False
    """Whether it is meant to be reached from other machines without TLS, or without authorisation."""
    limits: ClientLimits = field(default=ClientLimits(), metadata={"section": ClientLimits})
    who: Roles = Roles()
    """Who may change it."""
    health_timeout: float = 60.0
    """Seconds."""
    awaits: Mapping[str, str] = field(default_factory=dict[str, str])
    """Keys whose values are outputs of infrastructure that are not known yet, as podium.yaml writes them. Until they
    are, nothing can be done with it."""
    unusable: str = ""
    """What is wrong with an output that is known; empty if nothing is."""
    line: int = 0

    @property
    def never_kept(self) -> NeverKept:
        """Returns the columns of `redact`, however their names are written elsewhere."""
        return NeverKept(self.redact)

    @property
    def verified(self) -> bool:
        """Tells whether only what an allowed signer has signed is served."""
        return self.verify == "required"

    def why_not_usable(self) -> tuple[str, str]:
        """Returns why nothing can be done with it yet, and what to do about it; empty texts if it can be used."""
        if self.unusable:
            return f"{self.name} cannot be used: {self.unusable}", "correct the output, and apply it again"
        if self.awaits:
            wanted = ", ".join(f"{key}: {text}" for key, text in self.awaits.items())
            return f"{self.name} needs what is not known yet ({wanted})", "podium infra apply makes it"
        return "", ""

    @property
    def between(self) -> int:
        """Returns the port at which its hosts take each other's requests."""
        return self.peer_port or (self.port + 1000 if self.port <= _LAST_PORT - 1000 else self.port - 1000)

    def url(self, address: str) -> str:
        """Returns the URL for clients; `address` is that of the machine that serves, which a certificate names."""
        host = self.https.host if self.https is not None else address
        return f"{'https' if self.https else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"
