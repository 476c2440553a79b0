"""Whose word counts about what protects: that of the branch that releases come from, never that of the commit which is
being judged.

A commit of that branch is run by its own podium.yaml, with the protection of the files before it where that is
stricter: what it weakens holds from the next commit on. A commit of another branch, or of a pull request, brings its
pipelines and nothing else. Pure: no file, no git.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace

from ... import plugins
from ...domain.access.clients import Auth
from ...domain.access.proof import Proof
from ...domain.access.roles import Role
from ...domain.evidence.settings import Evidence
from ...domain.frozen import Frozen
from ...domain.infra.rules import Rules, joined
from ...domain.infra.settings import Infra
from ...domain.project import Approvers, Check, Environment, Gate, Pipeline, Project, StepSpec

# What a commit of another branch may say for itself.
_OWN = frozenset({"name", "root", "home", "pipelines", "env", "secrets", "idle", "digest"})


class Judged(Frozen):
    project: Project
    weakened: tuple[str, ...] = ()
    """What the commit's own file would have weakened, in words."""


def of_release_branch(own: Project, before: Iterable[Project]) -> Judged:
    """Returns the project by the file of a commit of the release branch, at least as strict as the files before it."""
    weakened: dict[str, None] = {}
    for trusted in before:
        own, words = _as_strict(own, trusted)
        weakened.update(dict.fromkeys(words))
    return Judged(own, tuple(weakened))


def of_another_branch(own: Project, trusted: Project) -> Judged:
    """Returns the project by the file of the release branch, with the pipelines of a commit of another branch."""
    taken = {each.name: getattr(trusted, each.name) for each in fields(Project) if each.name not in _OWN}
    secrets = tuple(dict.fromkeys((*own.secrets, *trusted.secrets)))
    strict, words = _as_strict(own, trusted)
    return Judged(replace(own, pipelines=strict.pipelines, secrets=secrets, **taken), tuple(words))


def _as_strict(own: Project, trusted: Project) -> tuple[Project, list[str]]:
    words: list[str] = []
    environments = {
        name: _environment(each, trusted.environments.get(name), words) for name, each in own.environments.items()
    }
    infra = {name: _infra(each, trusted.infra.get(name), words) for name, each in own.infra.items()}
    gates = {name: _gate(each, trusted.gates.get(name), words) for name, each in own.gates.items()}
    pipelines = {name: _Pipeline(each, trusted, words).strict() for name, each in own.pipelines.items()}
    evidence = _evidence(own.evidence, trusted.evidence, words)
    own = replace(own, environments=environments, gates=gates, pipelines=pipelines, infra=infra, evidence=evidence)
    return own, words


def _evidence(own: Evidence, trusted: Evidence, words: list[str]) -> Evidence:
    """Returns whose word counts about what is served: that of the files that were named before, and as they were
    before."""
    for name, what in (
        ("signers", "names other signers"),
        ("revoked", "leaves out keys that are revoked"),
        ("anchor", "names another anchor"),
    ):
        before = getattr(trusted, name)
        if before and getattr(own, name) != before:
            words.append(f"evidence.{name} {what}")
            own = replace(own, **{name: before})
    return replace(own, signers_of=tuple(dict.fromkeys((*own.signers_of, *trusted.signers_of))))


def _environment(own: Environment, trusted: Environment | None, words: list[str]) -> Environment:
    if trusted is None:
        return own
    if trusted.protected and not own.protected:
        words.append(f"environment {own.name} is not protected any more")
        own = replace(own, protected=True)
    if trusted.verified and not own.verified:
        words.append(f"environment {own.name} serves what nobody has signed")
        own = replace(own, verify=trusted.verify)
    for role in Role:
        before, now = trusted.who.of(role), own.who.of(role)
        if before is not None and (now is None or not now.within(before)):
            words.append(f"environment {own.name} lets others {role}")
            own = replace(own, who=replace(own.who, **{role.value: before}))
    return _feedback(_limits(_open(own, trusted, words), trusted, words), trusted, words)


