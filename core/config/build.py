"""Records of the reader -> the frozen dataclasses of core/domain/project.py. Nothing is checked here; missing keys
get the domain's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..domain.project import (
    AlertRule,
    AnalysisRule,
    Check,
    ContainerSpec,
    Docker,
    Environment,
    Gate,
    Git,
    Host,
    Infra,
    Matrix,
    Mlflow,
    Monitor,
    On,
    Pipeline,
    Project,
    StepSpec,
    Strategy,
)
from ..domain.replay import ReplayLimits
from .reader import Record
from .table import BUILTINS, METRIC_GOALS

DEFAULT_WEIGHTS = (5, 25, 50)


def project(record: Record, root: Path, home: Path, secrets: tuple[str, ...]) -> Project:
    name = record.get("project", "project")
    return Project(
        name=name,
        root=root,
        home=home,
        git=_git(record.get("git")),
        mlflow=_mlflow(record.get("mlflow"), name, home),
        docker=Docker(**_given(record.get("docker"), "host", "tls", "base", "push", "wheels", "sbom")),
        pipelines={key: pipeline(key, each) for key, each in record.get("pipelines", {}).items()},
        gates={key: _gate(key, each) for key, each in record.get("gates", {}).items()},
        environments={key: environment(key, each) for key, each in record.get("environments", {}).items()},
        monitors={key: _monitor(key, each) for key, each in record.get("monitors", {}).items()},
        alerts={key: _alert(key, each) for key, each in record.get("alerts", {}).items()},
        infra={key: _infra(key, each) for key, each in record.get("infra", {}).items()},
        env=record.get("env", {}),
        secrets=secrets,
    )


def _given(record: Record | None, *names: str, **renamed: str) -> dict[str, Any]:
    """The written keys as keyword arguments; what is not written is left to the dataclass."""
    pairs = {name: name for name in names} | renamed
    if record is None:
        return {}
    return {field: record.values[key] for field, key in pairs.items() if key in record.values}


def _git(record: Record | None) -> Git:
    if record is None:
        return Git()
    host: Record | None = record.get("host")
    found = Host(**{"kind": "", "repo": "", **_given(host, "kind", "repo", "token", "url")}) if host else None
    return Git(**_given(record, "branch"), host=found)


def _mlflow(record: Record | None, name: str, home: Path) -> Mlflow:
    values: Mapping[str, Any] = record.values if record else {}
    uri = absolute_uri(values.get("tracking_uri", "sqlite:///.podium/mlflow.db"), home)
    artifacts = values.get("artifacts", "")
    local = str(home / Path(artifacts).expanduser()) if artifacts else ""
    return Mlflow(uri, values.get("experiment", name), values.get("model", name), local)


def absolute_uri(uri: str, home: Path) -> str:
    """Local stores are named relative to the project, not to wherever a command was called."""
    scheme, colon, rest = uri.partition(":")
    if scheme == "sqlite" and rest.startswith("///") and not rest.startswith("////"):
        return f"sqlite:///{home / rest[3:]}"
    if scheme == "file" and not rest.startswith("/"):
        return (home / rest).as_uri()
    if not colon and uri != "databricks":
        return (home / uri).as_uri()
    return uri


def pipeline(name: str, record: Record) -> Pipeline:
    on: Record | None = record.get("on")
    steps: Mapping[str, Record] = record.get("steps", {})
    return Pipeline(
        name=name,
        steps={key: _step(key, each) for key, each in steps.items()},
        on=On(**_given(on, "push", "schedule", alerts="alert")) if on else On(),
        params=record.get("params", {}),
        env=record.get("env", {}),
        line=record.node.line,
    )


def _step(name: str, record: Record) -> StepSpec:
    uses = record.get("uses", "")
    common = _given(
        record,
        "run",
        "needs",
        "inputs",
        "outputs",
        "env",
        "timeout",
        "retries",
        "backoff",
        "when",
        "allow_failure",
        "cache",
        "executor",
    )
    matrix: Record | None = record.get("matrix")
    container = _container(record)
    if container is not None:
        common.setdefault("executor", "docker")
    return StepSpec(
        name=name,
        uses=uses,
        matrix=_matrix(matrix) if matrix else None,
        approval=record.get("approval") == "required",
        options=_options(uses, record) if uses else {},
        container=container,
        line=record.node.line,
        **common,
    )


def _container(record: Record) -> ContainerSpec | None:
    if not record.has("image") and not record.has("build"):
        return None
    return ContainerSpec(**_given(record, "image", "build", "cpus", "memory", "network"))


def _options(uses: str, record: Record) -> dict[str, Any]:
    common = ("uses", "needs", "matrix", "env", "timeout", "retries", "backoff", "when", "allow_failure", "approval")
    names = (
        [key.name for key in BUILTINS[uses]]
        if uses in BUILTINS
        else [key for key in record.values if key not in common]
    )
    options = {name: record.values[name] for name in names if name in record.values}
    if uses == "register" and "goal" not in options and options.get("metric") in METRIC_GOALS:
        options["goal"] = METRIC_GOALS[options["metric"]]
    return options


def _matrix(record: Record) -> Matrix:
    axes = {name: values for name, values in record.values.items() if name not in ("include", "exclude")}
    return Matrix(axes, **_given(record, "include", "exclude"))


def _gate(name: str, record: Record) -> Gate:
    checks: tuple[Record, ...] = record.get("checks", ())
    return Gate(
        name, record.get("data", ""), record.get("target", ""), tuple(map(_check, checks)), line=record.node.line
    )


def _check(record: Record) -> Check:
    kind = next((name for name in ("metric", "latency", "schema", "replay") if record.has(name)), "metric")
    if kind == "replay":
        limits = ReplayLimits(**_given(record, *(each.name for each in fields(ReplayLimits))))
        return Check(kind, environment=record.get("replay", ""), replay=limits, line=record.node.line)
    names = ("metric", "at_least", "at_most", "compare", "margin", "confidence", "goal", "slices", "min_rows")
    known: dict[str, Any] = {"goal": METRIC_GOALS[record.get("metric")]} if record.get("metric") in METRIC_GOALS else {}
    return Check(kind, **{**known, **_given(record, *names, percentile="latency")}, line=record.node.line)


def environment(name: str, record: Record) -> Environment:
    names = (
        "driver",
        "port",
        "bind",
        "host",
        "tls",
        "proxy",
        "proxy_image",
        "cpus",
        "memory",
        "replicas",
        "protected",
        "keep",
        "keep_stopped",
        "capture",
        "health_timeout",
    )
    return Environment(
        name, **_given(record, *names), strategy=_strategy(record.get("strategy")), line=record.node.line
    )


def _strategy(written: str | Record | None) -> Strategy:
    if written is None:
        return Strategy()
    if isinstance(written, str):
        return Strategy(written, weights=DEFAULT_WEIGHTS if written == "canary" else ())
    kind = next(iter(written.nodes))
    inner: Record | None = written.get(kind)
    if inner is None:
        return Strategy(kind)
    values = _given(inner, "weights", "interval", "drain")
    if kind == "canary":
        values.setdefault("weights", DEFAULT_WEIGHTS)
    analysis: tuple[Record, ...] = inner.get("analysis", ())
    return Strategy(kind, **values, analysis=tuple(map(_analysis_rule, analysis)))


def _analysis_rule(record: Record) -> AnalysisRule:
    values = _given(record, *(each.name for each in fields(AnalysisRule)))
    values.setdefault("signal", "")
    return AnalysisRule(**values)


def _monitor(name: str, record: Record) -> Monitor:
    options = {key: value for key, value in record.values.items() if key != "environment"}
    return Monitor(name, record.get("environment", ""), options, line=record.node.line)


def _alert(name: str, record: Record) -> AlertRule:
    return AlertRule(
        name,
        record.get("monitor", ""),
        **_given(record, "above", "below", "cooldown", for_="for"),
        line=record.node.line,
    )


def _infra(name: str, record: Record) -> Infra:
    kind = next((word for word in ("terraform", "cloudformation") if record.has(word)), "")
    return Infra(name, kind, record.get(kind, ""), line=record.node.line)
