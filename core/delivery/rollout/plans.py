"""Plans a change before it is made: read from the journal, without asking the registry or starting anything."""

from __future__ import annotations

import shlex
from dataclasses import replace

from ... import plugins
from ...domain.delivery import How
from ...domain.models import CHALLENGER, CHAMPION, PREVIOUS, Version
from ...domain.plans import Change, Plan, VersionChange
from ...domain.project import Environment, Project
from ...domain.verdicts import Verdict, worst
from ...errors import NotFound, UsageError
from ...journal import Journal
from ..environment import front, history, settings
from ..environment.ending import runs
from ..environment.history import EnvironmentHistory
from ..environment.leases import leased
from ..environment.lock import lock_name
from ..environment.registry_view import RegistryView
from ..environment.runtime import EnvironmentRuntime
from ..replay.report import KEY_PREFIX as REPLAY_PREFIX
from . import canary, plan_verdicts

_START_SECONDS = 5.0
_WARM_SECONDS = 0.5
_ACTIONS = {How.PROMOTE: "Promote", How.ROLLBACK: "Roll back", How.DEPLOY: "Deploy", How.START: "Start"}


def plan(
    project: Project,
    journal: Journal,
    how: How,
    environment: str,
    version: int | None,
    *,
    force: bool = False,
    holding: bool = False,
) -> Plan:
    """Returns the plan for `version`, or for the default if it is None: the challenger, or for a rollback the last
    good one.

    `force` tells whether a person wants to override; it changes only the equivalent command. `holding` says that the
    caller has the environment's lock itself. Raises NotFound for an unknown environment or version and for a
    rollback that has nothing to go back to.
    """
    config = project.environment(environment)
    runtime = EnvironmentRuntime(project, journal, config)
    model = runtime.model
    past = EnvironmentHistory.load(journal, model, environment)
    registry = RegistryView.load(journal, model)
    number = version if version is not None else _meant(journal, model, how, past, registry)
    candidate = _candidate(runtime, registry, number, how)
    refusal, overridable = _refusal(runtime, how, number, candidate, past)
    if not holding and (busy := locked(journal, environment)):
        refusal, overridable = busy, False
    return Plan(
        target=environment,
        verb=how.value,
        title=_title(how, environment, model, number),
        action=_ACTIONS[how],
        changes=tuple(_changes(runtime, how, number, past, registry)),
        steps=tuple(_steps(runtime, how, number, past)),
        command=_command(how, environment, number, force=force),
        warnings=(
            *_warnings(project, how, config, number, past, registry),
            *_unwatched(runtime, how, number, past.answering),
            *plan_verdicts.warnings(project, journal, model, how, number, past.serving),
        ),
        refusal=refusal,
        overridable=overridable,
        type_to_confirm=environment if config.protected else "",
        guarded=True,
        expected_seconds=_expected(runtime, how, number, past),
        versions=VersionChange(model, number, past.answering, candidate, _baseline(registry, past.serving)),
        arguments={"version": str(number), "environment": environment},
        rests_on=rests_on(journal, model, how, environment, number),
    )


def _baseline(registry: RegistryView, serving: int | None) -> Version | None:
    """Returns what the registry says of the version that serves; the champion's where nothing does."""
    return registry.version(serving) if serving is not None else registry.carrier(CHAMPION)


def _candidate(runtime: EnvironmentRuntime, registry: RegistryView, number: int, how: How) -> Version | None:
    """Returns the version as the registry has it; None for one that is gone there and is still kept here. Raises
    NotFound for any other that is gone."""
    found = registry.version(number)
    if found is None and not _kept(runtime, number, how):
        model = runtime.model
        raise NotFound(f"model {model} has no version {number}", hint="`podium versions` lists those there are")
    return found


# The planners of the table in core/plugins.py.


def plan_deploy(
    project: Project, journal: Journal, target: str, *, version: int | None = None, force: bool = False
) -> Plan:
    return plan(project, journal, How.DEPLOY, target, version, force=force)


