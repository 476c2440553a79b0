"""Starts a ready step or restores its cached outputs, and keeps the result when its command ends."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from ... import control_groups, handover, plugins
from ...domain.project import Project
from ...domain.runs import Run
from ...errors import PodiumError
from ...logs.masking import masked
from ...logs.writer import StepLog
from ...preload.protocol import Child
from ...registry.tracked import runs_gone
from .. import builtin_process, environment, paths
from ..cache import Cache, StoredResult, key_parts, keyed
from ..cache.hashing import locate
from ..cache.key_parts import KeyParts
from ..context import StepContext, UpstreamStep
from ..editable import import_paths
from ..executors import Execution, Executor, ExecutorContext, Task, load
from ..executors.preloaded import PreloadedExecution
from ..graph import PlannedStep
from ..secret_files import in_files
from .admission import Admission
from .attempt import AttemptEnd
from .run_graph import RunGraph, StepNode

SHELL = ("/bin/sh", "-e", "-c")
MAX_LAST_WORDS = 300
_PYTHONPATH = "PYTHONPATH"
# The shell's exit codes for a program that cannot be started, and one that is not there.
_NOT_STARTED = (126, 127)
_LONGEST_LINE = 4096


class StepFailed(Exception):
    """Raised when an attempt at a step has failed, with the reason."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotAdmitted(Exception):
    """Raised when a step has to wait for what this machine has."""


