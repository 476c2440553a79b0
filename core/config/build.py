"""Turns the reader's records into the frozen dataclasses of core/domain/project/. Nothing is checked here.

A dataclass's fields are the keys of its section, and get their own defaults where a key is not written; the metadata
of a field (`key`, `section`, `sections`) says what differs from that. Only what is more than a copy stands below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from ..domain.access.clients import Auth, Tls
from ..domain.access.proof import Proof
from ..domain.access.roles import Allowed, Role, Roles
from ..domain.infra.rules import ChangeKind, Rule, Rules
from ..domain.infra.settings import CLOUDFORMATION, TERRAFORM
from ..domain.monitoring import PSI_BANDS, MonitorKind
from ..domain.project import (
    AlertRule,
    Approvers,
    Check,
    Concurrency,
    ContainerSpec,
    Environment,
    Gate,
    Infra,
    Matrix,
    Mlflow,
    MonitorSpec,
    On,
    OnAlert,
    Pipeline,
    Project,
    ReferenceSpec,
    ServingHost,
    Sink,
    StepSpec,
    Strategy,
)
from ..domain.replay import ReplayLimits
from ..identity.account import expanded
from ..identity.home import STATE
from .checks.values import CHECK_KINDS, SPECS
from .keys.gates import METRIC_GOALS
from .keys.pipelines import BUILTINS
from .reader import Record

T = TypeVar("T")

DEFAULT_WEIGHTS = (5, 25, 50)
# What a monitor looks at where its window says nothing: so many seconds, or the latest rows.
DEFAULT_WINDOWS = {MonitorKind.SIGNAL: 60.0, MonitorKind.LABELS: 7 * 86_400.0}
DEFAULT_ROWS = 1000
# The databases of embedded stores, below the project's directory: the usual one, and that of older projects.
USUAL_STORES = (f"{STATE}/mlflow/mlflow.db", f"{STATE}/mlflow.db")


def project(record: Record, root: Path, home: Path, secrets: tuple[str, ...]) -> Project:
    """Returns the project that a whole file describes."""
    name = record.get("project", "project")
    mlflow = _mlflow(record.get("mlflow"), name, home)
    return _made(Project, record, name=name, root=root, home=home, mlflow=mlflow, secrets=secrets, idle=())


def _made(kind: type[T], record: Record | None, /, **given: Any) -> T:
    """Returns a `kind` of what is written, with `given` instead of the keys of those fields. A required key that is
    missing was a problem, and is empty here."""
    values = dict(given)
    for each in fields(cast("Any", kind)):
        if each.name in given:
            continue
        key = each.metadata.get("key", each.name)
        if each.name == "line" and record is not None:
            values["line"] = record.node.line
        elif record is not None and key in record.values:
            values[each.name] = _value(each, record.values[key])
        elif each.default is MISSING and each.default_factory is MISSING:
            values[each.name] = _value(each, {}) if "sections" in each.metadata else _empty(each)
    return kind(**values)


def _value(field: Field[Any], written: Any) -> Any:
    """Returns what a field holds: sections as the dataclasses that its metadata names."""
    one, named = field.metadata.get("section"), field.metadata.get("sections")
    if named is not None:
        make = _MAKERS.get(named)
        return {
            name: make(name, record) if make else _made(named, record, name=name) for name, record in written.items()
        }
    if one is None:
        return written
    if isinstance(written, tuple):
        return tuple(_made(one, each) for each in cast("tuple[Record, ...]", written))
    return _made(one, written)


def _empty(field: Field[Any]) -> Any:
    section = field.metadata.get("section")
    return section() if section else ""


def _mlflow(record: Record | None, name: str, home: Path) -> Mlflow:
    values: Mapping[str, Any] = record.values if record else {}
    uri = absolute_uri(values["tracking_uri"], home) if "tracking_uri" in values else f"sqlite:///{_usual_store(home)}"
    artifacts = values.get("artifacts", "")
    local = str(home / expanded(artifacts)) if artifacts else ""
    registry = absolute_uri(values["registry_uri"], home) if "registry_uri" in values else ""
    return Mlflow(
        uri,
        values.get("experiment", name),
        values.get("model", name),
        local,
        registry_uri=registry if registry != uri else "",
    )


def _usual_store(home: Path) -> Path:
    """Returns the database of the embedded store where the file names none: in a directory of its own, but right in the
    state directory in a project that began with it there, also while the database itself is away."""
    usual, older = (home / name for name in USUAL_STORES)
    with suppress(PermissionError):  # somebody else's
        if not usual.exists() and (older.exists() or older.with_name("artifacts").exists()):
            return older
    return usual


def absolute_uri(uri: str, home: Path) -> str:
    """Returns the URI of a local store as an absolute one: it is relative to the project, not to the current
    directory."""
    scheme, colon, rest = uri.partition(":")
    if scheme == "sqlite" and rest.startswith("///") and not rest.startswith("////"):
        return f"sqlite:///{home / rest[3:]}"
    if scheme == "file" and not rest.startswith("/"):
        return (home / rest).as_uri()
    if not colon and uri != "databricks":
        return (home / uri).as_uri()
    return uri


def _pipeline(name: str, record: Record) -> Pipeline:
    steps: Mapping[str, Record] = record.get("steps", {})
    return _made(
        Pipeline,
        record,
        name=name,
        steps={key: _step(key, each) for key, each in steps.items()},
        on=_on(record.get("on")),
        concurrency=_concurrency(record.get("concurrency")),
    )


def _on(record: Record | None) -> On:
    asked = record.get("pull_request", False) if record else False
    pulls = (("*",) if asked else ()) if isinstance(asked, bool) else asked
    return _made(On, record, pull_request=pulls, alert=_on_alert(record.get("alert", ()) if record else ()))


def _on_alert(written: Record | tuple[str, ...]) -> OnAlert:
    return OnAlert(written) if isinstance(written, tuple) else _made(OnAlert, written)


def _concurrency(written: str | Record | None) -> Concurrency:
    return Concurrency(written) if isinstance(written, str) else _made(Concurrency, written)


def _step(name: str, record: Record) -> StepSpec:
    uses = record.get("uses", "")
    matrix: Record | None = record.get("matrix")
    contained = record.has("image") or record.has("build")
    given: dict[str, Any] = {"executor": "docker"} if contained and "executor" not in record.values else {}
    return _made(
        StepSpec,
        record,
        name=name,
        uses=uses,
        matrix=_matrix(matrix) if matrix else None,
        approval=record.get("approval", "required" if record.has("approvers") else "none") == "required",
        approvers=_approvers(record.get("approvers")),
        options=_options(uses, record) if uses else {},
        container=_made(ContainerSpec, record) if contained else None,
        **given,
    )


def _approvers(given: Record | str | None) -> Approvers:
    if isinstance(given, str):
        return Approvers(proof=Proof(given))
    return _made(Approvers, given, proof=Proof(given.get("proof", "account"))) if given is not None else Approvers()


def _options(uses: str, record: Record) -> dict[str, Any]:
    common = (
        "uses",
        "needs",
        "matrix",
        "fail_fast",
        "env",
        "timeout",
        "retries",
        "backoff",
        "when",
        "allow_failure",
        "approval",
        "approvers",
        "approval_timeout",
    )
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
    return _made(Matrix, record, axes=axes)


def _gate(name: str, record: Record) -> Gate:
    checks: tuple[Record, ...] = record.get("checks", ())
    columns: tuple[str, ...] = record.get("target", ("",))
    target, several = columns[0], columns if len(columns) > 1 else ()
    return _made(Gate, record, name=name, target=target, targets=several, checks=tuple(map(_check, checks)))


def _check(record: Record) -> Check:
    kind = next((name for name in CHECK_KINDS if record.has(name)), "metric")
    if kind in SPECS:
        return Check(kind, **SPECS[kind](record), line=record.node.line)
    if kind == "replay":
        limits = _made(ReplayLimits, record)
        return Check(kind, environment=record.get("replay", ""), replay=limits, line=record.node.line)
    metric = record.get("metric")
    given = {"goal": METRIC_GOALS[metric]} if metric in METRIC_GOALS and "goal" not in record.values else {}
    return _made(Check, record, kind=kind, environment="", replay=None, **given)


def _environment(name: str, record: Record) -> Environment:
    tls = record.get("tls")
    hosts = tuple(_serving_host(each) for each in record.get("hosts", ()))
    texts = {key: record.get(key, "") for key in ("host", "bind")}
    texts |= {f"hosts.{index}": each.engine for index, each in enumerate(hosts)}
    awaits = {key: text for key, text in texts.items() if "${{" in text}
    return _made(
        Environment,
        record,
        name=name,
        awaits=awaits,
        unusable="",
        hosts=hosts,
        strategy=_strategy(record.get("strategy")),
        tls=tls.get("engine", "") if isinstance(tls, Record) else tls or "",
        https=_made(Tls, tls) if isinstance(tls, Record) and tls.has("certificate") else None,
        auth=_auth(record.get("auth")),
        who=_roles(record.get("who")),
    )


def _serving_host(written: str | Record) -> ServingHost:
    return ServingHost(written) if isinstance(written, str) else _made(ServingHost, written)


def _auth(written: str | Record | None) -> Auth | None:
    return Auth(tokens=True) if isinstance(written, str) else _made(Auth, written, tokens=False) if written else None


def _roles(written: Record | None) -> Roles:
    if written is None:
        return Roles()
    return Roles(**{role: _allowed(written.values[role]) for role in Role if role in written.values})


def _allowed(written: Record | tuple[str, ...]) -> Allowed:
    return Allowed(written) if isinstance(written, tuple) else _made(Allowed, written)


def _strategy(written: str | Record | None) -> Strategy:
    if written is None:
        return Strategy()
    if isinstance(written, str):
        return Strategy(written, weights=DEFAULT_WEIGHTS if written == "canary" else ())
    kind = next(iter(written.nodes))
    inner: Record | None = written.get(kind)
    if inner is None:
        return Strategy(kind)
    given = {"weights": DEFAULT_WEIGHTS} if kind == "canary" and "weights" not in inner.values else {}
    return _made(Strategy, inner, kind=kind, **given)


def _monitor(name: str, record: Record) -> MonitorSpec:
    """Returns a monitor: the key that says its kind holds its measure."""
    kind = next((each for each in MonitorKind if record.has(each.value)), MonitorKind.SIGNAL)
    window = record.get("window", DEFAULT_WINDOWS.get(kind, DEFAULT_ROWS))
    rows = window if isinstance(window, int) else None
    return _made(
        MonitorSpec,
        record,
        name=name,
        kind=kind,
        measure=record.get(kind.value, ""),
        environment=record.get("environment", record.get("infra", "")),
        rows=rows,
        window=window if rows is None else None,
        every=record.get("every", 60.0 if kind is MonitorKind.SIGNAL else 3600.0),
        reference=_monitor_reference(record.get("reference")),
    )


def _monitor_reference(written: str | Record | None) -> ReferenceSpec:
    return ReferenceSpec(file=written) if isinstance(written, str) else _made(ReferenceSpec, written)


def _infra(name: str, record: Record) -> Infra:
    """Returns one infrastructure: the key that says its tool holds its path."""
    kind = next((word for word in (TERRAFORM, CLOUDFORMATION) if record.has(word)), "")
    rules = Rules(**{word: _rule(record.get(word)) for word in ("auto", "ask", "never")})
    given = {"vars": record.get("parameters", {})} if kind == CLOUDFORMATION else {}
    expires = record.get("approval_timeout", 3600.0)
    return _made(Infra, record, name=name, kind=kind, path=record.get(kind, ""), rules=rules, expires=expires, **given)


def _rule(written: Record | tuple[str, ...] | None) -> Rule:
    """Returns what a rule is about; a list of kinds is about all resources."""
    if isinstance(written, Record):
        return {ChangeKind(kind): patterns for kind, patterns in written.values.items()}
    return {ChangeKind(kind): () for kind in written or ()}


def _alert(name: str, record: Record) -> AlertRule:
    """Returns an alert: a band's name stands for its value."""
    above: float | str | None = record.get("above")
    band = above if isinstance(above, str) else ""
    return _made(AlertRule, record, name=name, above=PSI_BANDS[band] if band else above, band=band)


_SINKS = ("apprise", "webhook", "alertmanager", "command", "terminal")


def _sink(name: str, record: Record) -> Sink:
    kind = next((word for word in _SINKS if record.has(word)), "")
    value = record.get(kind)
    where = {"command": "command", "terminal": "rings"}.get(kind, "address")
    given: dict[str, Any] = {"address": "", "rings": "", "command": (), where: value}
    return _made(Sink, record, name=name, kind=kind, **given)


# Named sections that are more than a copy of their keys.
_MAKERS: dict[type, Callable[[str, Record], object]] = {
    Pipeline: _pipeline,
    Gate: _gate,
    Environment: _environment,
    MonitorSpec: _monitor,
    AlertRule: _alert,
    Infra: _infra,
    Sink: _sink,
}