def _open(own: Environment, trusted: Environment, words: list[str]) -> Environment:
    """Returns the environment with the TLS and the clients of before, where its own are less, and reached from no more
    machines than before where one of the two is missing."""
    if trusted.https is not None and own.https is None:
        words.append(f"environment {own.name} has no TLS any more")
        own = replace(own, https=trusted.https)
    if trusted.auth is not None and not _asks_as_much(own.auth, trusted.auth):
        words.append(f"environment {own.name} lets in other clients")
        own = replace(own, auth=trusted.auth)
    if own.open and not trusted.open:
        words.append(f"environment {own.name} is open to everybody")
        lacks = own.https is None or own.auth is None
        own = replace(own, open=False, bind=trusted.bind if lacks else own.bind)
    return own


def _asks_as_much(own: Auth | None, trusted: Auth) -> bool:
    if own is None or (own.tokens, own.client_ca) != (trusted.tokens, trusted.client_ca):
        return False
    return not trusted.clients or (bool(own.clients) and set(own.clients) <= set(trusted.clients))


def _limits(own: Environment, trusted: Environment, words: list[str]) -> Environment:
    """Returns the environment with the limits of before, where its own let a client do more."""
    for name in ("rate", "connections"):
        before, now = getattr(trusted.limits, name), getattr(own.limits, name)
        if before is not None and (now is None or now > before):
            words.append(f"environment {own.name} has no limit of {before:g} for a client's {name} any more")
            own = replace(own, limits=replace(own.limits, **{name: before}))
    return own


def _feedback(own: Environment, trusted: Environment, words: list[str]) -> Environment:
    """Returns the environment with clients that prove who they are before they send labels, and without the columns
    that were never kept before."""
    if trusted.feedback.proved and not own.feedback.proved:
        words.append(f"environment {own.name} takes labels from everybody")
        own = replace(own, feedback=trusted.feedback)
    lost = tuple(column for column in trusted.redact if column not in own.redact)
    if lost:
        words.append(f"environment {own.name} keeps columns of requests that were left out: {', '.join(lost)}")
        own = replace(own, redact=(*own.redact, *lost))
    return own


def _infra(own: Infra, trusted: Infra | None, words: list[str]) -> Infra:
    """Returns the infrastructure with the rules that are trusted, where its own let more go on by itself. One that is
    new has nobody's trust yet: a person is asked."""
    rules = trusted.rules if trusted is not None else Rules()
    if not own.rules.as_strict_as(rules):
        words.append(f"infrastructure {own.name} lets more be done without a person")
        own = replace(own, rules=replace(rules, never=joined(rules.never, own.rules.never)))
    if trusted is not None and trusted.protected and not own.protected:
        words.append(f"infrastructure {own.name} is not protected any more")
        own = replace(own, protected=True)
    return own


def _gate(own: Gate, trusted: Gate | None, words: list[str]) -> Gate:
    """Returns the gate with the checks of both: all of them have to pass."""
    if trusted is None:
        return own
    has = [_unplaced(check) for check in own.checks]
    lost = tuple(check for check in trusted.checks if _unplaced(check) not in has)
    if lost:
        words.append(f"gate {own.name} has other checks")
    return replace(own, checks=(*own.checks, *lost)) if lost else own


def _unplaced(check: Check) -> Check:
    return replace(check, line=0)


