"""One root module of Terraform or OpenTofu: planned, applied and looked at by its own program."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from ...config.infra.outputs import fill
from ...config.variables import looks_secret
from ...domain.infra.plan import SENSITIVE, InfraPlan, Output
from ...domain.infra.settings import Infra
from ...domain.project import Project
from ...domain.text import clean, one_line
from ...domain.text.format import count
from ...errors import UNREADABLE, NotFound, PodiumError, Refused, RunFailed
from ...known_secrets import known
from ...logs.masking import masked
from .. import Progress, Say
from ..saved import SCRATCH, Saved
from . import plan_json, program, stream

INIT_TIMEOUT = 900.0
SHOW_TIMEOUT = 300.0
_QUIET = ("-input=false", "-no-color")
_MAX_WARNINGS = 20


class StateLocked(Refused):
    """Somebody else holds the state's lock."""


class StalePlan(Refused):
    """The state is not the one that the plan was made of."""


class Terraform:
    """The tool `terraform` of one infrastructure."""

    def __init__(self, project: Project, infra: Infra, say: Say) -> None:
        """`say` takes lines for the log of a run; nothing sensitive is in them."""
        self._project, self._infra, self._say = project, infra, say
        self._saved = Saved(project.state, infra.name)
        # What the program inherits, and a provider may print.
        held = (value for name, value in os.environ.items() if value and looks_secret(name))
        self._secrets: tuple[str, ...] = tuple(dict.fromkeys((*project.secrets, *held)))

    # What a tool does

    def plan(self, *, destroy: bool = False) -> InfraPlan:
        return self._planned(self._saved.file, ("-destroy",) if destroy else ())

    def drift(self) -> InfraPlan:
        scratch = self._saved.directory / SCRATCH
        try:
            found = self._planned(scratch, ("-refresh-only",), refresh_only=True)
        finally:
            scratch.unlink(missing_ok=True)
        return found

    def apply(self, plan: InfraPlan, progress: Progress) -> None:
        """Carries out the saved plan, which `Saved.begin` has taken."""
        file = self._saved.directory / "applying"
        directory = Path(plan.directory)
        if not directory.is_dir():
            raise Refused(f"{directory}, where the plan was made, is gone", hint=self._again)
        terraform = self._program(directory)
        self._select(terraform, plan.workspace)  # another look may have been at another one
        self._learn_secrets(self._shown(terraform, file))
        self._say(f"{plan.tool} applies the plan {plan.short}: {plan.words()}")
        arguments = ("apply", *_QUIET, "-json", *self._lock, *self._state(directory), str(file))
        seen = _Applying(progress, lambda words: self._tell(words))
        code, errors = terraform.stream(arguments, seen.line, timeout=self._infra.timeout)
        if code:
            raise self._failure(seen.found, errors, "the apply failed")

    def outputs(self) -> Sequence[Output]:
        directory = self._project.root / self._infra.path
        terraform = self._ready(directory)
        done = terraform.run(("output", "-no-color", "-json", *self._state(directory)), timeout=SHOW_TIMEOUT)
        if done.code:
            raise self._failed("output", done.err)
        return _outputs(_document(done.out))

    def discard(self, plan: InfraPlan) -> None:
        """Does nothing: a plan is one file, which is removed with its summary."""

    # How

    @property
    def _again(self) -> str:
        return f"make a new plan: podium infra plan {shlex.quote(self._infra.name)}"

    @property
    def _lock(self) -> tuple[str, ...]:
        return (f"-lock-timeout={self._infra.lock_timeout:g}s",) if self._infra.lock_timeout else ()

    @cached_property
    def _variables(self) -> Mapping[str, str]:
        return {name: fill(text, self._project.state) for name, text in self._infra.vars.items()}

    def _program(self, directory: Path) -> program.Program:
        path = program.find(self._infra.program, self._project.home)
        return program.Program(path, directory, self._saved.data, self._variables)

    def _ready(self, directory: Path) -> program.Program:
        """Returns the program in a directory that it can work in: with its providers, in its workspace."""
        if not directory.is_dir():
            raise NotFound(
                f"infra.{self._infra.name}: there is no directory {self._infra.path}",
                hint=f"it is looked for in {self._project.root}",
            )
        self._saved.prepare()
        terraform = self._program(directory)
        done = terraform.run(("init", *_QUIET), timeout=INIT_TIMEOUT)
        if done.code:
            raise self._failed("init", done.err or done.out)
        self._select(terraform, self._infra.workspace)
        self._refuse_emptied(self._state_file())
        return terraform

    def _select(self, terraform: program.Program, workspace: str) -> None:
        name = workspace or "default"
        done = terraform.run(("workspace", "select", "-no-color", "-or-create", name), timeout=SHOW_TIMEOUT)
        if done.code:
            raise self._failed(f"workspace select {name}", done.err or done.out)

    def _state(self, directory: Path) -> tuple[str, ...]:
        """Returns the option that says where the state is, for a state in a file beside the configuration: a commit's
        run has a directory of its own, and its state is the project's all the same."""
        own = self._project.home / self._infra.path
        file = self._state_file()
        if file is None or directory.resolve() == own.resolve():
            return ()
        file.parent.mkdir(parents=True, exist_ok=True)
        return (f"-state={file}",)

    def _state_file(self) -> Path | None:
        """Returns where the state is, if it is in a file beside the configuration."""
        if (self._saved.data / "terraform.tfstate").is_file():  # written where a backend is configured
            return None
        own, workspace = self._project.home / self._infra.path, self._infra.workspace
        place = own / "terraform.tfstate.d" / workspace if workspace not in ("", "default") else own
        return place / "terraform.tfstate"

    def _refuse_emptied(self, file: Path | None) -> None:
        """Raises Refused where the state's file is empty and was not: the tool empties it before it writes it anew, and
        takes an empty one for that of nothing, so that everything would be made a second time."""
        if file is None or not file.is_file() or file.stat().st_size:
            return
        backup = file.with_name(f"{file.name}.backup")
        before = backup.is_file() and backup.stat().st_size > 0
        cut = self._saved.interruption()
        if not before and (cut is None or not cut.done):
            return
        made = f" after it had made {', '.join(cut.done[:3])}" if cut is not None and cut.done else ""
        back = f"put {backup.name} in its place, and `terraform import` what" if before else "`terraform import` what"
        raise Refused(
            f"the state {file} is empty: the tool was ended while it wrote it{made}, and would make all of it again",
            hint=f"{back} was made since; remove the empty file if nothing is there",
        )

    def _planned(self, file: Path, options: Sequence[str], *, refresh_only: bool = False) -> InfraPlan:
        directory = self._project.root / self._infra.path
        terraform = self._ready(directory)
        file.unlink(missing_ok=True)
        started = time.time()
        files = (f"-var-file={self._project.root / each}" for each in self._infra.var_files)
        arguments = ("plan", *_QUIET, "-json", f"-out={file}", *options, *self._lock, *files)
        lines: list[str] = []
        arguments = (*arguments, *self._state(directory))
        code, errors = terraform.stream(arguments, lines.append, timeout=self._infra.timeout)
        events = [stream.read(line) for line in lines]
        if code:
            self._learn_from_state(terraform)
            raise self._failure([each.diagnostic for each in events if each.diagnostic], errors, "the plan failed")
        file.chmod(0o600)
        read = plan_json.read(self._shown(terraform, file), refresh_only=refresh_only)
        self._learn(read.secrets)
        warnings = [each.diagnostic.words() for each in events if each.diagnostic is not None]
        return InfraPlan(
            infra=self._infra.name,
            tool=next((each.version for each in events if each.version), Path(terraform.path).name),
            digest=self._saved.digest(file),
            created=started,
            expires=started + self._infra.expires,
            changes=read.changes,
            drift=read.drift,
            outputs=read.outputs,
            warnings=tuple(masked(text, self._secrets) for text in dict.fromkeys(warnings))[:_MAX_WARNINGS],
            directory=str(directory),
            workspace=self._infra.workspace,
            refresh_only=refresh_only,
            applyable=read.applyable and not refresh_only,
        )

    def _shown(self, terraform: program.Program, file: Path) -> Mapping[str, Any]:
        done = terraform.run(("show", "-no-color", "-json", str(file)), timeout=SHOW_TIMEOUT)
        if done.code:
            raise self._failed("show", done.err)
        return _document(done.out)

    # What may be said

    def _learn(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(dict.fromkeys((*self._secrets, *secrets)))
        known.remember(*secrets)

    def _learn_secrets(self, document: Mapping[str, Any]) -> None:
        self._learn(plan_json.read(document).secrets)

    def _learn_from_state(self, terraform: program.Program) -> None:
        """Learns what the state calls sensitive, where there is no plan that says it: an error may repeat it."""
        done = terraform.run(("show", "-no-color", "-json"), timeout=SHOW_TIMEOUT)
        if not done.code:
            values = _document(done.out).get("values")
            if isinstance(values, dict):
                self._learn(tuple(plan_json.secrets_of_state(cast("dict[str, Any]", values))))

    def _tell(self, words: str) -> None:
        self._say(masked(words, self._secrets))

    def _failed(self, what: str, said: str) -> PodiumError:
        lines = [clean(line).strip(" │╷╵") for line in masked(said, self._secrets).splitlines()]
        words = [line for line in lines if line]
        found = next((number for number, line in enumerate(words) if line.startswith("Error")), 0)
        error = words[found] if words else ""
        self._tell("\n".join(lines))
        name = Path(program.find(self._infra.program, self._project.home)).name
        return RunFailed(f"{name} {what} failed: {one_line(error)}", hint="the step's log has all of it")

    def _failure(self, found: Sequence[stream.Diagnostic], errors: str, what: str) -> PodiumError:
        """Returns what went wrong, by what the tool complains of."""
        worst = [each for each in found if each.severity == "error"]
        for each in found:
            self._tell(f"{each.severity}: {each.words()}")
        for line in filter(str.strip, errors.splitlines()):
            self._tell(clean(line))
        first = worst[0] if worst else None
        lock = next((holder for each in worst if (holder := each.lock())), None)
        if lock is not None:
            return self._locked(lock)
        if first is not None and "stale" in first.summary.lower():
            return StalePlan(
                f"the plan of {self._infra.name} is stale: the state has changed since it was made", hint=self._again
            )
        words = masked(first.words(), self._secrets) if first else one_line(masked(errors, self._secrets))
        more = f", and {count(len(worst) - 1, 'more error')}" if len(worst) > 1 else ""
        return RunFailed(f"{what}: {words}{more}", hint="the step's log has all of it")

    def _locked(self, lock: Mapping[str, str]) -> StateLocked:
        who, since = lock.get("Who", "somebody"), lock.get("Created", "")
        doing = lock.get("Operation", "").removeprefix("OperationType").lower()
        words = f"the state of {self._infra.name} is locked by {who}{f' since {since}' if since else ''}"
        unlock = f"terraform force-unlock {lock.get('ID', 'ID')}"
        return StateLocked(
            f"{words}{f', for its {doing}' if doing else ''} (lock {lock.get('ID', '')})",
            hint=f"wait for it; if that process is gone for sure, `{unlock}` in {self._infra.path} takes the lock away",
        )


class _Applying:
    """Follows the lines of an apply."""

    def __init__(self, progress: Progress, tell: Callable[[str], None]) -> None:
        self._progress, self._tell = progress, tell
        self.found: list[stream.Diagnostic] = []

    def line(self, line: str) -> None:
        event = stream.read(line)
        if event.kind == "apply_start":
            self._progress.begun(event.address)
        elif event.kind == "apply_complete":
            self._progress.ended(event.address)
        if event.diagnostic is not None:
            self.found.append(event.diagnostic)
        elif event.words:
            self._tell(event.words)


def _outputs(document: Mapping[str, Any]) -> list[Output]:
    found: list[Output] = []
    for name, body in document.items():
        each = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        hidden = bool(each.get("sensitive"))
        value: Any = each.get("value")
        text = SENSITIVE if hidden else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        found.append(Output(one_line(name), text, hidden))
    return found


def _document(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except UNREADABLE as error:
        raise PodiumError(f"the program's JSON cannot be read: {error}", hint="is `program` Terraform?") from error
    if not isinstance(found, dict):
        raise PodiumError("the program's JSON is no object", hint="is `program` Terraform?")
    return cast("dict[str, Any]", found)