def plan_promote(
    project: Project, journal: Journal, target: str, *, version: int | None = None, force: bool = False
) -> Plan:
    return plan(project, journal, How.PROMOTE, target, version, force=force)


def plan_rollback(
    project: Project, journal: Journal, target: str, *, version: int | None = None, force: bool = False
) -> Plan:
    return plan(project, journal, How.ROLLBACK, target, version, force=force)


def plan_start(project: Project, journal: Journal, target: str, *, force: bool = False) -> Plan:
    runtime = EnvironmentRuntime(project, journal, project.environment(target))
    found = plan(project, journal, How.START, target, None, force=force)
    stopped = history.stopped(journal, target) is not None or not runs(runtime)
    return found if stopped else replace(found, nothing_to_do=f"{target} is not stopped")


def _title(how: How, environment: str, model: str, number: int) -> str:
    what = {How.ROLLBACK: f"{environment} to v{number}", How.START: f"{environment} with {model} v{number}"}
    return f"{_ACTIONS[how]} {what.get(how, f'{model} v{number} to {environment}')}"


def locked(journal: Journal, environment: str) -> str:
    """Returns why a change is refused while another one is running; empty if none is."""
    holder = journal.locks.holder(lock_name(environment))
    if holder is None or not holder.alive:
        return ""
    return f"{environment} is being changed by {holder}{_way_out(journal, environment)}"


def _way_out(journal: Journal, environment: str) -> str:
    """Returns what a person can do at once if a canary is in the way."""
    under_way = canary.status(journal, environment)
    if under_way is None:
        return ""
    return (
        f"; a canary of version {under_way.version} has {under_way.share} % of the traffic: `podium abort -e"
        f" {environment}` sends it back"
    )


def rests_on(journal: Journal, model: str, how: How, environment: str, version: int) -> dict[str, str]:
    """Returns what a plan was made from. It is read again under the lock; a difference means that another change
    came first."""
    found = ledger_state(journal, environment)
    # Not in `ledger_state`: a stop that is resumed would find its own and refuse itself.
    stopped = history.stopped(journal, environment)
    found["state"] = stopped.words if stopped is not None else "running"
    if how is not How.ROLLBACK:
        known = journal.versions.get(model, version)
        found["quarantined"] = (
            "yes" if journal.quarantine.find(model, version, known.commit if known else None) else "no"
        )
    if how is How.PROMOTE:
        found["gate"] = str(verdict(journal, model, version) or "none")
    return found


def ledger_state(journal: Journal, environment: str) -> dict[str, str]:
    """Returns what any plan about what serves was made from."""
    current = journal.ledger.current(environment)
    return {
        "serving": str(current.to_version) if current else "none",
        "deployment": str(current.id) if current else "none",
    }


def verdict(journal: Journal, model: str, version: int) -> Verdict | None:
    """Returns the worst of the latest reports of every gate about this version; the registry's tag if the journal
    has none; else None.

    A manual replay informs and does not count: as a check of a gate it is part of that gate's report.
    """
    latest: dict[str, Verdict] = {}
    for report in journal.gates.of(model, version):
        if not report.gate.startswith(REPLAY_PREFIX):
            latest.setdefault(report.gate, report.verdict)
    if latest:
        return worst(latest.values())
    known = journal.versions.get(model, version)
    return known.verdict if known else None


def meant_version(project: Project, journal: Journal, how: How, environment: str) -> int:
    """Returns the version to use if none is named. Raises NotFound if there is none."""
    model = history.model_of(project, journal, environment)
    past = EnvironmentHistory.load(journal, model, environment)
    return _meant(journal, model, how, past, RegistryView.load(journal, model))


def _meant(journal: Journal, model: str, how: How, past: EnvironmentHistory, registry: RegistryView) -> int:
    if how is How.ROLLBACK:
        back = past.good_before()
        if back is None:
            raise _no_way_back(journal, model, past)
        return back
    if how is How.START:
        if past.serving is None:
            raise NotFound(f"nothing was deployed to {past.environment} yet", hint="deploy a version: podium deploy")
        return past.serving
    names = (CHALLENGER,) if how is How.PROMOTE else (CHALLENGER, CHAMPION)
    for name in names:
        if name in registry.aliases:
            return registry.aliases[name]
    raise NotFound(
        f"no version is {' or '.join(names)}", hint="name a version: `podium versions` lists those there are"
    )


