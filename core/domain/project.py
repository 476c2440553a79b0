"""A project as podium.yaml describes it: typed, checked, immutable. `core/config/` creates these objects; nothing
here reads a file.

The fields of a dataclass are the keys of its section. The metadata of a field names the exceptions: `key` is the
key's name, `section` the dataclass of a section (or list of sections) below it, `sections` that of a mapping of
named ones. A new section is a dataclass here, its keys in core/config/keys/, and the example.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import NotFound, Refused
from .access.clients import Auth, ClientLimits, Tls
from .access.proof import Proof
from .access.roles import Roles
from .evidence.settings import Evidence
from .frozen import Frozen
from .infra.settings import Infra as Infra
from .monitoring import MonitorKind

if TYPE_CHECKING:
    from .gates.checks import CommandCheck, DataCheck, LoadCheck
    from .replay import ReplayLimits


class Tell(Frozen):
    """What the Git host is told."""

    statuses: bool = True
    """How runs and their gates stand, as statuses of their commits."""
    deployments: bool = True
    comment: bool = True
    """The comparison of candidate and champion, as one comment of the pull request."""
    releases: bool = False
    """A release for each version that is promoted; needs `git.tags`."""


class HostApp(Frozen):
    """A GitHub App that asks instead of a person: its number, that of its installation, and a file with its key."""

    id: str
    installation: str
    key_file: str


class Host(Frozen):
    """The Git host: `kind` is github, gitlab, gitea, or git for a repository without any of them."""

    kind: str
    repo: str
    """`owner/name`; for git what it fetches from: an address or a path."""
    token: str = field(default="", repr=False)
    token_file: str = ""
    """A file of mode 600, relative to the project."""
    variables: tuple[str, ...] = ()
    """The variables that stand in `token` and `url`."""
    named: bool = False
    """Whether a variable gave the whole host of `url`."""
    app: HostApp | None = field(default=None, metadata={"section": HostApp})
    url: str = ""
    tell: Tell = field(default=Tell(), metadata={"section": Tell})

    @property
    def place(self) -> str:
        """Returns where the repository is, such as `github.com/acme/flight-delay`, by the file alone, as one word and
        without a credential."""
        where = self.url.partition("://")[2].rstrip("/") or ("" if self.kind == "git" else f"{self.kind}.com")
        named = f"{where}/{self.repo}" if where else self.repo
        return re.sub(r"[^/@\s]*@(?=[^/])", "", named, count=1).replace(" ", "%20")


class Git(Frozen):
    branch: str = "main"
    host: Host | None = field(default=None, metadata={"section": Host})
    remote: str = ""
    """Where pushes arrive if there is no host: the name of a remote, an address or a path; empty for here."""
    poll: float = 30.0
    """The seconds between two looks there."""
    webhook_secret: str = field(default="", repr=False)
    tags: bool = False
    """Whether versions and what is promoted are recorded as tags of the repository."""

    @property
    def elsewhere(self) -> bool:
        """Tells whether pushes arrive at another repository than this one."""
        return self.host is not None or bool(self.remote)


# The variable by which MLflow's own `server` hands its --default-artifact-root to the processes that it starts.
ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"


class Mlflow(Frozen):
    """The MLflow store. `tracking_uri` is absolute if it names a local file; `variables` are those that stand in it,
    and `named` says that one of them gave the whole host. `artifacts` is the one directory of this machine that a
    tracking server may name as the place of its files, empty for none. `embedded` means that
    Podium opens the store directly, without a server."""

    tracking_uri: str
    experiment: str
    model: str
    artifacts: str = ""
    variables: tuple[str, ...] = ()
    named: bool = False
    registry_uri: str = ""
    """Where models and their versions are, as `tracking_uri`; empty for the same store as the runs."""
    registry_variables: tuple[str, ...] = ()
    registry_named: bool = False

    @property
    def embedded(self) -> bool:
        return not self.tracking_uri.startswith(("http://", "https://"))

    @property
    def registry(self) -> Mlflow:
        """Returns the store of models and versions, which mostly is that of the runs too."""
        if not self.registry_uri:
            return self
        return replace(
            self,
            tracking_uri=self.registry_uri,
            variables=self.registry_variables,
            named=self.registry_named,
            registry_uri="",
            registry_variables=(),
        )

    @property
    def stores(self) -> tuple[str, ...]:
        """Returns the addresses: where runs are, and models where that is another."""
        return tuple(filter(None, (self.tracking_uri, self.registry_uri)))

    @property
    def by_client(self) -> bool:
        """Tells whether runs or models are in a store without a server, which MLflow's own client opens: loading that
        takes seconds."""
        return self.embedded or self.registry.embedded


class Ray(Frozen):
    """The cluster for steps with `executor: ray`."""

    address: str = ""
    """The address of its dashboard."""
    shared: bool = False
    """Whether its nodes have the project's directory at the same path."""
    trusted: bool = False
    """Whether nobody else reaches it, so that secrets may be part of jobs."""
    runtime_env: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What it installs for each job."""


class Docker(Frozen):
    """The engine for steps and image builds, and the configuration of serving images."""

    host: str = ""
    """A unix://, tcp:// or ssh:// address; empty for DOCKER_HOST or this machine's engine."""
    tls: str = ""
    """A directory with ca.pem, cert.pem and key.pem for tcp."""
    base: str = "python:3.11-slim"
    """The image that serving images are built on."""
    push: str = ""
    """The repository (`registry.example.com/flight-delay`) that serving images are pushed to; empty for none."""
    wheels: str = ""
    """A directory of wheels that images install from instead of the package index."""
    sbom: bool = True
    """Keeps a bill of materials with each image if syft is installed."""


