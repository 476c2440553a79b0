"""The keys of environments in podium.yaml."""

from __future__ import annotations

from dataclasses import replace

from ...domain.watching import CANARY_SIGNALS
from ..checks.constraints import bad_constraint
from ..kinds import Amount, Choice, Duration, Flag, Integer, Number, PluginName, Secret, Share, Size, Text
from ..patterns import bad_local, bad_model
from ..sections import NAME, Chosen, Either, Key, ListOf, MapOf, Option, Section
from . import common
from .access import ACCESS
from .common import IMAGE

_DRAIN = Key("drain", Duration(), "how long an old replica may finish its requests (30s)")
ANALYSIS = Section(
    "analysis",
    (
        Key(
            "signal",
            Choice(CANARY_SIGNALS),
            "what is measured: error_rate, refused_rate, latency_p50, latency_p95 or latency_p99",
            required=True,
        ),
        Key("at_most", Amount(), "highest value that passes"),
        Key("at_least", Amount(), "lowest value that passes"),
        Key("compare", Choice(("champion",)), "compare with the champion, at the same time"),
        Key("margin", Share(high=10.0), "how much worse than the champion it may be, as a share of its value (0)"),
    ),
)
STRATEGY = Either(
    Choice(("rolling", "blue-green", "canary")),
    Chosen(
        "strategy",
        (
            Option(
                "rolling",
                Section(
                    "strategy", (Key("rolling", Section("rolling", (_DRAIN,)), "replaces replicas one at a time"),)
                ),
            ),
            Option(
                "blue-green",
                Section(
                    "strategy",
                    (Key("blue-green", Section("blue-green", (_DRAIN,)), "starts all new ones, then switches"),),
                ),
            ),
            Option(
                "canary",
                Section(
                    "strategy",
                    (
                        Key(
                            "canary",
                            Section(
                                "canary",
                                (
                                    Key(
                                        "weights",
                                        ListOf(Integer(1, 99), least=1),
                                        "shares of the traffic in percent, rising ([5, 25, 50])",
                                    ),
                                    Key("interval", Duration(low=0.1), "how long each weight is watched (60s)"),
                                    Key("analysis", ListOf(ANALYSIS), "what has to hold at each weight"),
                                    Key(
                                        "quarantine_failed_canary",
                                        Flag(),
                                        "a version that the analysis takes back is quarantined (true)",
                                    ),
                                    Key(
                                        "on_fail",
                                        Choice(("abort", "ask")),
                                        "abort takes a version back that fails; ask keeps its share and asks a person"
                                        " (abort)",
                                    ),
                                    Key(
                                        "answer_within",
                                        Duration(low=0.1),
                                        "how long a person has for the answer; then it is taken back (1h)",
                                    ),
                                    _DRAIN,
                                ),
                            ),
                            "gives the new version a growing share and watches it",
                        ),
                    ),
                ),
            ),
        ),
    ),
)

BATCH = Section(
    "batch",
    (
        Key("max", Integer(2, 64), "most requests that are predicted together (64)"),
        Key("wait", Duration(high=1.0), "how long a request waits for others (2ms)"),
    ),
)

REQUEST = Section(
    "request",
    (
        Key("body", Size(low=1 << 10, high=1 << 30), "the largest that is taken (16m)"),
        Key("values", Integer(1_000, 1_000_000_000), "cells, array elements and members that it may have (1000000)"),
        Key("headers", Duration(low=0.1, high=600.0), "how long its headers may take to arrive (10s)"),
        Key("arrival", Duration(low=0.1, high=3600.0), "how long the rest of it may take to arrive (30s)"),
        Key("prediction", Duration(low=0.1, high=3600.0), "how long its answer may take (60s)"),
    ),
)

FEEDBACK = Section(
    "feedback",
    (
        Key(
            "tokens",
            MapOf(Secret(plain=lambda _: "", always=True), "client", NAME, least=1),
            "clients that may send labels, each with its token; take it from the environment: {crm: ${CRM_TOKEN}}",
        ),
        Key("token_file", Text(check=bad_local), "file with a name and a token on each line (mode 600)"),
        Key("rate", Number(0.1, 100_000), "labels that one client may send to one replica in a second (200)"),
    ),
)

