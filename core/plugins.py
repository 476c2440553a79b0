"""The one table of everything that is found by name: executors, drivers, built-in steps, gate checks, Git hosts,
infrastructure tools, notifiers and metrics, ours and those of other packages (entry points `podium.<kind>`).

Three grains, from cheap to dear: `names` imports nothing, `load` imports one and says what is missing and how to
install it, `load_all` imports all and collects a warning for each that does not load. Ours are found without looking
at installed packages, which takes milliseconds, and have precedence over entry points of the same name.

This is the only place where a text may name a room above the one that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

from .domain.capabilities import DriverCapabilities, ExecutorCapabilities, StepCapabilities
from .domain.frozen import Frozen
from .errors import MissingExtra, NotFound, PodiumError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

PluginKind = Literal["executors", "drivers", "steps", "planners", "checks", "hosts", "infra", "notifiers", "metrics"]
Capabilities = DriverCapabilities | ExecutorCapabilities | StepCapabilities
_DELIVERS: Final = StepCapabilities(delivers=True)
_INFRA: Final = StepCapabilities(delivers=True, asks="podium.core.infra.steps:why_asked")


class Plugin(Frozen):
    """`target` is `module:attribute`; empty for a name that podium.yaml knows and that only another package brings
    today."""

    target: str = ""
    capabilities: Capabilities | None = None


class _About(Frozen):
    """What errors call one of the kind, what they are when there is none of a name, and whether other packages may
    add to it."""

    word: str
    unknown: type[PodiumError] = MissingExtra
    open: bool = True


KINDS: Mapping[PluginKind, _About] = {
    "executors": _About("executor"),
    "drivers": _About("driver", UsageError),
    "steps": _About("built-in step"),
    # By the verb of a change: what makes its plan. The plan names the step that carries it out.
    "planners": _About("change", NotFound),
    # What a check may say in podium.yaml is in config/keys/, by its key: no other package can add to that.
    "checks": _About("gate check", open=False),
    "hosts": _About("Git host"),
    "infra": _About("infrastructure tool"),
    # As with checks, what a sink may say is in config/keys/, by its key.
    "notifiers": _About("notifier", open=False),
    "metrics": _About("metric"),
}

TABLE: dict[PluginKind, dict[str, Plugin]] = {
    "executors": {
        "process": Plugin("podium.core.engine.executors.process:ProcessExecutor", ExecutorCapabilities(local=True)),
        "docker": Plugin(
            "podium.core.engine.executors.container.executor:DockerExecutor",
            ExecutorCapabilities(image=True, needs_image=True, survives_worker=True),
        ),
        "ray": Plugin(
            "podium.core.engine.executors.ray.executor:RayExecutor",
            ExecutorCapabilities(elsewhere=True, survives_worker=True),
        ),
    },
    "drivers": {
        "process": Plugin(
            "podium.core.delivery.drivers.process:ProcessDriver", DriverCapabilities(keys=("cpus", "memory"))
        ),
        "docker": Plugin(
            "podium.core.delivery.drivers.containers:docker",
            DriverCapabilities(
                engine=True,
                keys=(
                    *("host", "tls", "proxy", "proxy_image", "cpus", "memory", "keep_stopped"),
                    *("hosts", "trusted_network", "peer_port", "replace", "lease", "stale"),
                ),
                local_proxy=False,
            ),
        ),
        "swarm": Plugin(
            "podium.core.delivery.drivers.swarm.driver:SwarmDriver",
            DriverCapabilities(
                engine=True,
                services=True,
                keys=("host", "tls", "proxy_image", "cpus", "memory", "keep_stopped", "constraints", "nodes"),
                local_proxy=False,
            ),
        ),
    },
    "steps": {
        "register": Plugin("podium.core.serving.registering:register"),
        "gate": Plugin("podium.core.quality.gate_step:gate"),
        "data-check": Plugin("podium.core.quality.data_checks.step:data_check"),
        "labels": Plugin("podium.core.labels.steps:labels"),
        "dataset": Plugin("podium.core.labels.steps:dataset"),
        "score": Plugin("podium.core.scoring.step:score", StepCapabilities(parallel=True)),
        "image": Plugin("podium.core.serving.image.image_step:image"),
        "sign": Plugin("podium.core.evidence.release:sign_step"),
        "deploy": Plugin("podium.core.delivery.rollout.change_steps:deploy", _DELIVERS),
        "promote": Plugin("podium.core.delivery.rollout.change_steps:promote", _DELIVERS),
        "rollback": Plugin("podium.core.delivery.rollout.change_steps:rollback", _DELIVERS),
        "stop": Plugin("podium.core.delivery.rollout.stop:stop", _DELIVERS),
        "start": Plugin("podium.core.delivery.rollout.change_steps:start", _DELIVERS),
        "repair": Plugin("podium.core.delivery.repair.plan:repair", _DELIVERS),
        "replay": Plugin("podium.core.delivery.replay.replay_step:replay"),
        "prune": Plugin("podium.core.retention.prune:prune_step"),
        "rebuild": Plugin("podium.core.hosting.rebuild:rebuild"),
        "terraform": Plugin("podium.core.infra.steps:terraform", _INFRA),
        "cloudformation": Plugin("podium.core.infra.steps:cloudformation", _INFRA),
        "infra-plan": Plugin("podium.core.infra.steps:plan_step"),
        "infra-apply": Plugin("podium.core.infra.steps:apply_step", _DELIVERS),
        "infra-drift": Plugin("podium.core.infra.steps:drift_step"),
    },
    "planners": {
        "deploy": Plugin("podium.core.delivery.rollout.plans:plan_deploy"),
        "promote": Plugin("podium.core.delivery.rollout.plans:plan_promote"),
        "rollback": Plugin("podium.core.delivery.rollout.plans:plan_rollback"),
        "stop": Plugin("podium.core.delivery.rollout.stop:plan_stop"),
        "start": Plugin("podium.core.delivery.rollout.plans:plan_start"),
        "pause": Plugin("podium.core.delivery.rollout.canary_plans:plan_pause"),
        "resume": Plugin("podium.core.delivery.rollout.canary_plans:plan_resume"),
        "resume_run": Plugin("podium.core.run_plans:plan_resume"),
        "approve": Plugin("podium.core.run_plans:plan_approve"),
        "full": Plugin("podium.core.delivery.rollout.canary_plans:plan_full"),
        "abort": Plugin("podium.core.delivery.rollout.canary_plans:plan_abort"),
        "repair": Plugin("podium.core.delivery.repair.plan:plan"),
        "restart": Plugin("podium.core.delivery.repair.plan:plan_restart"),
        "prune": Plugin("podium.core.retention.prune:plan_prune"),
        "rebuild": Plugin("podium.core.hosting.rebuild:plan_rebuild"),
        "shell": Plugin("podium.core.delivery.environment.replica_shell:plan_shell"),
        "infra-apply": Plugin("podium.core.infra.plans:plan_apply"),
        "infra-approve": Plugin("podium.core.infra.plans:plan_approve"),
    },
    "checks": {
        "replay": Plugin("podium.core.delivery.replay.replay_step:gate_check"),
        "load": Plugin("podium.core.delivery.load.load_step:gate_check"),
        "run": Plugin("podium.core.quality.outside.command:gate_check"),
        "logged": Plugin("podium.core.quality.outside.logged:gate_check"),
    },
    "hosts": {
        "github": Plugin("podium.core.scm.hosts.github.host:GitHubHost"),
        "gitlab": Plugin("podium.core.scm.hosts.gitlab.host:GitLabHost"),
        "gitea": Plugin("podium.core.scm.hosts.gitea.host:GiteaHost"),
        "git": Plugin("podium.core.scm.hosts.plain:PlainHost"),
    },
    "infra": {
        "terraform": Plugin("podium.core.infra.terraform.tool:Terraform"),
        "cloudformation": Plugin("podium.core.infra.cloudformation.tool:CloudFormation"),
    },
    "notifiers": {
        "apprise": Plugin("podium.core.alerts.sinks.apprise:send"),
        "webhook": Plugin("podium.core.alerts.sinks.webhook:send"),
        "alertmanager": Plugin("podium.core.alerts.sinks.alertmanager:send"),
        "command": Plugin("podium.core.alerts.sinks.command:send"),
    },
    "metrics": {},
}  # fmt: skip


class EntryPoints:
    """What the entry points of other packages were resolved to: looking for them takes milliseconds, and screens ask
    often."""

    def __init__(self) -> None:
        self._found: dict[tuple[PluginKind, str], Any] = {}

    def load(self, kind: PluginKind, name: str) -> Any:
        """Imports what another package's entry point names. Raises as `load` of the module does."""
        if (kind, name) not in self._found:
            point = next((each for each in _entry_points(kind) if each.name == name), None)
            if point is None:
                about = KINDS[kind]
                hint = f"use one of: {', '.join(names(kind)) or 'none yet'}; or install the package that brings it"
                raise about.unknown(f"there is no {about.word} {name!r}", hint=hint)
            package = point.dist.name if point.dist is not None else ""
            self._found[kind, name] = _imported(kind, name, point.value, package=package)
        return self._found[kind, name]