class OnAlert(Frozen):
    """Alerts that start a pipeline, and what holds it back."""

    names: tuple[str, ...] = ()
    mode: str = ""
    """`propose`, `run` or `deliver`; empty for `propose` where the environment is protected, else `run`."""
    cooldown: float = 6 * 3600.0
    """The seconds from one start to the next, at least."""
    at_most: int = 2
    """How often it is started in a day."""
    look_back: float = 86_400.0
    """The seconds after a delivery in which it has to have helped."""


class On(Frozen):
    """The triggers of a pipeline: pushes to the `push` branches, new tags that match a pattern, pull requests into the
    branches that match one, a cron line (UTC), alerts by name."""

    push: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    pull_request: tuple[str, ...] = ()
    schedule: str = ""
    alert: OnAlert = OnAlert()


class Concurrency(Frozen):
    """Which of several new commits of a branch a pipeline runs."""

    commits: str = "newest"
    """`newest`, or `every` one in its order."""
    cancel: bool = False
    """Whether the run of an earlier commit is cancelled; only with `newest`."""


Scalar = str | int | float | bool


# Steps that one matrix may make. More is a slip of the pen (two axes of a hundred), not a plan.
MAX_CELLS = 1000


class Matrix(Frozen):
    """The axes of a matrix, in the order of the file; `include` adds cells, `exclude` removes those that match."""

    axes: Mapping[str, tuple[Scalar, ...]]
    include: tuple[Mapping[str, Scalar], ...] = ()
    exclude: tuple[Mapping[str, Scalar], ...] = ()

    @property
    def size(self) -> int:
        """Returns the number of cells before `exclude`."""
        return (prod(map(len, self.axes.values())) if self.axes else 0) + len(self.include)


class ContainerSpec(Frozen):
    """The container of a step with `image:` or `build:` (a directory with a Dockerfile); exactly one of them is set.

    `cpus` and `memory` (bytes) are limits, None for no limit. Without `network` the container has no network at all.
    """

    image: str = ""
    build: str = ""
    cpus: float | None = None
    memory: int | None = None
    gpus: tuple[str, ...] = ()
    network: bool = True
    alone: bool = False
    """Whether it gets the run's directory and nothing else: neither git's directory nor the MLflow store."""