def _no_way_back(journal: Journal, model: str, past: EnvironmentHistory) -> NotFound:
    """Returns the error of a rollback that names no version where there is no good one."""
    where = shlex.quote(past.environment)
    why = f": {history.why_no_way_back(journal, model, past)}" if past.earlier else ""
    hint = f"`podium history -e {where}` shows what it served"
    if past.earlier:
        hint = f'`podium rollback {past.earlier[0]} -e {where} --force --why "…"` brings it back all the same'
    return NotFound(f"{past.environment} has no earlier good version to go back to{why}", hint=hint)


def _kept(runtime: EnvironmentRuntime, version: int, how: How) -> bool:
    """Tells whether a version that the registry does not have (any more) can still be rolled back to or started,
    because its files or its replicas are here."""
    served = how in (How.ROLLBACK, How.START)
    return served and (bool(runtime.running(version)) or runtime.files.digest(version) is not None)


def _other_model(runtime: EnvironmentRuntime, how: How) -> str:
    """Returns why podium.yaml's model is not brought to where replicas of another one are; empty if they are not."""
    wanted, name = runtime.project.model_of(runtime.name), runtime.name
    if how not in (How.DEPLOY, How.PROMOTE) or runtime.model == wanted:
        return ""
    return (
        f"{name} has replicas of the model {runtime.model}, and podium.yaml names {wanted} for it: stop it first"
        f" (podium stop -e {shlex.quote(name)}), or give {wanted} an environment of another name and port"
    )


def _impossible(
    runtime: EnvironmentRuntime, how: How, number: int, candidate: Version | None, past: EnvironmentHistory
) -> str:
    """Returns why not, whatever a person's reason; empty if nothing is in the way."""
    project, config = runtime.project, runtime.environment
    if other := _other_model(runtime, how):
        return other
    if candidate is not None and candidate.status != "READY":
        return f"version {number} is {candidate.status} in the registry, not READY"
    if how is not How.ROLLBACK and (unusable := front.wrong(project, config)):
        return f"environments.{config.name}.{unusable[0][0]}: {unusable[0][1]}"
    if how is How.PROMOTE and not history.carries(project, config.name):
        return f"{config.name} does not carry the alias {CHAMPION}: deploy to it instead"
    if how is How.ROLLBACK and number == past.serving:
        return f"version {number} already serves {config.name}"
    if how is not How.ROLLBACK and leased(config) and not runtime.journal.agent.status().alive:
        return (
            f"{config.name} has several hosts, and no agent watches this project: after {config.lease:g} s their"
            " proxies would answer nobody. Start it (podium watch), or say stale: serve"
        )
    if how is How.START and number != past.serving:
        return f"version {number} is not what {config.name} served last"
    if config.verified and not (how is How.ROLLBACK and not runtime.missing(number)):
        return _unsigned(runtime, number)
    return ""


def _unsigned(runtime: EnvironmentRuntime, number: int) -> str:
    """Returns why signatures do not allow that a version is served; empty if they do. Statements that are only on the
    MLflow run are asked for later, with the version's files, unless those that are here do not allow it."""
    from ...signatures import kept, required

    known = runtime.version(number)
    if not any(kept.read(runtime.project.state, runtime.model, number)) and known.mlflow_run:
        return ""
    why = required.why_not(runtime.project, runtime.model, number)
    if why and known.mlflow_run and not kept.bring(runtime.project, known):
        why = required.why_not(runtime.project, runtime.model, number)
    return f"{why}: podium evidence sign v{number}" if why else ""