_others: Final = EntryPoints()


def names(kind: PluginKind) -> tuple[str, ...]:
    """Returns the names that something installed brings, ours first. Imports no plug-in, but looks at the installed
    packages."""
    ours = [name for name, plugin in TABLE[kind].items() if plugin.target]
    return tuple(dict.fromkeys([*ours, *added(kind)]))


def choices(kind: PluginKind) -> tuple[str, ...]:
    """Returns the names that podium.yaml knows of itself, without a look at the installed packages. Some may be
    brought by nothing yet: `installed` tells."""
    return tuple(TABLE[kind])


def added(kind: PluginKind) -> tuple[str, ...]:
    """Returns the names that other packages add by entry points."""
    return tuple(dict.fromkeys(point.name for point in _entry_points(kind)))


def known(kind: PluginKind, name: str) -> bool:
    """Whether podium.yaml may have the name; looks at the installed packages only for one that is not ours."""
    return name in TABLE[kind] or name in added(kind)


def installed(kind: PluginKind, name: str) -> bool:
    """Whether something installed brings it."""
    ours = TABLE[kind].get(name)
    return bool(ours and ours.target) or name in added(kind)


def load(kind: PluginKind, name: str) -> Any:
    """Imports one plug-in and returns what its target names. Raises MissingExtra with what is missing and how to
    install it (UsageError for a driver that does not exist)."""
    ours = TABLE[kind].get(name)
    if ours is not None and ours.target:
        return _imported(kind, name, ours.target, package="")
    return _others.load(kind, name)