class Approvers(Frozen):
    """Who may approve a step, and how many of them have to."""

    number: int = 1
    """How many different accounts."""
    among: tuple[str, ...] = ()
    """Their names; everybody where there are none."""
    group: str = ""
    """A Unix group that they have to be in; none where it is empty."""
    author: bool = True
    """Whether the commit's author, and who started the run by hand, may be one."""
    proof: Proof = Proof.ACCOUNT
    """What counts as an account: with HOST only one that the Git host has proved."""


# In `gpus` of a step: one that is free.
ANY = "any"


class StepSpec(Frozen):
    """One step as written in podium.yaml. Exactly one of `run` and `uses` is set."""

    name: str
    run: str = ""
    """A shell command line."""
    uses: str = ""
    """The name of a built-in step."""
    needs: tuple[str, ...] = ()
    matrix: Matrix | None = None
    fail_fast: bool = True
    """When a cell of its matrix has failed, the others are stopped."""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout: float | None = None
    """Seconds."""
    retries: int = 0
    backoff: float = 1.0
    """Seconds."""
    when: str = ""
    """An expression (docs/pipelines.md)."""
    allow_failure: bool = False
    cache: bool = True
    approval: bool = False
    approval_timeout: float = 7 * 86400.0
    """How long the step waits for an approval, and how long one counts, in seconds."""
    approval_reason: str = ""
    """Why a person has to approve it, where that is not podium.yaml's wish."""
    approvers: Approvers = field(default_factory=Approvers)
    executor: str = "process"
    cpus: float | None = None
    """The CPUs that it may use; None for all."""
    memory: int | None = None
    """The memory that it may use, in bytes; None for all."""
    gpus: tuple[str, ...] = ()
    """The GPUs that it may see, by number or id; `any` stands for a free one, `none` alone for no one, empty for
    all (in a container: none)."""
    resources: Mapping[str, float] = field(default_factory=dict[str, float])
    """What else it needs, of a cluster's own kinds."""
    runtime_env: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What a cluster installs for it."""
    container: ContainerSpec | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The built-in's own keys (`metric`, `goal`, `gate`, `environment`, …), already checked against its table."""
    line: int = 0
    """The line of the step in the file."""


class Pipeline(Frozen):
    name: str
    steps: Mapping[str, StepSpec]
    on: On = On()
    concurrency: Concurrency = Concurrency()
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    line: int = 0


class Check(Frozen):
    """One check of a gate.

    A metric check has `metric` (a known one, or a function such as `metrics.py:profit`) and either bounds (`at_least`,
    `at_most`) or `compare: champion` with a margin and a confidence.
    """

    kind: str
    """The key that says what is checked: `metric`, `latency`, `schema`, `replay`, `run`, `logged`, `data`,
    `fairness`, `load`."""
    metric: str = ""
    at_least: float | None = None
    at_most: float | None = None
    """For `latency` it is seconds."""
    compare: str = ""
    margin: float = 0.0
    """An absolute difference."""
    confidence: float = 0.95
    goal: str = ""
    """maximize or minimize: taken from the metric if it is a known one, required otherwise."""
    average: str = ""
    """Over classes: macro, micro or weighted."""
    of_class: str | int | float | None = field(default=None, metadata={"key": "class"})
    """The class that is measured against the rest."""
    k: int | None = None
    """How many rows of a query count."""
    quantile: float | None = None
    """The quantile that is forecast, of `pinball`."""
    horizon: int | None = None
    """How far ahead the rows look that are measured."""
    prediction: tuple[str, ...] = ()
    """The answer's columns that are measured; empty for those of the gate."""
    slices: tuple[str, ...] = ()
    """Columns; the check is repeated for each of their values."""
    min_rows: int = 1
    """The number of rows that a slice needs to be checked."""
    percentile: str = field(default="", metadata={"key": "latency"})
    """The percentile of `latency`: p50, p95 or p99."""
    environment: str = ""
    """The environment whose captured requests are replayed."""
    replay: ReplayLimits | None = None
    """The limits for those requests."""
    command: CommandCheck | None = None
    """What `run` runs."""
    data: DataCheck | None = None
    """What `data` checks of the gate's rows."""
    fairness: str = ""
    """What `fairness` measures between the slices: one of FAIRNESS (domain/gates/checks.py)."""
    load: LoadCheck | None = None
    """What is sent by `load`, and what has to hold."""
    cpus: float | None = None
    """The CPUs that the process of a function of the project's own may use; None for all."""
    memory: int | None = None
    """The memory that it may use, in bytes; None for all."""
    line: int = 0


