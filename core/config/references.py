"""Checks that need the whole project: names that refer to each other, cycles, ports, placeholders. They use the
records (for the positions of problems) together with the built project (for the values)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from .. import plugins
from ..domain.graphs import find_cycle, reaches
from ..domain.monitoring import ALERT_VALUES
from ..domain.project import ANY, LEAST_TOKEN, MAX_CELLS, Feedback, Pipeline, Project, StepSpec
from ..errors import UsageError
from . import gates
from .alert_references import check_alert
from .build import BUILTINS
from .checks import access, serving_hosts
from .checks import problems as gate_checks
from .checks.serving_hosts import HOST_KEYS
from .hosts import check_host
from .infra.references import INFRA_TOOLS, check_environment, check_infra, check_step
from .kinds import has_placeholder
from .monitor_references import check_condition, check_monitor
from .reader import Reader, Record
from .sections import join
from .source import YamlNode


def check(record: Record, project: Project, reader: Reader) -> None:
    for name, each in _records(record, "pipelines").items():
        _concurrency(each, project.pipelines[name], reader)
        _pull_requests(each, project, reader)
        _Steps(each, project.pipelines[name], project, reader).check()
    for each in _records(record, "gates").values():
        _gate(each, project, reader)
    _environments(record, project, reader)
    check_infra(_records(record, "infra"), project, reader)
    for each in _records(record, "monitors").values():
        _known(each, "environment", project.environments, "environment", reader)
        _known(each, "gate", project.gates, "gate", reader)
        if isinstance(reference := each.get("reference"), Record):
            _known(reference, "gate", project.gates, "gate", reader)
        check_monitor(each, project, reader)
    for each in _records(record, "alerts").values():
        _known(each, "monitor", project.monitors, "monitor", reader)
        _known(each, "notify", project.notify.sinks, "sink", reader)
        check_alert(each, reader)
        check_condition(each, project, reader)
    _store(record, project, reader)
    git: Record | None = record.get("git")
    written = git.get("host") if git is not None else None
    if isinstance(written, Record) and project.git.host is not None:
        check_host(written, project.git.host, reader)


def _concurrency(record: Record, pipeline: Pipeline, reader: Reader) -> None:
    written: Record | str | None = record.get("concurrency")
    if isinstance(written, Record) and pipeline.concurrency.cancel and pipeline.concurrency.commits == "every":
        reader.problem(
            written.at("cancel"),
            join(written.path, "cancel"),
            "contradicts `commits: every`: no commit is superseded",
            "take one of the two away",
        )


def _pull_requests(record: Record, project: Project, reader: Reader) -> None:
    on: Record | None = record.get("on")
    if on is not None and on.get("pull_request") and project.git.host is None:
        place = join(on.path, "pull_request")
        reader.problem(on.at("pull_request"), place, "needs a Git host to ask", "say which: `git: {host: …}`")


def _records(record: Record, key: str) -> Mapping[str, Record]:
    return record.get(key, {})


def _known(record: Record, key: str, names: Collection[str], what: str, reader: Reader) -> None:
    """Notes each value of a key (one name, or several) that is not among `names`."""
    value: Any = record.get(key)
    several = isinstance(value, tuple)
    for index, name in enumerate(value if several else (value,)):  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
        if isinstance(name, str) and name not in names and not has_placeholder(name):
            place = join(record.path, key)
            node = record.at(key, index)
            hint = reader.suggest(name, names) or f"there is no {what} in this file"
            reader.problem(
                node, join(place, index) if node is not record.at(key) else place, f"unknown {what} `{name}`", hint
            )


def _store(record: Record, project: Project, reader: Reader) -> None:
    uri = project.mlflow.tracking_uri
    mlflow: Record | None = record.get("mlflow")
    node = mlflow.at("tracking_uri") if mlflow else record.node
    if uri.startswith("sqlite:") and "?" in str(project.home) and "?" in uri:
        reader.problem(
            node,
            "mlflow.tracking_uri",
            f"the project's path {project.home} holds a `?`, at which SQLite's address would end",
            "move the project",
        )


def _gate(record: Record, project: Project, reader: Reader) -> None:
    gates.check(record, reader)
    checks: Sequence[Record] = record.get("checks", ())
    for each in checks:
        gate_checks.check(each, project, reader)
        if each.has("replay"):
            _known(each, "replay", project.environments, "environment", reader)
            least, most = each.get("at_least"), each.get("limit")
            if least is not None and most is not None and least > most:
                reader.problem(each.at("at_least"), join(each.path, "at_least"), "is above `limit`: nothing can pass")


def _same(bind: str, other: str) -> bool:
    """Tells whether two environments would listen on one address."""
    if bind == other or {bind, other} & {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return True
    return "localhost" in (bind, other) and bool({bind, other} & {"127.0.0.1", "::1"})


def _environments(record: Record, project: Project, reader: Reader) -> None:
    used: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for name, each in _records(record, "environments").items():
        found = project.environments[name]
        engines = [host.engine for host in found.hosts] or [found.host]
        clash = next(
            (
                other
                for engine in engines
                for other, bind in used.get((engine, found.port), ())
                if _same(bind, found.bind)
            ),
            None,
        )
        if clash is not None and not (each.has("port") and "port" not in each.values):
            default = "" if each.has("port") else " (the default)"
            reader.problem(
                each.at("port"),
                join(each.path, "port"),
                f"port {found.port}{default} is already that of environment `{clash}`",
                "give each its own",
            )
        for engine in engines:
            used.setdefault((engine, found.port), []).append((name, found.bind))
        check_environment(each, project, reader)
        serving_hosts.check(each, project, reader)
        _tokens(each, found.feedback, reader)
        _driver_keys(each, found.driver, found.host or project.docker.host, reader)
        _canary(each, reader)
        access.check(each, found, reader)


def _tokens(record: Record, feedback: Feedback, reader: Reader) -> None:
    """Notes tokens that can be guessed, and two clients with one token. No token is repeated in a message."""
    written: Record | None = record.get("feedback")
    if written is None:
        return
    seen: set[str] = set()
    for name, token in feedback.tokens.items():
        place = join(join(written.path, "tokens"), name)
        if len(token) < LEAST_TOKEN:
            words = f"is shorter than {LEAST_TOKEN} characters: it can be guessed"
            reader.problem(written.at("tokens"), place, words, "make one: openssl rand -hex 32")
        elif token in seen:
            reader.problem(written.at("tokens"), place, "is the token of another client, too", "give each its own")
        seen.add(token)


# Keys that only some drivers act on; which, they say in their capabilities.
_DRIVER_KEYS = (
    "host",
    "constraints",
    "nodes",
    *HOST_KEYS,
    "tls",
    "proxy",
    "proxy_image",
    "cpus",
    "memory",
    "keep_stopped",
)


def _driver_keys(record: Record, driver: str, host: str, reader: Reader) -> None:
    """Notes keys that the driver does not support, and a proxy beside Podium whose replicas are on another machine."""
    written = [key for key in _DRIVER_KEYS if record.has(key)]
    if isinstance(tls := record.get("tls"), Record) and not tls.has("engine"):
        written.remove("tls")  # the certificate that clients see: every driver has a proxy
    if not written or not plugins.installed("drivers", driver):
        return
    can = plugins.driver_capabilities(driver)
    for key in written:
        if can.keys is not None and key not in can.keys:
            words = (
                "serves on this machine only"
                if key in ("host", "hosts") and not can.engine
                else f"does nothing with `{key}`"
            )
            reader.problem(
                record.at(key), join(record.path, key), f"the driver `{driver}` {words}", f"use {_drivers_with(key)}"
            )
    if can.engine and record.get("proxy") == "host" and host.startswith(("ssh:", "tcp:")):
        reader.problem(
            record.at("proxy"),
            join(record.path, "proxy"),
            f"the replicas are on another machine ({host})",
            "use proxy: container",
        )


def _drivers_with(key: str) -> str:
    names = [name for name in plugins.choices("drivers") if plugins.installed("drivers", name)]
    return " or ".join(f"driver: {name}" for name in names if key in (plugins.driver_capabilities(name).keys or ()))


def _canary(record: Record, reader: Reader) -> None:
    strategy = record.get("strategy")
    canary = strategy.get("canary") if isinstance(strategy, Record) else None
    if not isinstance(canary, Record):
        return
    weights = canary.get("weights", ())
    if list(weights) != sorted(set(weights)):
        reader.problem(canary.at("weights"), join(canary.path, "weights"), "do not rise", "for example [5, 25, 50]")
    analysis: Iterable[Record] = canary.get("analysis", ())
    for each in analysis:
        if not any(each.has(key) for key in ("at_most", "at_least", "compare")):
            reader.problem(each.node, each.path, "checks nothing", "add at_least, at_most or compare")


class _Steps:
    """The checks of one pipeline."""

    def __init__(self, record: Record, pipeline: Pipeline, project: Project, reader: Reader) -> None:
        self.record = record
        self.pipeline = pipeline
        self.project = project
        self.reader = reader
        self.records = _records(record, "steps")

    def check(self) -> None:
        on: Record | None = self.record.get("on")
        if on is not None:
            written: Any = on.get("alert")
            own = isinstance(written, Record)
            _known(written if own else on, "names" if own else "alert", self.project.alerts, "alert", self.reader)
        self._templates_of(self.record.get("env", {}), "env", self.record, frozenset())
        for name, record in self.records.items():
            self._step(record, self.pipeline.steps[name])
        needs = {name: step.needs for name, step in self.pipeline.steps.items()}
        loop = find_cycle(needs)
        if loop is not None:
            record = self.records[loop[0]]
            self.reader.problem(
                record.at("needs"),
                join(record.path, "needs"),
                f"the steps need each other in a circle: {_loop(loop)}",
                "take one need out",
            )
        else:
            self._files(needs)

    def _step(self, record: Record, step: StepSpec) -> None:
        _known(record, "needs", self.records, "step", self.reader)
        cells = self._matrix(record, step)
        if record.has("fail_fast") and step.matrix is None:
            path = join(record.path, "fail_fast")
            self.reader.problem(record.at("fail_fast"), path, "only means something beside `matrix`", "take it out")
        self._container(record, step, cells)
        self._when(record, step, cells)
        self._template(step.run, "run", record, cells, quote=True)
        self._templates_of(step.env, "env", record, cells)
        for key, paths in (("inputs", step.inputs), ("outputs", step.outputs)):
            for index, path in enumerate(paths):
                self._template(path, key, record, cells, index=index)
        for key, value in step.options.items():
            self._template(value, key, record, cells)
        self._builtin(record, step)

    def _container(self, record: Record, step: StepSpec, cells: frozenset[str]) -> None:
        can = plugins.executor_capabilities(step.executor)
        for key in ("resources", "runtime_env"):
            if record.has(key) and not can.elsewhere:
                words = f"only means something with `executor: ray`, not with `{step.executor}`"
                self.reader.problem(record.at(key), join(record.path, key), words)
        if ANY in step.gpus and step.container is not None:
            self.reader.problem(
                record.at("gpus"),
                join(record.path, "gpus"),
                "a step in a container is given no free GPU of this machine yet",
                "name them by number, or run the step without `image` and `build`",
            )
        if record.has("image") and record.has("build"):
            self.reader.problem(
                record.at("build"),
                join(record.path, "build"),
                "a step has either `image` or `build`",
                "take one of them out",
            )
        if record.has("network") and step.container is None:
            self.reader.problem(
                record.at("network"), join(record.path, "network"), "only means something beside `image` or `build`"
            )
        if step.container is not None:
            if record.has("executor") and not plugins.executor_capabilities(step.executor).image:
                self.reader.problem(
                    record.at("executor"),
                    join(record.path, "executor"),
                    f"the executor `{step.executor}` runs no step with `image` or `build`",
                    "leave `executor` out, or take the image away",
                )
            self._template(step.container.image, "image", record, cells)
            self._template(step.container.build, "build", record, cells)
        elif record.has("executor") and plugins.executor_capabilities(step.executor).needs_image:
            self.reader.problem(
                record.at("executor"), join(record.path, "executor"), "has no image", "add image: or build:"
            )

    def _builtin(self, record: Record, step: StepSpec) -> None:
        if step.uses == "gate":
            _known(record, "gate", self.project.gates, "gate", self.reader)
        if step.uses == "data-check":
            gate_checks.data_keys(record, "checks", self.reader)
        if step.uses in BUILTINS:
            _known(record, "environment", self.project.environments, "environment", self.reader)
        if step.uses in ("deploy", "promote"):
            self._delivered(record, step)
        if step.uses in INFRA_TOOLS:
            check_step(record, step.uses, self.project, self.reader)
        metric = step.options.get("metric")
        if step.uses == "register" and metric and not record.has("goal") and "goal" not in step.options:
            hint = "add goal: maximize or goal: minimize"
            self.reader.problem(
                record.at("metric"),
                join(record.path, "metric"),
                f"it is not known whether more `{metric}` is better",
                hint,
            )

    def _delivered(self, record: Record, step: StepSpec) -> None:
        """Notes a delivery of what the steps before it registered to an environment of another model."""
        environment = self.project.environments.get(str(step.options.get("environment")))
        if environment is None or record.has("version"):
            return
        needs = {name: each.needs for name, each in self.pipeline.steps.items()}
        made = [
            str(each.options.get("model") or self.project.mlflow.model)
            for name, each in self.pipeline.steps.items()
            if each.uses == "register" and reaches(needs, step.name, name)
        ]
        model = self.project.model_of(environment.name)
        if made and not any(name == model or has_placeholder(name) for name in made):
            self.reader.problem(
                record.at("environment"),
                join(record.path, "environment"),
                f"`{environment.name}` serves the model `{model}`, and the steps before register `{made[0]}`",
                f"add `model: {made[0]}` to the environment that is meant",
            )

    def _matrix(self, record: Record, step: StepSpec) -> frozenset[str]:
        """Returns the names that every cell has. Notes a matrix that makes no step, too many, or the same one twice."""
        from .expressions import text_of

        if step.matrix is None:
            return frozenset()
        written: Record = record.get("matrix")
        axes = step.matrix.axes
        for name, values in axes.items():
            path = join(written.path, name)
            if not name.isidentifier() or not name.isascii():
                self.reader.problem(
                    written.at(name),
                    path,
                    f"`{name}` cannot be the name of a parameter",
                    "letters, digits and `_`, not a digit first",
                )
            twice = _double(map(text_of, values))
            if twice is not None:
                self.reader.problem(written.at(name), path, f"holds `{twice}` twice")
        count = step.matrix.size
        if count > MAX_CELLS or (count == 0 and not written.nodes):
            message = "has no values" if count == 0 else f"makes {count:,} steps; at most {MAX_CELLS:,} are run"
            self.reader.problem(written.node, written.path, message)
        for index, excluded in enumerate(step.matrix.exclude):
            for name in excluded:
                if name not in axes:
                    self.reader.problem(
                        written.at("exclude", index),
                        f"{written.path}.exclude[{index}].{name}",
                        "is not in the matrix",
                        self.reader.suggest(name, axes),
                    )
        kinds = [frozenset(axes)] if axes else []
        kinds += [frozenset(cell) for cell in step.matrix.include]
        return kinds[0].intersection(*kinds) if kinds else frozenset()

    def _when(self, record: Record, step: StepSpec, cells: frozenset[str]) -> None:
        from .expressions import when_names

        path = join(record.path, "when")
        try:
            names = when_names(step.when)
        except UsageError as error:
            self.reader.problem(record.at("when"), path, error.message, error.hint)
            return
        known = [
            *(f"params.{name}" for name in self.pipeline.params),
            *(f"matrix.{name}" for name in cells),
            "trigger",
            "branch",
        ]
        known += [f"needs.{name}.state" for name in step.needs]
        for name in names:
            if name not in known:
                self.reader.problem(
                    record.at("when"), path, f"unknown value `{name}`", self.reader.suggest(name, known)
                )

    def _templates_of(self, values: Mapping[str, str], key: str, record: Record, cells: frozenset[str]) -> None:
        for name, value in values.items():
            node = record.at(key).get(name) or record.at(key)
            self._names(value, join(join(record.path, key), name), node, cells, quote=False)

    def _template(
        self,
        value: Any,
        key: str,
        record: Record,
        cells: frozenset[str],
        *,
        quote: bool = False,
        index: int | None = None,
    ) -> None:
        if isinstance(value, str):
            path = join(record.path, key)
            self._names(value, path if index is None else join(path, index), record.at(key, index), cells, quote=quote)

    def _names(self, text: str, path: str, node: YamlNode, cells: frozenset[str], *, quote: bool) -> None:
        if not has_placeholder(text):
            return
        from .expressions import check_template

        try:
            found = check_template(text, command=quote)
        except UsageError as error:
            self.reader.problem(node, path, error.message, error.hint)
            return
        known = [*(f"params.{name}" for name in self.pipeline.params), *(f"matrix.{name}" for name in sorted(cells))]
        if self.pipeline.on.alert.names:
            known += [f"alert.{name}" for name in ALERT_VALUES]
        for each in dict.fromkeys(map(str, found)):
            if each not in known:
                hint = self.reader.suggest(each, known) or "this pipeline has no params, and this step no matrix"
                self.reader.problem(node, path, f"unknown value `${{{{ {each} }}}}`", hint)

    def _files(self, needs: Mapping[str, Sequence[str]]) -> None:
        """Notes races: two steps that write the same files, and a step that reads another's output without waiting
        for it."""
        written = _Paths()
        for name, step in self.pipeline.steps.items():
            record = self.records[name]
            for path in _fixed(step.outputs):
                other = next((each for each in written.overlapping(path) if each != name), None)
                if other is not None:
                    message = f"`{path}` is also written by step `{other}`"
                    self.reader.problem(
                        record.at("outputs"),
                        join(record.path, "outputs"),
                        message,
                        "a file has one step that writes it",
                    )
                written.add(path, name)
            self._shared_by_cells(name, step)
        for name, step in self.pipeline.steps.items():
            record = self.records[name]
            for path in _fixed(step.inputs):
                for other in written.overlapping(path):
                    if other != name and not reaches(needs, name, other) and not reaches(needs, other, name):
                        message = f"`{path}` is written by step `{other}`, which this step does not wait for"
                        self.reader.problem(
                            record.at("inputs"), join(record.path, "inputs"), message, f"add {other} to its needs"
                        )

    def _shared_by_cells(self, name: str, step: StepSpec) -> None:
        if step.matrix is None:
            return
        varying = [axis for axis, values in step.matrix.axes.items() if len(values) > 1]
        for index, path in enumerate(step.outputs):
            compact = path.replace(" ", "")
            left_out = [axis for axis in varying if "${{matrix." + axis + "}}" not in compact]
            if left_out and not (step.matrix.exclude or step.matrix.include):
                record = self.records[name]
                hint = f"put ${{{{ matrix.{left_out[0]} }}}} into the path"
                where = join(join(record.path, "outputs"), index)
                self.reader.problem(
                    record.at("outputs", index), where, f"`{path}` is written by several cells of the matrix", hint
                )


def _loop(names: Sequence[str]) -> str:
    shown = names if len(names) <= 20 else [*names[:10], f"… {len(names) - 20} more …", *names[-10:]]
    return " → ".join(shown)


def _fixed(paths: Iterable[str]) -> list[str]:
    return [path.removeprefix("./").rstrip("/") for path in paths if not has_placeholder(path)]


def _double(texts: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for text in texts:
        if text in seen:
            return text
        seen.add(text)
    return None


class _Paths:
    """Finds the writer of a path by overlap: a path overlaps itself, everything inside it, and its parent
    directories."""

    def __init__(self) -> None:
        self.exact: dict[str, list[str]] = {}
        self.inside: dict[str, list[str]] = {}

    def add(self, path: str, name: str) -> None:
        self.exact.setdefault(path, []).append(name)
        for directory in _directories(path):
            self.inside.setdefault(directory, []).append(name)

    def overlapping(self, path: str) -> list[str]:
        found = [*self.exact.get(path, ()), *self.inside.get(path, ())]
        for directory in _directories(path):
            found += self.exact.get(directory, ())
        return list(dict.fromkeys(found))


def _directories(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