class Launcher:
    """Starts and finishes the steps of one run. `root` is where commands start; `breathe` is called while a large file
    is read, and may raise to end that."""

    def __init__(
        self,
        project: Project,
        run: Run,
        root: Path,
        graph: RunGraph,
        *,
        isolated: bool,
        breathe: Callable[[], None],
        admission: Admission,
    ) -> None:
        self._project, self._run, self._root, self._graph = project, run, root, graph
        self._isolated = isolated
        self._breathe = breathe
        self._admission = admission
        self._directory = paths.run_directory(project.state, run.id)
        self._fresh = paths.fresh_marker(project.state, run.id).exists()
        self._executors: dict[str, Executor] = {}
        self._logs: dict[str, StepLog] = {}
        self._cache: Cache | None = None
        self._executions: dict[str, Execution] = {}
        self._shared: dict[bool, dict[str, str]] = {}
        self._builtin_environment: dict[str, str] | None = None
        self._claims_told = False
        self._missed_told = False
        self._secrets = (*project.secrets, *in_files(project))

    def begin(self, node: StepNode, admitted: Callable[[], bool]) -> Execution | None:
        """Returns the started execution; None if there is nothing to do because the outputs were restored. `admitted`
        is asked before anything is started.

        Raises StepFailed if it cannot be started, NotAdmitted if it has to wait, OSError if the log cannot be written.
        """
        log = self.log(node)
        try:
            if not node.step.spec.uses:
                return self._begin_command(node, log, admitted)
            _ensure(admitted)
            return self._begin_builtin(node)
        except (StepFailed, PodiumError, OSError, sqlite3.Error) as error:
            problem = _why_not_started(error)
            log.note(problem.message)
            raise problem from None

    def finish(self, node: StepNode, ending: AttemptEnd) -> None:
        """Stores what an ended command produced. Raises StepFailed if the step has failed."""
        if node.step.spec.uses:
            self._finish_builtin(node, ending)
            return
        log = self.log(node)
        found = self._learnt(node)
        if not ending.good:
            log.note(ending.describe())
            if ending.code in _NOT_STARTED and (script := _ends_with_return(node.step.command, self._root)):
                hint = "its lines end as on Windows: `sed -i 's/\\r$//'`, and `text eol=lf` in .gitattributes"
                log.note(f"the first line of {script} ends with \\r. {hint}")
                raise StepFailed(f"{ending.describe()}: the first line of {script} ends with \\r", hint)
            if found.get("error") and not ending.reason:
                raise StepFailed(self._masked(found["error"]), self._masked(found.get("hint") or ""))
            raise StepFailed(ending.describe(), self._words(ending))
        try:
            self._check_outputs(node)
            self._keep(node, log)
        except StepFailed as problem:
            log.note(f"{problem.message}. {problem.hint}" if problem.hint else problem.message)
            raise

    def log(self, node: StepNode) -> StepLog:
        name = node.step.name
        log = self._logs.get(name)
        if log is None:
            log = self._logs[name] = StepLog(paths.step_log(self._project.state, self._run.id, name), self._secrets)
        return log

    def close_log(self, node: StepNode) -> str:
        """Closes the step's log; returns what could not be written to it, empty if it is complete."""
        log = self._logs.pop(node.step.name, None)
        if log is None:
            return ""
        log.close()
        return log.problem

    def close(self) -> None:
        for log in self._logs.values():
            log.close()
        if self._cache is not None:
            self._cache.close()

    # Commands

    def _begin_command(self, node: StepNode, log: StepLog, admitted: Callable[[], bool]) -> Execution | None:
        step = node.step
        if step.cacheable:
            node.base, parts = self._store().keyed_parts(step, self._project, self._root)
            fingerprint = self._fingerprint(step)
            node.key = keyed(node.base, fingerprint)
            self._note_parts(step.name, replace(parts, fingerprint=fingerprint))
            if node.attempt == 1 and self._restore(node, log):
                return None
        else:
            self._fingerprint(step)
            node.base, node.key = "", self._own_key(node)
        _ensure(admitted)
        if step.outputs:
            self._make_way(node, step.cacheable)
        node.cached, node.origin, node.message = False, None, ""
        log.note(
            f"$ {self._masked(step.command)}"
            if node.attempt == 1
            else f"attempt {node.attempt} of {step.spec.retries + 1}"
        )
        self._tell_of_claims(node, log)
        execution = self._started(step.spec.executor).start(self._task(node, log))
        self._executions[step.name] = execution
        return execution

    def _task(self, node: StepNode, log: StepLog) -> Task:
        step = node.step
        elsewhere = plugins.executor_capabilities(step.spec.executor).elsewhere
        contained = step.container is not None or elsewhere
        shared = self._shared.get(contained)
        if shared is None:
            shared = environment.fixed(self._project, self._run, contained=contained)
            if self._isolated and not contained:
                shared = self._with_own_code(shared, log)
            self._shared[contained] = shared
        spec = step.spec
        threads = environment.threads(spec.cpus, local=not contained)
        gpus = environment.gpus(self._admission.gpus(step)) if not contained else {}
        env = environment.for_step(
            {**threads, **shared, **gpus}, self._run, step.name, node.key, {**step.env, **step.values}
        )
        if plugins.executor_capabilities(spec.executor).local:
            env.update(self._admission.variables(step.name))
        if step.env.get(_PYTHONPATH) and shared.get(_PYTHONPATH):
            env[_PYTHONPATH] = os.pathsep.join((shared[_PYTHONPATH], step.env[_PYTHONPATH]))
        if not contained and not self._missed_told and (words := environment.not_passed_on(env)):
            self._missed_told = True
            log.note(words)
        return Task(
            self._run.id,
            step.name,
            (*SHELL, step.script),
            env,
            self._root,
            project=self._project,
            spec=step.spec,
            container=step.container,
            attempt=node.attempt,
            base=node.base,
            key=node.key,
            outputs=step.outputs,
            directory=self._directory,
            log=log.path,
            cpus=None if contained else spec.cpus,
            memory=None if contained else spec.memory,
            nice=self._project.nice,
        )

    def _with_own_code(self, shared: dict[str, str], log: StepLog) -> dict[str, str]:
        """Has Python import what is installed from the working tree (`pip install -e .`) from the run's worktree."""
        top = paths.worktree(self._project.state, self._run.id)
        inside = self._root.relative_to(top).parts if self._root.is_relative_to(top) else ()
        main = self._project.home.parents[len(inside) - 1] if inside else self._project.home
        own = import_paths(shared, main.resolve(), top)
        if not own:
            return shared
        log.note(f"installed from the working tree, imported from the commit: {', '.join(own)}")
        return {**shared, _PYTHONPATH: os.pathsep.join([*own, *filter(None, [shared.get(_PYTHONPATH, "")])])}

    def _tell_of_claims(self, node: StepNode, log: StepLog) -> None:
        """Says once a run that what a step may use is no limit here."""
        spec = node.step.spec
        if self._claims_told or node.step.container is not None or (spec.cpus is None and spec.memory is None):
            return
        words = control_groups.lacking(spec.cpus, spec.memory)
        if words and plugins.executor_capabilities(spec.executor).local:
            self._claims_told = True
            log.note(words)

    def _fingerprint(self, step: PlannedStep) -> str:
        executor = self._executor(step.spec.executor)
        if executor is None:
            return ""
        return executor.fingerprint(step, ExecutorContext(self._project, self._root, self._store(), self._breathe))

    def _own_key(self, node: StepNode) -> str:
        """Returns the key of a step that is never cached: unique to each run, so that its MLflow runs can be found
        by it."""
        return sha256(
            f"{self._project.home}\0{self._run.id}\0{self._run.created}\0{node.step.name}".encode(
                "utf-8", "surrogateescape"
            )
        ).hexdigest()

    def _restore(self, node: StepNode, log: StepLog) -> bool:
        store = self._store()
        kept = store.find(node.key)
        if kept is None or (self._fresh and kept.run_id != self._run.id):
            return False
        if store.tracked.has(node.key) and runs_gone(self._project.mlflow, self._project.state, node.key):
            log.note(f"run {kept.run_id} has done this, but the MLflow runs that it left are gone: done again")
            return False
        restored = store.restore(kept, self._root, self._directory / "aside", link=self._isolated)
        if restored is None:
            log.note(
                f"run {kept.run_id} has done this, but its outputs are not whole in the cache any more: done again"
            )
            return False
        node.cached, node.origin, node.results = True, kept.run_id, {}
        log.note(_restored_words(kept, restored.files))
        if restored.aside:
            log.note(
                f"{restored.aside} files with other content stood in the way; they are in {self._directory / 'aside'}"
            )
        return True

    def _note_parts(self, step: str, parts: KeyParts) -> None:
        """Keeps what the key was made from, for those who ask why the step ran. Without it only that is not known."""
        with suppress(OSError, UnicodeError):
            key_parts.keep(parts, self._project.state, self._run.id, step)

    def _learnt(self, node: StepNode) -> Mapping[str, Any]:
        """What the execution found out besides the exit code; its part of the key may be known only now."""
        execution = self._executions.pop(node.step.name, None)
        found = dict(execution.findings()) if execution is not None else {}
        fingerprint = found.pop("fingerprint", "")
        if fingerprint and node.base:
            node.key = keyed(node.base, fingerprint)
        node.results = {name: value for name, value in found.items() if name not in ("error", "hint")}
        return found

    def _make_way(self, node: StepNode, cacheable: bool) -> None:
        self._store().make_way(self._root, node.step.outputs)
        if cacheable and self._isolated:
            self._store().detach(self._root, node.step.outputs)

    def _check_outputs(self, node: StepNode) -> None:
        for output in node.step.outputs:
            if not os.path.exists(locate(str(self._root), output, "output")):  # noqa: PTH110
                raise StepFailed(
                    f"the command ended well but did not write its output {output!r}",
                    "correct the command, or `outputs` in podium.yaml",
                )

    def _keep(self, node: StepNode, log: StepLog) -> None:
        step = node.step
        if not step.cacheable:
            return
        store = self._store()
        try:
            if store.key(step, self._project, self._root) != node.base:
                node.message = "an input changed while it ran, so the result is not kept in the cache"
                log.note(node.message)
                return
            differing = store.keep(node.key, self._run.id, step, self._root)
        except PodiumError as error:
            raise StepFailed(error.message, error.hint) from error
        except (OSError, sqlite3.Error) as error:
            node.message = f"not kept in the cache: {_words(error)}"
            log.note(node.message)
            return
        if differing:
            shown = ", ".join(differing[:5]) + (f" and {len(differing) - 5} more" if len(differing) > 5 else "")
            node.message = (
                f"not deterministic: the same command with the same inputs wrote something else before: {shown}"
            )
            log.note(node.message)

    # Built-in steps

    def _begin_builtin(self, node: StepNode) -> Execution:
        step = node.step
        context = StepContext(self._project, self._run, step.name, step.options, self._upstream(node), node.attempt)
        file, result = self._builtin_files(node)
        result.unlink(missing_ok=True)
        file.touch(mode=0o600)
        file.write_text(builtin_process.describe(context, step.spec.uses, result, os.getpid()))
        if self._builtin_environment is None:
            self._builtin_environment = environment.for_builtin(self._project)
        child = Child(
            module=builtin_process.__name__,
            arguments=(str(file),),
            env={**self._builtin_environment, **step.env},
            cwd=str(self._root),
            descriptors=(0, 1, 2),
        )
        project = handover.pack(self._project)
        try:
            return PreloadedExecution(self._project.state, child, project)
        finally:
            os.close(project)

    def _finish_builtin(self, node: StepNode, ending: AttemptEnd) -> None:
        file, result = self._builtin_files(node)
        answer = builtin_process.read_result(result)
        for path in (file, result):
            path.unlink(missing_ok=True)
        node.results = answer.get("results") or {}
        if "error" in answer:
            node.results = {**node.results, "exit_code": answer.get("exit_code", 1)}
            error = self._masked(answer["error"])
            if ending.reason:
                raise StepFailed(ending.reason, error)
            raise StepFailed(error, self._masked(answer.get("hint") or ""))
        if ending.good and "results" in answer:
            if node.step.spec.uses == "register":
                self._store().tracked.note(node.results.get("keys", ()))
                node.results = {name: value for name, value in node.results.items() if name != "keys"}
            return
        self.log(node).note(ending.describe())
        raise StepFailed(ending.describe() if not ending.good else "ended without an answer", self._words(ending))

    def _builtin_files(self, node: StepNode) -> tuple[Path, Path]:
        name = paths.safe_name(node.step.name)
        return self._directory / f"{name}.context.json", self._directory / f"{name}.result.json"

    def why_asked(self, node: StepNode) -> str:
        """Returns why a person has to approve a built-in step before it starts, by what earlier ones have found; empty
        if none has to, and where podium.yaml asks for a person anyway. Raises PodiumError where that cannot be told."""
        step = node.step
        ask = plugins.asker(step.spec.uses) if step.spec.uses and not step.spec.approval else None
        if ask is None:
            return ""
        context = StepContext(self._project, self._run, step.name, step.options, self._upstream(node), node.attempt)
        try:
            return ask(context)
        finally:
            context.close()

    def _upstream(self, node: StepNode) -> Mapping[str, UpstreamStep]:
        found: dict[str, UpstreamStep] = {}
        for other in self._graph.ancestors(node):
            name = other.step.name
            found[name] = UpstreamStep(
                name, other.state, other.results, other.key, other.origin if other.cached else None
            )
        return found

    # Helpers

    def _executor(self, name: str) -> Executor | None:
        """Returns the executor; None for plain processes as long as none was started, since nothing of them belongs
        in a key and a run from the cache needs none."""
        return None if plugins.executor_capabilities(name).local else self._started(name)

    def _started(self, name: str) -> Executor:
        executor = self._executors.get(name)
        if executor is None:
            executor = self._executors[name] = load(name)
        return executor

    def _store(self) -> Cache:
        if self._cache is None:
            self._cache = Cache(self._project.state, links_out=not has_containers(self._project))
            self._cache.hashes.breathe = self._breathe
            self._cache.hashes.verify = paths.verify_marker(self._project.state, self._run.id).exists()
        return self._cache

    def _masked(self, text: str) -> str:
        return masked(text, self._secrets)

    def _words(self, ending: AttemptEnd) -> str:
        return self._masked(ending.last)[:MAX_LAST_WORDS]