class Series(Frozen):
    """What the rows of a forecast's gate are: the columns that hold the series, the time and how far ahead a row looks;
    the table of the series before these rows; and the number of times after which a season repeats."""

    by: str = ""
    time: str = ""
    horizon: str = ""
    history: str = ""
    season: int = 1


class Gate(Frozen):
    """What a candidate has to pass, and what its data and the models' answers mean."""

    name: str
    data: str
    target: str
    """The column that holds the truth; of several the first."""
    checks: tuple[Check, ...]
    answers: str = ""
    """What the model answers for classes: `label` or `probability`; empty where its answers tell."""
    targets: tuple[str, ...] = ()
    """All columns of the truth of several labels; empty for one column."""
    task: str = ""
    """One of `metrics.TASKS`; empty where data and metrics tell."""
    classes: tuple[str | int | float, ...] = ()
    """The target's classes in order, of two the positive one last; empty for their natural order."""
    prediction: tuple[str, ...] = ()
    """The columns of the answer that are meant, in the order of the classes; empty where its columns tell."""
    group: str = ""
    """The column of what belongs together, such as the query of a ranking; empty if rows are independent."""
    series: Series | None = field(default=None, metadata={"section": Series})
    line: int = 0


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


class ReferenceSpec(Frozen):
    """The rows that a monitor compares with; exactly one of the fields is set."""

    file: str = ""
    """A table of the project, such as the training data."""
    gate: str = ""
    """The gate whose data it is."""
    first: int = 0
    """So many of the first requests to the version that serves."""
    same: str = ""
    """`weekday`: requests at the same time of earlier weeks; `month`: those of the same month of earlier years."""


class MonitorSpec(Frozen):
    """What is measured of an environment."""

    name: str
    kind: MonitorKind
    environment: str
    """The environment that it watches."""
    measure: str = ""
    """What is measured: a signal, a distance, a violation, a metric, `model` or `data`, `share` or `delay`."""
    every: float = 3600.0
    """The seconds from one evaluation to the next."""
    rows: int | None = None
    """How many of the latest requests are looked at, None where `window` says it."""
    window: float | None = None
    """The seconds that are looked at, None where `rows` says it."""
    at_least: int = 1
    """Of fewer rows nothing is measured."""
    of: str = "inputs"
    """What a drift is of: `inputs` or `predictions`."""
    reference: ReferenceSpec = ReferenceSpec()
    """For drift, data and estimate: what requests are compared with."""
    columns: tuple[str, ...] = ()
    """For drift and data: the columns that are compared, empty for all."""
    gate: str = ""
    """For quality and estimate: the gate that says what truth and answers mean."""
    path: str = ""
    """For the age of data: the file, or the directory with the files."""
    column: str = ""
    """For the age of data: the column whose latest time counts; empty for the file's own time."""
    line: int = 0


class Hold(Frozen):
    """How long a value has to be beyond its threshold before an alert fires: so many measurements in a row, and so many
    seconds."""

    measurements: int = 1
    seconds: float = 0.0


