"""The executor for steps in containers. A child process of the worker supervises each one
(`core/engine/executors/container/supervisor.py`); the code here loads no Docker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ....beneath import Directory
from ....child import adopt_orphans
from ....containers.engine import address as addresses
from ....containers.engine import unix_http
from ....containers.engine.address import Address
from ....containers.images.ignored import not_ignored
from ....domain.frozen import Frozen
from ....domain.project import ContainerSpec
from ....errors import RunFailed
from ... import environment, orphans
from ...cache.hashing import FileEntry, locate, summary
from ...cache.outputs import scan_directory
from .. import ExecutorContext, Task
from ..supervised import Facts, SupervisedExecution, result_file, supervise
from .spec import BuildFile, ContainerStepSpec

if TYPE_CHECKING:
    from ...graph import PlannedStep

# How long another machine's engine is waited for before what is remembered of it has to do (seconds).
IMAGE_ID_TIMEOUT = 30.0
POLL_INTERVAL = 0.05
SUPERVISOR_MODULE = "podium.core.engine.executors.container.supervisor"


class _Build(Frozen):
    digest: str
    files: tuple[BuildFile, ...]


class DockerExecutor:
    def __init__(self) -> None:
        adopt_orphans()
        self._builds: dict[str, _Build] = {}
        self._known: dict[str, str] = {}
        self._setting: ExecutorContext | None = None

    def fingerprint(self, step: PlannedStep, setting: ExecutorContext) -> str:
        """Returns the image's digest: for a directory to build, a hash of its content; for a name, what the engine
        has under it now, or had when it last answered. Empty if only pulling can tell."""
        spec = step.container
        if spec is None:
            return ""
        if spec.build:
            build = self._builds[spec.build] = _build(setting, spec)
            return f"build:{build.digest}"
        if not step.cacheable:
            return ""
        self._setting = setting
        found = self._known.get(spec.image) or _digest(setting, addresses.of_project(setting.project), spec.image)
        if found:
            self._known[spec.image] = found
        return found

    def start(self, task: Task) -> SupervisedExecution:
        project, spec = task.project, task.container
        if project is None or spec is None or task.directory is None or task.log is None:
            raise RunFailed(f"step {task.step} has no image", hint="add image: or build:")
        build = self._builds.get(spec.build) if spec.build else None
        result = result_file(task, "container")
        step = ContainerStepSpec(
            address=addresses.of_project(project),
            project=project.name,
            home=project.home,
            state=project.state,
            root=task.cwd,
            run=task.run_id,
            step=task.step,
            attempt=task.attempt,
            argv=tuple(task.argv),
            env=task.env,
            container=spec,
            outputs=task.outputs,
            stores=project.mlflow.stores,
            secrets=project.secrets,
            base=task.base,
            key=task.key,
            build=build.files if build else (),
            build_hash=build.digest if build else "",
            result=result,
            log=task.log,
            worker=os.getpid(),
            nice=task.nice,
        )

        def learn(facts: Facts) -> None:
            self._learn(spec.image, facts.get("fingerprint", ""))

        return supervise(task, project, SUPERVISOR_MODULE, step, result, learn=learn)

    def _learn(self, image: str, digest: str) -> None:
        """Remembers what a name stood for when a step ran, so that the next run needs no engine to know its key."""
        if image and digest and self._setting is not None:
            self._known[image] = digest
            self._setting.store.images.put(str(addresses.of_project(self._setting.project)), image, digest)


def _build(setting: ExecutorContext, spec: ContainerSpec) -> _Build:
    """Returns what the build directory holds. A link in it stays a link: what it points to is not sent to the
    engine."""
    full = locate(str(setting.root), spec.build, "build")
    try:
        with Directory.open(setting.root) as root, root.below(os.path.relpath(full, setting.root)) as directory:
            sent = not_ignored(directory)
            found = scan_directory(directory, full, setting.store.hashes)
            entries = [entry for entry in found if sent(entry.path)]
    except (FileNotFoundError, NotADirectoryError):
        raise RunFailed(
            f"build: there is no directory {spec.build!r}", hint="it is a directory of the project with a Dockerfile"
        ) from None
    return _Build(summary(entries), tuple(map(_file, entries)))


def _file(entry: FileEntry) -> BuildFile:
    return BuildFile(entry.path, entry.kind, bool(entry.mode & 0o100))


def _digest(setting: ExecutorContext, address: Address, reference: str) -> str:
    engine = str(address)
    found = unix_http.image_id(address, reference) if address.local else _asked_by_a_child(setting, address, reference)
    if found:
        setting.store.images.put(engine, reference, found)
        return found
    return setting.store.images.digest(engine, reference)


def _asked_by_a_child(setting: ExecutorContext, address: Address, reference: str) -> str | None:
    argv = [
        sys.executable,
        "-P",
        "-m",
        "podium.core.containers.images.image_id_main",
        str(address),
        address.tls,
        reference,
    ]
    env = environment.for_builtin(setting.project)
    child = subprocess.Popen(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + IMAGE_ID_TIMEOUT
    orphans.leaders.add(child.pid)
    try:
        while child.poll() is None and time.monotonic() < deadline:
            setting.breathe()
            time.sleep(POLL_INTERVAL)
        if child.poll() is None or child.returncode:
            return None
        assert child.stdout is not None
        return child.stdout.read(200).decode().strip()
    finally:
        if child.poll() is None:
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(3.0)
            if child.poll() is None:
                child.kill()
                child.wait()
        orphans.leaders.remove(child.pid)
        assert child.stdout is not None
        child.stdout.close()
