"""Every key of podium.yaml: its kind and its purpose.

The reader checks by this table, the JSON Schema is made from it (json_schema.py), and the test of
config.example.yaml walks it. To add a key, add a line here, its field in core/domain/project.py, and the key in
config.example.yaml.
"""

from __future__ import annotations

from .. import plugins
from ..domain.metrics import AVERAGES, FACTS, TASKS
from ..domain.monitoring import LOOP_MODES, PSI_BANDS, SEVERITIES
from ..domain.watching import CANARY_SIGNALS
from .checks.keys import DATA_STEP, MORE_CHECKS
from .kinds import (
    Amount,
    AmountOrBand,
    Choice,
    Duration,
    Flag,
    Holding,
    Integer,
    Number,
    PluginName,
    Rate,
    Secret,
    Share,
    Size,
    Text,
    Value,
)
from .monitor_keys import MONITOR
from .patterns import (
    bad_argument,
    bad_branch,
    bad_listening,
    bad_local,
    bad_metric,
    bad_path,
    bad_pattern,
    bad_reason,
    bad_remote,
    bad_schedule,
    bad_shown_address,
    bad_table,
)
from .sections import NAME, VARIABLE_NAME, Chosen, Either, Key, ListOf, MapOf, Option, Plain, Section

GOALS = ("maximize", "minimize")
ANSWERS = ("label", "probability")
PERCENTILES = ("p50", "p95", "p99")
# Metrics whose direction is known; core/quality computes them.
METRIC_GOALS = {name: facts.goal for name, facts in FACTS.items() if facts.goal}