class AlertRule(Frozen):
    """When an alert fires; exactly one of `above`, `below` and `false_alarms` is set."""

    name: str
    monitor: str
    above: float | None = None
    band: str = ""
    """The name that podium.yaml gives `above` (`PSI_BANDS`); empty for a number."""
    below: float | None = None
    false_alarms: float | None = None
    """How often it may fire without any change, in times a day: then the monitor says what is too much."""
    for_: Hold = field(default=Hold(), metadata={"key": "for"})
    keep_firing_for: float = 0.0
    """The seconds that the value has to be back before it is over."""
    cooldown: float = 3600.0
    """The seconds from one firing to the next, at least."""
    severity: str = "warning"
    """`critical`, `warning` or `info`."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    """Texts for people (`summary`, `description`, `runbook_url`), with `${{ alert.… }}`."""
    notify: tuple[str, ...] = ()
    """The sinks that are told; empty for all."""
    line: int = 0


class Sink(Frozen):
    """Who is told of alerts, and how."""

    name: str
    kind: str
    """`apprise`, `webhook`, `alertmanager`, `command` or `terminal`."""
    address: str = field(default="", repr=False)
    """Of a webhook, an Alertmanager, or what apprise takes for one."""
    key: str = field(default="", repr=False)
    """What a webhook is signed with; empty for unsigned."""
    token: str = field(default="", repr=False)
    """What an Alertmanager is asked with; empty for none."""
    command: tuple[str, ...] = ()
    """A program and its arguments."""
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Variables of the command."""
    rings: str = ""
    """How an open cockpit's terminal tells it: `bell` or `osc9`."""
    timeout: float = 20.0
    """The seconds that one message may take."""
    resolved: bool = True
    """Whether it is told that an alert is over."""
    line: int = 0


class Notify(Frozen):
    """Who is told of alerts. Those of one environment that change within `wait` seconds are one message."""

    wait: float = 10.0
    sinks: Mapping[str, Sink] = field(default_factory=dict[str, Sink], metadata={"sections": Sink})


class Metrics(Frozen):
    """What the agent shows an existing Prometheus: where, and to whom."""

    listen: str = ""
    """`PORT` of this machine, or `ADDRESS:PORT`; empty for nowhere."""
    token: str = field(default="", repr=False)
    """The bearer token that is asked for; empty for none."""


_DAY = 86400.0


class Retain(Frozen):
    """How long what grows is kept, in seconds, and how large it may become, in bytes or rows.
    core/retention/kinds.py says what each is about."""

    runs: float = 365 * _DAY
    """Ended runs in the journal, since their end."""
    logs: float = 180 * _DAY
    """The files of ended runs."""
    logs_size: int = 10 << 30
    cache: float = 30 * _DAY
    """Results that no run has used for so long."""
    cache_size: int = 20 << 30
    worktrees: float = 14 * _DAY
    """Worktrees of runs that did not succeed."""
    samples: float = 365 * _DAY
    measurements: float = 90 * _DAY
    """What monitors measured, and what they keep of their references."""
    captures: float = 30 * _DAY
    """Captured requests and feedback."""
    labels: float = 90 * _DAY
    """Requests with their predictions and labels, and the inputs of those that were captured."""
    labels_rows: int = 1_000_000
    """The most of them in one environment."""
    models: float = 30 * _DAY
    """Fetched files of versions that nothing needs."""
    replica_logs: float = 30 * _DAY
    """Logs of replicas that are gone."""
    reports: float = 365 * _DAY
    messages: float = 30 * _DAY
    ci: float = 30 * _DAY
    """CI runs of the Git host, as last seen."""
    temporary: float = 7 * _DAY
    audit: float = 180 * _DAY
    """How long entries stay in the journal before they are sealed."""
    ledger: float = 365 * _DAY
    evidence: float = 180 * _DAY
    """How long what an auditor needs stays at least, whatever the other keys say."""


