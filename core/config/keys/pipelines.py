"""The keys of pipelines in podium.yaml: what starts them, their steps, and the options of built-in steps."""

from __future__ import annotations

from ... import plugins
from ...domain.monitoring import LOOP_MODES
from ..kinds import Choice, Duration, Flag, Integer, Number, PluginName, Share, Text, Value
from ..patterns import bad_model, bad_schedule
from ..sections import VARIABLE_NAME, Chosen, Either, Key, ListOf, MapOf, Option, Plain, Section
from . import common
from .checks import DATA_STEP
from .common import ACCOUNT, GOALS, IMAGE
from .hosts import RUNTIME_ENV

ON_ALERT = Section(
    "on_alert",
    (
        Key("names", common.names, "alerts that start it when they fire", required=True),
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
        Key("push", ListOf(common.branch, single=True), "branches whose new commits start the pipeline"),
        Key("tag", ListOf(common.pattern, single=True), "patterns of tags that start it when they are new, such as v*"),
        Key(
            "pull_request",
            Either(Flag(), ListOf(common.pattern)),
            "pull requests of the Git host start it: true, or patterns of the branches that they go into",
        ),
        Key("schedule", Text(check=bad_schedule), "cron line, in UTC"),
        Key(
            "alert",
            Either(common.names, ON_ALERT),
            "alerts that start it: their names, or `names` and what holds it back",
        ),
    ),
    example="write `on: {push: main}` with the branches, or `on: {pull_request: true}`; others: tag, schedule, alert",
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
    Key("needs", common.names, "steps that have to succeed first"),
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
    Key("env", common.env, "environment variables of the step"),
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
    Key("inputs", common.paths, "files and directories that the command reads"),
    Key(
        "outputs",
        common.paths,
        "files and directories that it writes; kept, and restored when nothing it depends on changed",
    ),
    Key("cache", Flag(), "false: always run (true)"),
    Key(
        "executor",
        PluginName("executors"),
        "where it runs: process, docker (with `image` or `build`), ray, or one that another package brings (process)",
    ),
    Key(
        "image",
        Text(pattern=IMAGE, what="an image's name", templated=True),
        "image of the container that the command runs in",
    ),
    Key("build", common.path, "directory with a Dockerfile: the container's image is built from it"),
    Key("cpus", common.cpus, "CPUs that the command may use, and numeric libraries' threads (all)"),
    Key("memory", common.memory, "memory that the command may use: 512m, 4g (all)"),
    Key(
        "gpus",
        ListOf(Text(pattern=r"[0-9A-Za-z][0-9A-Za-z:/-]*", what="a GPU"), single=True),
        "GPUs that the command sees, by number or id; any: a free one; none: no GPU (all, and none in a container)",
    ),
    Key(
        "resources", MapOf(Number(0.0, 1e9), "resource", r"[A-Za-z0-9_.:-]{1,63}"), "what else it needs of Ray's nodes"
    ),
    Key("runtime_env", RUNTIME_ENV, "what Ray installs for it, besides that of `ray`: pip, uv, conda, env_vars"),
    Key("network", Flag(), "false: the container reaches no network (true)"),
)

_USES = Key("uses", Text(), "built-in step", required=True)
_ENVIRONMENT = Key("environment", common.reference, "environment to work on", required=True)
_MODEL = Key("model", Text(templated=True, check=bad_model), "registered model (the one that an earlier step reported)")
_VERSION = Key("version", common.version, "model version (the one that an earlier step reported)")

_INFRA = (
    Key("infra", common.reference, "infrastructure of `infra:` to work on", required=True),
    Key(
        "action",
        Choice(("plan", "apply", "drift")),
        "plan it, apply the plan of an earlier step, or look for drift (apply: alone, it plans, and asks nobody)",
    ),
)

BUILTINS: dict[str, tuple[Key, ...]] = {
    "register": (
        Key("metric", Text(templated=True), "MLflow metric by which the best run is chosen", required=True),
        Key("goal", Choice(GOALS), "maximize or minimize; only needed where Podium does not know the metric"),
        Key("model", Text(templated=True, check=bad_model), "registered model (that of the project)"),
        _VERSION,
    ),
    "gate": (Key("gate", common.reference, "gate to check the version with", required=True), _MODEL, _VERSION),
    "data-check": DATA_STEP,
    "deploy": (_ENVIRONMENT, _VERSION),
    "promote": (
        _ENVIRONMENT,
        _VERSION,
        Key("force", common.reason, "why it is promoted without a passed gate; kept in the ledger (not promoted)"),
    ),
    "rollback": (_ENVIRONMENT,),
    "labels": (
        _ENVIRONMENT,
        Key("file", common.path, "table of labels that an earlier step wrote: .csv or .parquet", required=True),
        Key("label", Text(templated=True), "column of labels", required=True),
        Key("id", Text(templated=True), "column of request ids (request_id)"),
        Key("key", Text(templated=True), "column with the environment's key, instead of ids"),
        Key("at", Text(templated=True), "column with the time at which the truth was known"),
        Key("row", Text(templated=True), "column with the row of the request, from 0"),
    ),
    "dataset": (
        _ENVIRONMENT,
        Key("output", common.path, "Parquet file of captured and labelled requests to learn from", required=True),
        Key("target", Text(templated=True), "what its column of labels is called (label)"),
        Key("since", Text(templated=True), "only requests since: 30d, or 2013-09-01 (all)"),
        Key("until", Text(templated=True), "only requests until: 1d, or 2013-12-01 (now)"),
        Key("last", Integer(low=1, templated=True), "only the newest so many rows"),
        Key("test", common.path, "Parquet file for the newest rows, which are not in `output`"),
        Key("test_share", Share(), "share of the rows that go there (20%)"),
        Key("add_to", common.path, "Parquet file of the project's own rows, which stand before them in `output`"),
        Key("at_least", Integer(low=1, templated=True), "fewer rows fail the step (1)"),
    ),
    "score": (
        Key("input", common.path, "Parquet or CSV file, or directory of them, whose rows are predicted", required=True),
        Key("output", common.path, "directory for the predictions", required=True),
        Key("environment", common.reference, "environment whose version predicts"),
        _MODEL,
        Key("version", common.version, "model version (the one that an earlier step reported, else the champion)"),
        Key("parallel", Integer(low=1, high=1024), "how many parts are predicted at once (as many as there are CPUs)"),
        Key("keep", common.columns, "columns of the input to write beside the predictions (all)"),
        Key("part_rows", Integer(low=1), "rows of one part (a 64th of the file, at least 16384)"),
    ),
    "terraform": _INFRA,
    "cloudformation": _INFRA,
    "image": (
        Key("base", Text(templated=True), "image to build on"),
        Key("push", Text(templated=True), "registry to push to"),
        _MODEL,
        _VERSION,
    ),
    "sign": (_MODEL, _VERSION),
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
        Key("env", common.env, "environment variables of all its steps"),
        Key("steps", MapOf(STEP, "step", least=1), "the steps, by name", required=True),
    ),
)