_name = Text(pattern=NAME, what="a name")
_names = ListOf(_name, single=True)
_columns = ListOf(Text(), single=True, least=1)
_reference = Text(pattern=rf"{NAME}|.*\$\{{\{{.*", what="a name", templated=True)
_path = Text(check=bad_path, templated=True)
_paths = ListOf(_path, single=True)
_branch = Text(check=bad_branch)
_pattern = Text(check=bad_pattern)
_env = MapOf(Text(empty=True, templated=True), "variable", VARIABLE_NAME)
_version = Integer(low=1, templated=True)
_reason = Text(check=bad_reason, templated=True)
ACCOUNT = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}"
IMAGE = r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,300}|.*\$\{\{.*"
_cpus = Number(0.01, 1024)
_host = Text(pattern=r"(ssh|tcp|unix)://\S+", what="an address such as ssh://user@machine")
_tls = Text(check=bad_local)

DOCKER = Section(
    "docker",
    (
        Key(
            "host",
            _host,
            "engine for steps and images: unix://, tcp:// (with tls) or ssh:// (DOCKER_HOST, or this machine's)",
        ),
        Key("tls", _tls, "directory with ca.pem, cert.pem and key.pem for a tcp:// engine (DOCKER_CERT_PATH)"),
        Key(
            "base",
            Text(pattern=IMAGE, what="an image's name"),
            "image that serving images are built on (python:3.11-slim)",
        ),
        Key(
            "push",
            Text(pattern=IMAGE, what="a repository's name"),
            "repository on a registry that serving images are pushed to (none)",
        ),
        Key(
            "wheels",
            Text(check=bad_path),
            "directory of wheels that images install from instead of the package index (none)",
        ),
        Key("sbom", Flag(), "keep a bill of materials with each serving image, where syft is installed (true)"),
    ),
)

TELL = Section(
    "tell",
    (
        Key("statuses", Flag(), "statuses of commits: each pipeline and each gate (true)"),
        Key("deployments", Flag(), "deployments of environments (true)"),
        Key("comment", Flag(), "the comparison with the champion, as one comment of the pull request (true)"),
        Key("releases", Flag(), "a release with notes for each promoted version; needs git.tags (false)"),
    ),
)

_number = Text(pattern=r"[0-9A-Za-z.]{1,40}", what="a number")

HOST = Section(
    "host",
    (
        Key("kind", PluginName("hosts"), "github, gitlab, gitea (Forgejo too), or git for none of them", required=True),
        Key("repo", Text(), "owner/name on the host; for git: what it fetches from", required=True),
        Key("token", Text(), "access token; take it from the environment: ${GITHUB_TOKEN}"),
        Key("token_file", Text(check=bad_local), "file with the token, which only you may read (mode 600)"),
        Key(
            "app",
            Section(
                "app",
                (
                    Key("id", _number, "the App's number, or its client id", required=True),
                    Key("installation", _number, "number of its installation", required=True),
                    Key("key_file", Text(check=bad_local), "file with its private key (mode 600)", required=True),
                ),
            ),
            "GitHub App that asks instead of a person; check runs need one",
        ),
        Key("url", Text(pattern=r"https?://\S+", what="an http(s) address"), "address of a host of your own"),
        Key("tell", TELL, "what the host is told"),
    ),
)

GIT = Section(
    "git",
    (
        Key("branch", _branch, "the branch that releases come from (main)"),
        Key("host", HOST, "where the repository is hosted"),
        Key(
            "remote", Text(check=bad_remote), "repository that pushes arrive at: a remote's name, an address or a path"
        ),
        Key("webhook_secret", Text(), "secret of the host's webhook, for `podium watch --listen`: ${WEBHOOK_SECRET}"),
        Key("poll", Duration(low=1.0), "time between two looks at the host or remote (30s)"),
        Key("tags", Flag(), "record versions and promotions as tags of the repository (false)"),
    ),
)

MLFLOW = Section(
    "mlflow",
    (
        Key(
            "tracking_uri",
            Text(),
            "tracking store: an http(s) server or a local database (sqlite:///.podium/mlflow.db)",
        ),
        Key("experiment", Text(), "MLflow experiment (the project's name)"),
        Key(
            "model",
            Text(pattern=r"[^/:]{1,200}", what="a model's name (no `/` or `:`)"),
            "registered model (the project's name)",
        ),
        Key(
            "artifacts",
            Text(check=bad_local),
            "directory where a server of this machine keeps artifacts that it does not serve itself (none)",
        ),
    ),
)

ON_ALERT = Section(
    "on_alert",
    (
        Key("names", _names, "alerts that start it when they fire", required=True),
        Key(
            "mode",
            Choice(LOOP_MODES),
            "propose: a person decides; run: nothing is delivered without one; deliver (run, or propose if protected)",
        ),
        Key("cooldown", Duration(), "time from one start to the next, at least (6h)"),
        Key("at_most", Integer(1, 1000), "how often it is started in a day (2)"),
        Key("look_back", Duration(low=1.0), "time after a delivery in which it has to have helped (1d)"),
    ),
)

ON = Section(
    "on",
    (
        Key("push", ListOf(_branch, single=True), "branches whose new commits start the pipeline"),
        Key("tag", ListOf(_pattern, single=True), "patterns of tags that start it when they are new, such as v*"),
        Key(
            "pull_request",
            Either(Flag(), ListOf(_pattern)),
            "pull requests of the Git host start it: true, or patterns of the branches that they go into",
        ),
        Key("schedule", Text(check=bad_schedule), "cron line, in UTC"),
        Key("alert", Either(_names, ON_ALERT), "alerts that start it: their names, or `names` and what holds it back"),
    ),
)

APPROVERS = Section(
    "approvers",
    (
        Key("number", Integer(low=1, high=20), "how many different people have to approve (1)"),
        Key("among", ListOf(Text(pattern=ACCOUNT, what="an account's name"), least=1), "the accounts that may (all)"),
        Key("group", Text(pattern=ACCOUNT, what="a group's name"), "the Unix group whose members may (all)"),
        Key("author", Flag(), "whether the commit's author and who started the run may approve (true)"),
        Key(
            "proof",
            Choice(("account", "host")),
            "what says who somebody is: the account on this machine, or the one on the Git host (account)",
        ),
    ),
)

_STEP: tuple[Key, ...] = (
    Key("needs", _names, "steps that have to succeed first"),
    Key(
        "matrix",
        Section(
            "matrix",
            (
                Key("include", ListOf(MapOf(Value(), "parameter", VARIABLE_NAME, least=1)), "cells to add"),
                Key(
                    "exclude",
                    ListOf(MapOf(Value(), "parameter", VARIABLE_NAME, least=1)),
                    "cells to leave out: those that have all these values",
                ),
            ),
            others=ListOf(Value(), least=1),
        ),
        "runs the step once for each combination of the values",
    ),
    Key("fail_fast", Flag(), "beside a matrix: when one cell has failed, the others are stopped (true)"),
    Key("env", _env, "environment variables of the step"),
    Key("timeout", Duration(low=0.01), "ends the step, and every process it started, after this time"),
    Key("retries", Integer(0, 100), "how often a failed step is tried again (0)"),
    Key("backoff", Duration(), "wait before the first retry; doubles each time (1s)"),
    Key("when", Text(), "expression that says whether the step runs"),
    Key("allow_failure", Flag(), "a failure of this step does not fail the run (false)"),
    Key("approval", Choice(("required", "none")), "required: a person has to approve before the step starts"),
    Key(
        "approvers",
        Either(Choice(("host",)), APPROVERS),
        "who may approve, and how many have to; `host` is short for {proof: host}. Makes approval required",
    ),
    Key(
        "approval_timeout", Duration(low=0.01), "how long the step waits for that, and how long an approval counts (7d)"
    ),
)

_RUN: tuple[Key, ...] = (
    Key("run", Text(variables=False, templated=True), "shell command line", required=True),
    Key("inputs", _paths, "files and directories that the command reads"),
    Key(
        "outputs", _paths, "files and directories that it writes; kept, and restored when nothing it depends on changed"
    ),
    Key("cache", Flag(), "false: always run (true)"),
    Key(
        "executor",
        PluginName("executors"),
        "where it runs: process, docker (with `image` or `build`), or one that another package brings (process)",
    ),
    Key(
        "image",
        Text(pattern=IMAGE, what="an image's name", templated=True),
        "image of the container that the command runs in",
    ),
    Key("build", _path, "directory with a Dockerfile: the container's image is built from it"),
    Key("cpus", _cpus, "CPUs that the command may use, and numeric libraries' threads (all)"),
    Key("memory", Size(low=6 << 20), "memory that the command may use: 512m, 4g (all)"),
    Key("network", Flag(), "false: the container reaches no network (true)"),
)

_USES = Key("uses", Text(), "built-in step", required=True)
_ENVIRONMENT = Key("environment", _reference, "environment to work on", required=True)
_VERSION = Key("version", _version, "model version (the one that an earlier step reported)")

BUILTINS: dict[str, tuple[Key, ...]] = {
    "register": (
        Key("metric", Text(templated=True), "MLflow metric by which the best run is chosen", required=True),
        Key("goal", Choice(GOALS), "maximize or minimize; only needed where Podium does not know the metric"),
        Key("model", Text(templated=True), "registered model (that of the project)"),
        _VERSION,
    ),
    "gate": (Key("gate", _reference, "gate to check the version with", required=True), _VERSION),
    "data-check": DATA_STEP,
    "deploy": (_ENVIRONMENT, _VERSION),
    "promote": (
        _ENVIRONMENT,
        _VERSION,
        Key("force", _reason, "why it is promoted without a passed gate; kept in the ledger (not promoted)"),
    ),
    "rollback": (_ENVIRONMENT,),
    "labels": (
        _ENVIRONMENT,
        Key("file", _path, "table of labels that an earlier step wrote: .csv or .parquet", required=True),
        Key("label", Text(templated=True), "column of labels", required=True),
        Key("id", Text(templated=True), "column of request ids (request_id)"),
        Key("key", Text(templated=True), "column with the environment's key, instead of ids"),
        Key("at", Text(templated=True), "column with the time at which the truth was known"),
        Key("row", Text(templated=True), "column with the row of the request, from 0"),
    ),
    "dataset": (
        _ENVIRONMENT,
        Key("output", _path, "Parquet file of captured and labelled requests to learn from", required=True),
        Key("target", Text(templated=True), "what its column of labels is called (label)"),
        Key("since", Text(templated=True), "only requests since: 30d, or 2013-09-01 (all)"),
        Key("until", Text(templated=True), "only requests until: 1d, or 2013-12-01 (now)"),
        Key("last", Integer(low=1, templated=True), "only the newest so many rows"),
        Key("test", _path, "Parquet file for the newest rows, which are not in `output`"),
        Key("test_share", Share(), "share of the rows that go there (20%)"),
        Key("add_to", _path, "Parquet file of the project's own rows, which stand before them in `output`"),
        Key("at_least", Integer(low=1, templated=True), "fewer rows fail the step (1)"),
    ),
    "image": (
        Key("base", Text(templated=True), "image to build on"),
        Key("push", Text(templated=True), "registry to push to"),
        _VERSION,
    ),
}


def _plugin_step(word: str) -> Section | None:
    return Section(f"step.{word}", (_USES, *_STEP), others=Plain()) if word in plugins.added("steps") else None


STEP = Chosen(
    "step",
    (
        Option("run", Section("step", (*_RUN, *_STEP))),
        *(Option("uses", Section(f"step.{word}", (_USES, *keys, *_STEP)), word) for word, keys in BUILTINS.items()),
    ),
    otherwise=_plugin_step,
    kind="steps",
)

_commits = Choice(("newest", "every"))
CONCURRENCY = Either(
    _commits,
    Section(
        "concurrency",
        (
            Key("commits", _commits, "newest, or every one in its order (newest)"),
            Key("cancel", Flag(), "a run that a newer commit has superseded is cancelled (false)"),
        ),
    ),
)

PIPELINE = Section(
    "pipeline",
    (
        Key("on", ON, "what starts it by itself"),
        Key("concurrency", CONCURRENCY, "which of several new commits of a branch it runs: newest or every (newest)"),
        Key(
            "params",
            MapOf(Text(empty=True), "parameter", VARIABLE_NAME),
            "values that a person may set for a run: ${{ params.NAME }}",
        ),
        Key("env", _env, "environment variables of all its steps"),
        Key("steps", MapOf(STEP, "step", least=1), "the steps, by name", required=True),
    ),
)

_GOAL = Key("goal", Choice(GOALS), "which direction is better; only needed where Podium does not know the metric")

CHECK = Chosen(
    "check",
    (
        Option(
            "metric",
            Section(
                "check",
                (
                    Key(
                        "metric",
                        Text(check=bad_metric),
                        "metric of the version on the gate's data, or a function of your own: metrics.py:profit",
                        required=True,
                    ),
                    Key("average", Choice(AVERAGES), "over the classes, of more than two (of roc_auc: macro)"),
                    Key("class", Value(), "one class that is measured against the rest (of two: the positive one)"),
                    Key("k", Integer(1, 100_000), "first rows of a query that count, of ndcg and map (all)"),
                    Key("quantile", Number(0.0001, 0.9999), "quantile that is forecast, of pinball"),
                    Key("horizon", Integer(low=1), "measures only rows that look so far ahead (all)"),
                    Key("prediction", _columns, "column of the answer that is meant (that of the gate)"),
                    Key("at_least", Number(), "lowest value that passes"),
                    Key("at_most", Number(), "highest value that passes"),
                    Key("compare", Choice(("champion",)), "compare with the champion on the same rows"),
                    Key("margin", Number(low=0.0), "how much worse than the champion it may be, absolute (0)"),
                    Key("confidence", Number(0.5, 0.9999), "of the interval (0.95)"),
                    _GOAL,
                    Key(
                        "slices",
                        _slices := ListOf(Text(), single=True),
                        "columns; the check is repeated for each of their values",
                    ),
                    Key("min_rows", Integer(low=1), "slices with fewer rows are left out (1)"),
                ),
            ),
        ),
        Option(
            "latency",
            Section(
                "check.latency",
                (
                    Key("latency", Choice(PERCENTILES), "percentile of the time for one prediction", required=True),
                    Key("at_most", Duration(low=1e-6), "longest time that passes", required=True),
                ),
            ),
        ),
        Option(
            "schema",
            Section(
                "check.schema",
                (
                    Key(
                        "schema",
                        Choice(("unchanged",)),
                        "the model's input and output columns are those of the champion",
                        required=True,
                    ),
                ),
            ),
        ),
        Option(
            "replay",
            Section(
                "check.replay",
                (
                    Key(
                        "replay",
                        _name,
                        "environment whose captured requests the version answers, beside what serves there",
                        required=True,
                    ),
                    Key("at_least", Integer(low=1), "fewer requests than this are inconclusive (100)"),
                    Key("limit", Integer(1, 100_000), "at most so many are sent, the newest (1000)"),
                    Key("since", Duration(low=1.0), "only what was captured in this time"),
                    Key("max_errors", Integer(low=0), "requests that it may answer worse than what serves (0)"),
                    Key("max_differing", Share(), "share of its predictions that may differ (5%)"),
                    Key(
                        "max_slowdown",
                        Share(high=1000.0),
                        "how much slower its 95th percentile may be, as a share of the other's (20%)",
                    ),
                    Key(
                        "tolerance",
                        Number(low=0.0),
                        "numbers closer than this are the same (1e-6, and of probabilities the class)",
                    ),
                    Key("concurrency", Integer(1, 64), "requests sent at the same time (1)"),
                ),
            ),
        ),
        *MORE_CHECKS,
    ),
)

SERIES = Section(
    "series",
    (
        Key("by", Text(), "column that says which series a row is of (one series)"),
        Key("time", Text(), "column with the time that is forecast; neighbouring times are drawn together"),
        Key("horizon", Text(), "column that says how far ahead a row looks, in steps"),
        Key("history", Text(check=bad_path), "table of the series before these rows, for mase: .parquet or .csv"),
        Key("season", Integer(1, 100_000), "steps after which a season repeats, for mase (1)"),
    ),
)

GATE = Section(
    "gate",
    (
        Key(
            "data",
            Text(check=bad_table),
            "table of rows to evaluate on: a file, a directory of .parquet files, or dataset:NAME",
            required=True,
        ),
        Key("target", _columns, "column that holds the truth; several of 0 and 1 for several labels", required=True),
        Key("task", Choice(TASKS), "kind of the model, where target and metrics do not tell"),
        Key(
            "classes", ListOf(Value(), least=2), "the target's classes in order, of two the positive one last (sorted)"
        ),
        Key("prediction", _columns, "columns of the answer that are meant, in the order of the classes (all)"),
        Key("answers", Choice(ANSWERS), "what the model answers, where that cannot be told from its answers"),
        Key("group", Text(), "column of rows that belong together, such as the query of a ranking (none)"),
        Key("series", SERIES, "what the rows of a forecast are"),
        Key("checks", ListOf(CHECK, least=1), "all of them have to pass", required=True),
    ),
)

_DRAIN = Key("drain", Duration(), "how long an old replica may finish its requests (30s)")
ANALYSIS = Section(
    "analysis",
    (
        Key(
            "signal",
            Choice(CANARY_SIGNALS),
            "what is measured: error_rate, latency_p50, latency_p95 or latency_p99",
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

FEEDBACK = Section(
    "feedback",
    (
        Key(
            "tokens",
            MapOf(Text(), "client", NAME, least=1),
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
        Key("host", _host, "engine whose machine serves it: unix://, tcp:// or ssh:// (that of docker.host)"),
        Key("tls", _tls, "directory with ca.pem, cert.pem and key.pem for a tcp:// host (that of docker.tls)"),
        Key(
            "proxy",
            Choice(("container", "host")),
            "where HAProxy runs for driver docker: container, or host for a process beside Podium (container)",
        ),
        Key("proxy_image", Text(pattern=IMAGE, what="an image's name"), "image of HAProxy's container (haproxy:2.8)"),
        Key("cpus", _cpus, "CPUs that one replica may use (all)"),
        Key("memory", Size(low=6 << 20), "memory that one replica may use: 512m, 4g (all)"),
        Key("replicas", Integer(1, 256), "copies of the model (1)"),
        Key("protected", Flag(), "changes have to be confirmed by typing its name (false)"),
        Key("keep", Integer(0, 50), "earlier versions that stay warm for a rollback (1)"),
        Key("keep_stopped", Integer(0, 50), "further earlier versions whose containers stay, stopped (3)"),
        Key("strategy", STRATEGY, "how a new version takes over: rolling, blue-green or canary (blue-green)"),
        Key("capture", Share(), "share of the requests whose inputs and predictions are kept (0.01)"),
        Key("redact", ListOf(Text(), single=True), "columns of requests that are never kept"),
        Key("key", Text(), "column by which labels may name a request, beside its id"),
        Key("feedback", FEEDBACK, "who may send labels (anybody, where it is reached from this machine only)"),
        Key("batch", BATCH, "requests of one form are predicted together (each alone)"),
        Key("health_timeout", Duration(low=0.1), "how long a replica may take to become healthy (60s)"),
    ),
)

ALERT = Section(
    "alert",
    (
        Key("monitor", _name, "monitor whose value it checks", required=True),
        Key("above", AmountOrBand(PSI_BANDS), "fires above this value; of psi also moderate (0.1), significant (0.25)"),
        Key("below", Amount(), "fires below this value"),
        Key("false_alarms", Rate(), "how often it may fire without any change: 1/month; the monitor finds the value"),
        Key("for", Holding(), "measurements in a row, or a time, that it lasts before it fires (1)"),
        Key("keep_firing_for", Duration(), "how long the value has to be back before it is over (0s)"),
        Key("cooldown", Duration(), "time from one firing to the next, at least (1h)"),
        Key("severity", Choice(SEVERITIES), "critical, warning or info (warning)"),
        Key("labels", MapOf(Text(empty=True), "label", VARIABLE_NAME), "labels for who is told"),
        Key(
            "annotations",
            MapOf(Text(templated=True), "annotation", VARIABLE_NAME),
            "texts for people, with ${{ alert.value }} and others: summary, description, runbook_url",
        ),
        Key("notify", _names, "sinks that are told (all)"),
    ),
)

_address = Secret(pattern=r"https?://\S+", what="an http(s) address", plain=bad_shown_address)
_SINK = (
    Key("timeout", Duration(low=1.0, high=60.0), "how long one message may take (20s)"),
    Key("resolved", Flag(), "tell that an alert is over, too (true)"),
)
SINK = Chosen(
    "sink",
    (
        Option(
            "apprise",
            Section(
                "sink",
                (Key("apprise", Secret(), "address as apprise takes it: ${SLACK_URL}", required=True), *_SINK),
            ),
        ),
        Option(
            "webhook",
            Section(
                "sink",
                (
                    Key("webhook", _address, "address that alerts are sent to", required=True),
                    Key("key", Secret(), "what they are signed with: ${WEBHOOK_KEY} (unsigned)"),
                    *_SINK,
                ),
            ),
        ),
        Option(
            "alertmanager",
            Section(
                "sink",
                (
                    Key("alertmanager", _address, "address of an Alertmanager", required=True),
                    Key("token", Secret(), "bearer token for it: ${ALERTMANAGER_TOKEN} (none)"),
                    *_SINK,
                ),
            ),
        ),
        Option(
            "command",
            Section(
                "sink",
                (
                    Key(
                        "command",
                        ListOf(Text(variables=False, check=bad_argument), least=1),
                        "program and arguments; the alerts are on its standard input",
                        required=True,
                    ),
                    Key(
                        "env",
                        MapOf(Secret(empty=True, plain=lambda _: ""), "variable", VARIABLE_NAME),
                        "its variables, besides PATH, HOME, LANG and TZ",
                    ),
                    *_SINK,
                ),
            ),
        ),
        Option(
            "terminal",
            Section(
                "sink.terminal",
                (
                    Key(
                        "terminal",
                        Choice(("bell", "osc9")),
                        "what the terminal of an open cockpit does: ring, or show a notification",
                        required=True,
                    ),
                ),
            ),
        ),
    ),
)
NOTIFY = Section(
    "notify",
    (
        Key("wait", Duration(high=3600.0), "changes of one environment's alerts in this time are one message (10s)"),
        Key("sinks", MapOf(SINK, "sink"), "who is told, by name"),
    ),
)

METRICS = Section(
    "metrics",
    (
        Key("listen", Text(check=bad_listening), "port, or ADDRESS:PORT, where the agent shows /metrics (nowhere)"),
        Key("token", Secret(), "bearer token that is asked for there: ${METRICS_TOKEN} (none, on this machine alone)"),
    ),
)

INFRA = Chosen(
    "infra",
    (
        Option(
            "terraform",
            Section("infra", (Key("terraform", _path, "directory of the Terraform configuration", required=True),)),
        ),
        Option(
            "cloudformation",
            Section("infra", (Key("cloudformation", _path, "CloudFormation template", required=True),)),
        ),
    ),
)

_age = Duration(low=1.0)
RETAIN = Section(
    "retain",
    (
        Key("runs", _age, "ended runs in the journal (365d)"),
        Key("logs", _age, "log files of ended runs (180d)"),
        Key("logs_size", Size(), "all of them together; beyond it the oldest go (10g)"),
        Key("cache", _age, "results that no run has used for so long (30d)"),
        Key("cache_size", Size(), "the whole cache; beyond it what was used longest ago goes (20g)"),
        Key("worktrees", _age, "worktrees of runs that did not succeed (14d)"),
        Key("samples", _age, "live signals, coarser the older they are (365d)"),
        Key("measurements", _age, "what monitors measured, and what they keep of their references (90d)"),
        Key("captures", _age, "captured requests and feedback (30d)"),
        Key("labels", _age, "requests with predictions, labels and captured inputs (90d)"),
        Key("labels_rows", Integer(low=1), "the most of them in one environment (1000000)"),
        Key("models", _age, "fetched files of versions that nothing needs (30d)"),
        Key("replica_logs", _age, "logs of replicas that are gone (30d)"),
        Key("reports", _age, "gate reports beyond the newest five of a version, and requests to canaries (365d)"),
        Key("messages", _age, "messages that were sent or given up (30d)"),
        Key("ci", _age, "CI runs of the Git host, as last seen (30d)"),
        Key("temporary", _age, "what a crash left behind, and its reports (7d)"),
        Key("audit", _age, "audit entries in the journal; older ones are sealed, never removed (180d)"),
        Key("ledger", _age, "deployments in the journal; older ones are sealed, never removed (365d)"),
        Key("evidence", _age, "what an auditor needs stays so long, whatever the other keys say (180d)"),
    ),
)

PROJECT = Section(
    "project",
    (
        Key("project", _name, "the project's name", required=True),
        Key("env", MapOf(Text(empty=True), "variable", VARIABLE_NAME), "environment variables of all steps"),
        Key(
            "nice",
            Integer(0, 19),
            "how much lower the priority of steps is than that of what serves, as nice(1) counts; 0: the same (10)",
        ),
        Key("git", GIT, "the repository, and the host that it is on"),
        Key("mlflow", MLFLOW, "where models are tracked and registered"),
        Key("docker", DOCKER, "the engine for steps and images"),
        Key("retain", RETAIN, "how long what grows below .podium is kept"),
        Key("pipelines", MapOf(PIPELINE, "pipeline"), "named graphs of steps"),
        Key("gates", MapOf(GATE, "gate"), "checks that a version has to pass"),
        Key("environments", MapOf(ENVIRONMENT, "environment"), "where versions are served"),
        Key("monitors", MapOf(MONITOR, "monitor"), "what is measured of what serves"),
        Key("alerts", MapOf(ALERT, "alert"), "rules over what monitors measure"),
        Key("notify", NOTIFY, "who is told of alerts"),
        Key("metrics", METRICS, "what the agent shows an existing Prometheus"),
        Key(
            "infra", MapOf(INFRA, "infrastructure"), "infrastructure described by other tools (nothing acts on it yet)"
        ),
    ),
    doc="A Podium project",
)