def load_all(kind: PluginKind) -> tuple[dict[str, Any], list[PodiumError]]:
    """Imports all that something installed brings; returns them by name, and a warning for each that does not load."""
    found: dict[str, Any] = {}
    warnings: list[PodiumError] = []
    for name in names(kind):
        try:
            found[name] = load(kind, name)
        except PodiumError as error:
            warnings.append(error)
    return found, warnings


def driver_capabilities(name: str) -> DriverCapabilities:
    """Returns what the driver can; that of a plain one where nothing brings it, or it cannot be loaded."""
    found = _capabilities("drivers", name)
    return found if isinstance(found, DriverCapabilities) else DriverCapabilities()


def executor_capabilities(name: str) -> ExecutorCapabilities:
    """Returns what the executor can; that of a plain one where nothing brings it, or it cannot be loaded."""
    found = _capabilities("executors", name)
    return found if isinstance(found, ExecutorCapabilities) else ExecutorCapabilities()


def step_capabilities(name: str) -> StepCapabilities:
    """Returns what the built-in step can; that of a plain one where nothing brings it, or it cannot be loaded."""
    found = _capabilities("steps", name)
    return found if isinstance(found, StepCapabilities) else StepCapabilities()


def asker(step: str) -> Callable[[Any], str] | None:
    """Returns what says why a person has to approve a built-in step (`StepCapabilities.asks`); None where nothing is
    ever asked. Raises MissingExtra where it cannot be loaded."""
    place = step_capabilities(step).asks
    return _imported("steps", step, place, package="") if place else None


def register(kind: PluginKind, name: str, target: str, capabilities: Capabilities | None = None) -> Callable[[], None]:
    """Adds a plug-in for this process alone, as a test or a notebook may; returns what takes it out again."""
    before = TABLE[kind].get(name)
    TABLE[kind][name] = Plugin(target, capabilities)

    def remove() -> None:
        TABLE[kind].pop(name, None)
        if before is not None:
            TABLE[kind][name] = before

    return remove


def _capabilities(kind: PluginKind, name: str) -> object:
    ours = TABLE[kind].get(name)
    if ours is not None and ours.capabilities is not None:
        return ours.capabilities
    try:
        return getattr(load(kind, name), "capabilities", None)
    except PodiumError:
        return None


def _entry_points(kind: PluginKind) -> list[EntryPoint]:
    if not KINDS[kind].open:
        return []
    from importlib.metadata import entry_points

    return list(entry_points(group=f"podium.{kind}"))


def _imported(kind: PluginKind, name: str, target: str, *, package: str) -> Any:
    word = KINDS[kind].word
    module_name, _, attribute = target.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:  # another package's module may raise anything
        raise _broken(word, name, package, error) from error
    if not hasattr(module, attribute):
        hint = f"install another version of {package or name}, or correct its entry point"
        raise MissingExtra(f"the {word} {name!r} cannot be loaded: there is no {target}", hint=hint)
    return getattr(module, attribute)


def _broken(word: str, name: str, package: str, error: Exception) -> MissingExtra:
    what = f"the {word} {name!r}{f' of the package {package}' if package else ''} cannot be loaded"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return MissingExtra(f"{what}: it needs {error.name}", hint=f"pip install {error.name.partition('.')[0]}")
    hint = f"install another version of {package}" if package else "install what it needs into Podium's environment"
    return MissingExtra(f"{what}: {type(error).__name__}: {error}", hint=hint)