def _ensure(admitted: Callable[[], bool]) -> None:
    if not admitted():
        raise NotAdmitted


def _why_not_started(error: Exception) -> StepFailed:
    if isinstance(error, StepFailed):
        return error
    if isinstance(error, PodiumError):
        return StepFailed(error.message, error.hint)
    return StepFailed(f"cannot be started: {_words(error)}")


def has_containers(project: Project) -> bool:
    """Tells whether any step of the project runs in a container, which could put a link where outputs are written."""
    return any(
        step.container is not None for pipeline in project.pipelines.values() for step in pipeline.steps.values()
    )


def _ends_with_return(command: str, root: Path) -> str:
    """Returns the script of a command whose first line names no program, because it ends with a carriage return."""
    for word in command.split()[:20]:
        file = root / word.strip("'\"")
        with suppress(OSError, ValueError):
            if file.is_file():
                with file.open("rb") as opened:
                    first = opened.readline(_LONGEST_LINE)
                if first.startswith(b"#!") and first.endswith(b"\r\n"):
                    return word
    return ""


def _restored_words(kept: StoredResult, files: int) -> str:
    if not kept.outputs:
        return f"unchanged since run {kept.run_id}: not done again"
    return f"unchanged since run {kept.run_id}: {f'{files} files restored' if files else 'its outputs are in place'}"


def _words(error: Any) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)