def _refusal(
    runtime: EnvironmentRuntime, how: How, number: int, candidate: Version | None, past: EnvironmentHistory
) -> tuple[str, bool]:
    """Returns (why not, whether a person's reason overrides it); ("", False) if the change is allowed."""
    journal, config = runtime.journal, runtime.environment
    if why := _impossible(runtime, how, number, candidate, past):
        return why, False
    served = (how is How.ROLLBACK and number in past.earlier) or how is How.START
    entry = journal.quarantine.find(
        runtime.model, number, candidate.commit if candidate is not None and not served else None
    )
    if entry is not None:
        return f"version {number} is quarantined{f': {entry.why}' if entry.why else ''} (by {entry.who})", True
    if how is How.ROLLBACK and not served:
        return (
            f"version {number} has never served {config.name}: there is nothing to go back to; promote it instead",
            True,
        )
    if how is How.PROMOTE:
        found = verdict(journal, runtime.model, number)
        if found is not Verdict.PASS:
            return (
                f"version {number} has not passed a gate"
                + (f": the last verdict is {found}" if found else ": none has looked at it"),
                True,
            )
    return "", False


def _changes(
    runtime: EnvironmentRuntime, how: How, number: int, past: EnvironmentHistory, registry: RegistryView
) -> list[Change]:
    project, config = runtime.project, runtime.environment
    environment, serving, aliases = past.environment, past.serving, registry.aliases
    before = past.answering
    changes = [Change(f"traffic of {environment}", _name(before), _name(number))] if before != number else []
    if how.moves_aliases and history.carries(project, environment):
        after: dict[str, int | None] = {CHAMPION: number}
        if how is How.ROLLBACK:
            after[PREVIOUS] = past.good_before(leaving=(number,)) if serving is not None else None
        elif serving not in (None, number):
            after[PREVIOUS] = serving
        if aliases.get(CHALLENGER) == number:
            after[CHALLENGER] = None
        changes += [
            Change(f"alias {alias}", _name(aliases.get(alias)), _name(to))
            for alias, to in after.items()
            if aliases.get(alias) != to
        ]
    if how is How.ROLLBACK and serving is not None:
        changes.append(Change(f"version {serving}", "may be deployed", "quarantined, with its commit"))
    if plugins.driver_capabilities(config.driver).engine and before != number:
        changes.append(Change("image", *(_image(runtime, version) for version in (before, number))))
    return changes


def _image(runtime: EnvironmentRuntime, version: int | None) -> str:
    """Returns the image of a version on the environment's engine, as the journal knows it: its digest in a registry,
    else its id."""
    from ...containers.engine.address import of_environment

    if version is None:
        return ""
    address = of_environment(runtime.project, runtime.environment)
    known = runtime.journal.images.get(runtime.model, version, str(address))
    if known is None:
        return "to be brought there, or built"
    where, algorithm, digest = known.reference.rpartition("sha256:")
    return f"{where}{algorithm}{digest[:12]}"


def _steps(runtime: EnvironmentRuntime, how: How, number: int, past: EnvironmentHistory) -> list[str]:
    serving = past.answering
    missing = len(runtime.missing(number))
    config = runtime.environment
    steps: list[str] = []
    if missing:
        steps += [] if runtime.files.digest(number) else ["fetch the model's files"]
        before, why = _before(runtime, number)
        steps += [f"bring the version's image to the engine: {why}"] if before else []
        beside = "" if past.stopped else " beside what serves"
        steps.append(f"start {missing} replica{'s' * (missing > 1)} of version {number}{beside}")
        steps.append("wait until they are healthy, and have each predict")
    stale = [] if how is How.ROLLBACK else settings.stale(runtime, number)
    if stale:
        keys = ", ".join(dict.fromkeys(key for row in stale for key in settings.changed(runtime, row)))
        steps.append(
            f"replace {len(stale)} replica{'s' * (len(stale) > 1)} of version {number}, one after the other: started"
            f" with another {keys}"
        )
    steps += ["start the proxy"] if past.stopped else []
    if serving != number:
        steps.append(_shift_words(config, how, number, taken_over=_taken_over(runtime, number)))
    if how.moves_aliases and history.carries(runtime.project, runtime.name):
        steps.append("move the aliases in the registry")
    if how is How.ROLLBACK:
        return [*steps, f"quarantine version {past.serving}", "verify which version answers"]
    kept = f"; keep {config.keep} earlier version{'s' * (config.keep != 1)} warm" if serving is not None else ""
    return [*steps, f"let requests in flight finish{kept}", "verify which version answers"]