class Project(Frozen):
    """A project. `root` and `home` are the same except in the run of a pushed commit."""

    name: str
    root: Path
    """The directory of this podium.yaml: for a pushed commit, its worktree."""
    home: Path
    """The project's own directory, whose `.podium/` holds all state."""
    git: Git = field(metadata={"section": Git})
    mlflow: Mlflow
    pipelines: Mapping[str, Pipeline] = field(metadata={"sections": Pipeline})
    gates: Mapping[str, Gate] = field(metadata={"sections": Gate})
    environments: Mapping[str, Environment] = field(metadata={"sections": Environment})
    monitors: Mapping[str, MonitorSpec] = field(metadata={"sections": MonitorSpec})
    alerts: Mapping[str, AlertRule] = field(metadata={"sections": AlertRule})
    infra: Mapping[str, Infra] = field(metadata={"sections": Infra})
    docker: Docker = field(default=Docker(), metadata={"section": Docker})
    ray: Ray = field(default=Ray(), metadata={"section": Ray})
    notify: Notify = field(default=Notify(), metadata={"section": Notify})
    metrics: Metrics = field(default=Metrics(), metadata={"section": Metrics})
    retain: Retain = field(default=Retain(), metadata={"section": Retain})
    evidence: Evidence = field(default=Evidence(), metadata={"section": Evidence})
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    passed: tuple[str, ...] = field(default=(), metadata={"key": "pass"})
    """Variables of the caller that steps get, too; one that ends with `*` is all that begin so."""
    nice: int = 10
    """How much lower the priority of steps is than that of what serves, 0 to 19, as nice(1) counts."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    idle: tuple[str, ...] = ()
    """Sentences about keys that have no effect yet."""
    digest: str = ""
    """SHA-256 of the file's text."""

    @property
    def state(self) -> Path:
        return self.home / ".podium"

    def passes(self, variable: str) -> bool:
        """Tells whether steps get a variable of the caller because `pass` names it."""
        return any(variable == name or (name[-1:] == "*" and variable.startswith(name[:-1])) for name in self.passed)

    def model_of(self, environment: str) -> str:
        """Returns the registered model whose versions an environment serves by podium.yaml; for one that the file does
        not have (any more) the project's."""
        found = self.environments.get(environment)
        return (found.model if found is not None else "") or self.mlflow.model

    @property
    def served_models(self) -> tuple[str, ...]:
        """Returns the models that environments serve, each once and the project's first, which is there in any
        case."""
        return tuple(dict.fromkeys((self.mlflow.model, *map(self.model_of, self.environments))))

    @property
    def models(self) -> tuple[str, ...]:
        """Returns the registered models that the file names, each once and the project's first."""
        named = [*self.served_models]
        for pipeline in self.pipelines.values():
            named += self.models_made_by(pipeline)
        return tuple(dict.fromkeys(named))

    def version(self, model: str, number: int) -> str:
        """Returns how people are told of a version: with its model where the file names several."""
        return f"v{number}" if self.models == (model,) else f"{model} v{number}"

    def models_made_by(self, pipeline: Pipeline) -> tuple[str, ...]:
        """Returns the models that the steps of a pipeline register; one whose name is only known when it runs is left
        out."""
        steps = (step for step in pipeline.steps.values() if step.uses == "register")
        names = (str(step.options.get("model") or self.mlflow.model) for step in steps)
        return tuple(dict.fromkeys(name for name in names if "${{" not in name))

    def models_of(self, pipeline: Pipeline) -> tuple[str, ...]:
        """Returns the models that a pipeline is about: those that it registers, else the project's."""
        return self.models_made_by(pipeline) or (self.mlflow.model,)

    def environment(self, name: str) -> Environment:
        """Returns the environment of that name. Raises NotFound, listing the existing names, if there is none; Refused
        if it needs an output of infrastructure that is not known yet."""
        found = self.environments.get(name)
        if found is None:
            names = ", ".join(self.environments) or "none"
            raise NotFound(f"there is no environment {name!r}", hint=f"podium.yaml has: {names}")
        message, hint = found.why_not_usable()
        if message:
            raise Refused(message, hint=hint)
        return found