# An output of `infra:` is filled in once it is known.
_host = replace(common.host, outputs=True)

_HOST = Section(
    "host",
    (
        Key("engine", _host, "engine of the host, as in `host`", required=True),
        Key(
            "address",
            Text(pattern=r"[0-9A-Za-z.:-]+", what="an address"),
            "name or address by which the other hosts reach it (the machine of `engine`)",
        ),
    ),
)

HOSTS: tuple[Key, ...] = (
    Key(
        "hosts", ListOf(Either(_host, _HOST), least=1), "engines of the machines that serve it together (that of host)"
    ),
    Key("trusted_network", Flag(), "hosts talk to each other without TLS (false)"),
    Key("peer_port", Integer(1, 65535), "port at which hosts take each other's requests (port + 1000)"),
    Key("replace", Duration(low=1.0), "replicas of a host that is away for so long are started elsewhere (never)"),
    Key("lease", Duration(low=10.0, high=3600.0), "how long a host answers after the agent last reached it (30s)"),
    Key("stale", Choice(("refuse", "serve")), "what a host answers after that: 503, or as before (refuse)"),
)

SWARM: tuple[Key, ...] = (
    Key(
        "constraints",
        ListOf(Text(check=bad_constraint), single=True, least=1),
        "nodes of a Swarm that may run its replicas, such as node.labels.disk == ssd (all)",
    ),
    Key(
        "nodes",
        ListOf(common.host, least=1),
        "engines of a Swarm's other nodes: images are sent to them, where docker.push names no registry (none)",
    ),
)

ENVIRONMENT = Section(
    "environment",
    (
        Key("model", Text(check=bad_model), "registered model whose versions it serves (that of mlflow.model)"),
        Key(
            "driver",
            PluginName("drivers"),
            "process, docker, swarm, or one that another package brings (process)",
        ),
        Key("port", Integer(1, 65535), "port that answers requests (5100)"),
        Key(
            "bind",
            Text(pattern=r"[0-9A-Za-z.:-]+", what="an address", outputs=True),
            "address to listen on; localhost: those of IPv4 and IPv6 (127.0.0.1)",
        ),
        Key("host", _host, "engine whose machine serves it: unix://, tcp:// or ssh:// (that of docker.host)"),
        *HOSTS,
        *SWARM,
        *ACCESS,
        Key(
            "proxy",
            Choice(("container", "host")),
            "where HAProxy runs for driver docker: container, or host for a process beside Podium (container)",
        ),
        Key("proxy_image", Text(pattern=IMAGE, what="an image's name"), "image of HAProxy's container (haproxy:2.8)"),
        Key("cpus", common.cpus, "CPUs that one replica may use (all)"),
        Key("memory", common.memory, "memory that one replica may use: 512m, 4g (all)"),
        Key(
            "verify",
            Choice(("required", "off")),
            "required: a version is served only if an allowed signer (evidence.signers) has signed it (off)",
        ),
        Key("replicas", Integer(1, 256), "copies of the model (1)"),
        Key("protected", Flag(), "changes have to be confirmed by typing its name (false)"),
        Key("keep", Integer(0, 50), "earlier versions that stay warm for a rollback (1)"),
        Key("keep_stopped", Integer(0, 50), "further earlier versions whose containers stay, stopped (3)"),
        Key("strategy", STRATEGY, "how a new version takes over: rolling, blue-green or canary (blue-green)"),
        Key("capture", Share(), "share of the requests whose inputs and predictions are kept (0.01)"),
        Key("redact", ListOf(Text(), single=True), "columns of requests that are never kept"),
        Key("key", Text(), "column by which labels may name a request, beside its id"),
        Key("feedback", FEEDBACK, "who may send labels (anybody, where it is reached from this machine only)"),
        Key("request", REQUEST, "bounds of one request; one that is over them is refused"),
        Key("batch", BATCH, "requests of one form are predicted together (each alone)"),
        Key("health_timeout", Duration(low=0.1), "how long a replica may take to become healthy (60s)"),
    ),
)
