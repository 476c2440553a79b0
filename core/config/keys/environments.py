"""The keys of environments in podium.yaml."""

from __future__ import annotations

from ...domain.watching import CANARY_SIGNALS
from ..kinds import Amount, Choice, Duration, Flag, Integer, Number, PluginName, Secret, Share, Size, Text
from ..patterns import bad_local
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

ENVIRONMENT = Section(
    "environment",
    (
        Key(
            "driver",
            PluginName("drivers"),
            "process, docker, or one that another package brings (process)",
        ),
        Key("port", Integer(1, 65535), "port that answers requests (5100)"),
        Key("bind", Text(pattern=r"[0-9A-Za-z.:-]+", what="an address"), "address to listen on (127.0.0.1)"),
        Key("host", common.host, "engine whose machine serves it: unix://, tcp:// or ssh:// (that of docker.host)"),
        *ACCESS,
        Key(
            "proxy",
            Choice(("container", "host")),
            "where HAProxy runs for driver docker: container, or host for a process beside Podium (container)",
        ),
        Key("proxy_image", Text(pattern=IMAGE, what="an image's name"), "image of HAProxy's container (haproxy:2.8)"),
        Key("cpus", common.cpus, "CPUs that one replica may use (all)"),
        Key("memory", common.memory, "memory that one replica may use: 512m, 4g (all)"),
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