class _Pipeline:
    """One pipeline of the commit beside what is trusted."""

    def __init__(self, own: Pipeline, trusted: Project, words: list[str]) -> None:
        self._own, self._trusted, self._words = own, trusted, words
        self._before = trusted.pipelines.get(own.name)

    def strict(self) -> Pipeline:
        unsure = self._judged_otherwise()
        self._words += unsure
        return replace(
            self._own,
            steps={name: self._step(name, each, unsure=bool(unsure)) for name, each in self._own.steps.items()},
        )

    def _step(self, name: str, own: StepSpec, *, unsure: bool) -> StepSpec:
        known = self._before.steps.get(name) if self._before is not None else None
        asked = [each for each in self._like(own) if each.approval]
        asked += [known] if known is not None and known.approval else []
        if delivers(own) and own.options.get("force") and not self._forced_before(own):
            self._words.append(f"step {name} of {self._own.name} is forced past its gate")
            own = replace(own, options={key: value for key, value in own.options.items() if key != "force"})
        if asked:
            if not own.approval:
                self._words.append(f"step {name} of {self._own.name} needs no approval any more")
            timeout = min([each.approval_timeout for each in asked] + [own.approval_timeout] * own.approval)
            return replace(own, approval=True, approval_timeout=timeout, approvers=self._approvers(own, asked))
        return replace(own, approval=True) if unsure and self._reaches_protected(own) else own

    def _approvers(self, own: StepSpec, asked: Sequence[StepSpec]) -> Approvers:
        """Returns who has to approve: by the commit's file, where that is as strict as all that are trusted."""
        weaker = next((each.approvers for each in asked if not _as_strict_as(own.approvers, each.approvers)), None)
        if weaker is None or not own.approval:
            return own.approvers if weaker is None else weaker
        self._words.append(f"step {own.name} of {self._own.name} may be approved by others")
        return weaker

    def _like(self, own: StepSpec) -> list[StepSpec]:
        """Returns the trusted steps that change the same environment, whatever they are called."""
        return [each for each in self._delivering() if delivers(own) and _same_place(each, own)]

    def _delivering(self) -> list[StepSpec]:
        return [
            step for pipeline in self._trusted.pipelines.values() for step in pipeline.steps.values() if delivers(step)
        ]

    def _forced_before(self, own: StepSpec) -> bool:
        return any(
            (each.uses, each.options.get("environment"), each.options.get("force"))
            == (own.uses, own.options.get("environment"), own.options.get("force"))
            for each in self._delivering()
        )

    def _reaches_protected(self, own: StepSpec) -> bool:
        protected = [name for name, each in self._trusted.environments.items() if each.protected]
        where = str(own.options.get("environment", ""))
        return delivers(own) and (where in protected or ("${{" in where and bool(protected)))

    def _judged_otherwise(self) -> list[str]:
        """Returns what makes the gates before a protected environment others than those that are trusted: then a
        person has to look at it."""
        if not any(self._reaches_protected(step) for step in self._own.steps.values()):
            return []
        have = _gates_of(self._own)
        wanted = _gates_of(self._before) if self._before is not None else self._gates_before(self._own)
        return [f"pipeline {self._own.name} has no gate {name} any more" for name in sorted(wanted - have)]

    def _gates_before(self, own: Pipeline) -> set[str]:
        """Returns the gates of the trusted pipelines that change one of the same environments: the pipeline itself may
        have another name now."""
        places = [step for step in own.steps.values() if delivers(step)]
        found: set[str] = set()
        for pipeline in self._trusted.pipelines.values():
            if any(
                delivers(step) and any(_same_place(step, each) for each in places) for step in pipeline.steps.values()
            ):
                found |= _gates_of(pipeline)
        return found


def delivers(step: StepSpec) -> bool:
    """Tells whether a step changes what an environment serves."""
    return bool(step.uses) and plugins.step_capabilities(step.uses).delivers


def _as_strict_as(own: Approvers, trusted: Approvers) -> bool:
    among = not trusted.among or (bool(own.among) and set(own.among) <= set(trusted.among))
    group = not trusted.group or own.group == trusted.group
    proof = own.proof is trusted.proof or own.proof is Proof.HOST
    return own.number >= trusted.number and among and group and proof and (trusted.author or not own.author)


def _same_place(trusted: StepSpec, own: StepSpec) -> bool:
    """Tells whether two steps may change the same environment; one whose name is a placeholder may change any."""
    places = str(trusted.options.get("environment", "")), str(own.options.get("environment", ""))
    return places[0] == places[1] or any("${{" in place for place in places)


def _gates_of(pipeline: Pipeline) -> set[str]:
    steps: Mapping[str, StepSpec] = pipeline.steps
    return {str(step.options.get("gate", "")) for step in steps.values() if step.uses == "gate"}