def _before(runtime: EnvironmentRuntime, number: int) -> tuple[float, str]:
    """Returns (seconds, what) that a replica needs before it can be started; nothing if it is kept and only stopped."""
    return (
        (0.0, "") if len(runtime.stopped(number)) >= runtime.environment.replicas else runtime.driver.start_cost(number)
    )


def _taken_over(runtime: EnvironmentRuntime, number: int) -> bool:
    """Tells whether another version has traffic that the new one takes over, and can be compared with."""
    return any(row.weight and row.version != number for row in runtime.replicas())


def _shift_words(config: Environment, how: How, number: int, *, taken_over: bool) -> str:
    kind = config.strategy.kind
    if not taken_over or how is How.ROLLBACK or kind == "blue-green":
        return f"give version {number} all traffic at once"
    if kind == "rolling":
        return f"give version {number} the traffic replica by replica"
    shares = ", ".join(f"{weight} %" for weight in config.strategy.weights)
    return f"give version {number} {shares}, then all traffic; {config.strategy.interval:g} s at each, analysed"


def _expected(runtime: EnvironmentRuntime, how: How, number: int, past: EnvironmentHistory) -> float:
    seconds = _WARM_SECONDS
    if runtime.missing(number):
        seconds += (past.start_seconds or _START_SECONDS) + _before(runtime, number)[0]
    if how is not How.ROLLBACK:
        seconds += len(settings.stale(runtime, number)) * (past.start_seconds or _START_SECONDS)
    strategy = runtime.environment.strategy
    if how is not How.ROLLBACK and _taken_over(runtime, number):
        seconds += strategy.interval * len(strategy.weights) if strategy.kind == "canary" else 1.0
    return seconds


def _warnings(
    project: Project,
    how: How,
    config: Environment,
    number: int,
    past: EnvironmentHistory,
    registry: RegistryView,
) -> list[str]:
    serving, stopped = past.serving, past.stopped
    found = [f"{config.name} was {stopped.words}, and is started again"] if stopped is not None else []
    known = not registry.empty
    carries = history.carries(project, config.name)
    if past.answering == number:
        found.append(f"version {number} already serves {config.name}")
    if carries and how is How.DEPLOY:
        found.append(f"{config.name} carries the alias {CHAMPION}: a deploy leaves it where it is; promote moves it")
    champion = registry.aliases.get(CHAMPION)
    if carries and known and serving is not None and champion != serving:
        where = "is not set" if champion is None else f"is on version {champion}"
        found.append(f"the alias {CHAMPION} {where}, although version {serving} serves")
    if carries and champion is None and known and serving is None and how is How.PROMOTE:
        found.append(f"no version is {CHAMPION} yet: there is nothing to go back to")
    if registry.version(number) is None:
        found.append(f"version {number} is not in the registry (any more): its alias cannot be moved")
    return found


def _unwatched(runtime: EnvironmentRuntime, how: How, number: int, serving: int | None) -> list[str]:
    canary_wanted = how is not How.ROLLBACK and runtime.environment.strategy.kind == "canary"
    if not canary_wanted or serving in (None, number) or _taken_over(runtime, number):
        return []
    return ["no replica has traffic now: a canary has nothing to be compared with, so all traffic moves at once"]


def _command(how: How, environment: str, number: int, *, force: bool) -> str:
    what = f"podium {how}" if how is How.START else f"podium {how} {number}"
    return f"{what} -e {shlex.quote(environment)}" + (' --force --why "…"' if force else "")


def _name(number: int | None) -> str:
    return "none" if number is None else f"version {number}"


def parse_version(text: object) -> int | None:
    """Parses a step's `version` option: empty, `3`, `v3`. Raises UsageError for anything else."""
    word = str(text or "").strip().removeprefix("v")
    if not word:
        return None
    if not word.isdecimal():
        raise UsageError(f"{text!r} is not a version number", hint="for example 3 or v3")
    return int(word)
