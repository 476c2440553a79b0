"""`podium demo --docker` without its output: steps and versions in containers of a real engine, a canary that
succeeds, one that its own analysis rolls back, and a rollback. After each of these it checks that the engine and
Podium agree."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..domain.delivery import How
from ..domain.demo import DemoEvent, DemoImages, DemoResult, EventKind
from ..domain.runs import Run
from ..errors import RunFailed
from . import engine
from .project import DemoRepository, make, possible
from .story import ENVIRONMENT, PIPELINE, POLL_INTERVAL, REQUEST_RATE, Demo
from .traffic import DemoTraffic

if TYPE_CHECKING:
    from .facade import Facade

COMMAND = "podium demo --docker"
CONFIGURATION = "podium.docker.yaml"
AGREE_TIMEOUT = 10.0


class DockerDemo(Demo):
    def __init__(self, directory: Path, opened: Callable[[Path], Facade], images: DemoImages) -> None:
        super().__init__(directory, opened)
        self.images = images

    def play(self) -> Iterator[DemoEvent]:
        began = time.monotonic()
        possible(self.directory, COMMAND)
        yield from self._engine()
        yield from self._begin()
        yield from self._first()
        yield from self._better()
        yield from self._slow()
        yield from self._rollback()
        self.results.append(DemoResult("the whole demonstration", "done", time.monotonic() - began))

    def _engine(self) -> Iterator[DemoEvent]:
        yield DemoEvent(EventKind.CHAPTER, "A Docker engine")
        with engine.opened() as found:
            yield DemoEvent(
                EventKind.DONE, f"Docker {found.info().get('ServerVersion', '')} answers", str(found.address)
            )
            for name, what, option in (
                (self.images.base, "a Python with pip", "--base"),
                (self.images.proxy, "HAProxy", "--proxy-image"),
            ):
                yield DemoEvent(EventKind.DOING, name)
                yield DemoEvent(EventKind.DONE, name, engine.bring(found, name, what=what, option=option))

    def _make(self) -> DemoRepository:
        return make(self.directory, adapt=self._adapt)

    def _adapt(self, directory: Path) -> None:
        """Replaces podium.yaml with its Docker variant, and the images in it with the chosen ones."""
        os.replace(directory / CONFIGURATION, directory / "podium.yaml")  # noqa: PTH105
        defaults = DemoImages()
        for path in (directory / "podium.yaml", directory / "container" / "Dockerfile"):
            text = path.read_text(encoding="utf-8")
            text = text.replace(defaults.base, self.images.base).replace(defaults.proxy, self.images.proxy)
            path.write_text(text, encoding="utf-8")

    def _first(self) -> Iterator[DemoEvent]:
        yield DemoEvent(
            EventKind.CHAPTER,
            "From commit 1 to a served model",
            "tests, data and training in containers, a gate, an image, two replicas",
        )
        ended = yield from self._follow(self.cockpit.runs.start(PIPELINE, why="the first release"))
        self._must_succeed(ended)
        serving = self.cockpit.environments.get(ENVIRONMENT)
        yield DemoEvent(EventKind.DONE, f"version {serving.serving} is champion and serves", serving.url)
        yield from self._image()
        yield from self._agree()
        self._result("commit 1: first model, in containers", f"v{serving.serving} serves", ended)

    def _better(self) -> Iterator[DemoEvent]:
        yield DemoEvent(
            EventKind.CHAPTER,
            "A better model, through a canary",
            f"{REQUEST_RATE:.0f} requests a second, replayed from August",
        )
        self._traffic = DemoTraffic(self.directory, self.cockpit.environments.get(ENVIRONMENT).url, REQUEST_RATE)
        self._traffic.wait_until_flowing()
        before = self._traffic.count()
        ended = yield from self._push("better")
        self._must_succeed(ended)
        yield from self._image()
        serving = self.cockpit.environments.get(ENVIRONMENT)
        count = self._settled() - before
        yield DemoEvent(
            EventKind.BAD if count.failed else EventKind.DONE, f"version {serving.serving} has all traffic", str(count)
        )
        yield from self._agree()
        self._result("commit 2: better model, canary", f"v{serving.serving} serves", ended, count)

    def _slow(self) -> Iterator[DemoEvent]:
        yield DemoEvent(
            EventKind.CHAPTER,
            "A model that the gate likes and its users would not",
            "slow where a request lacks the air pressure",
        )
        serving = self.cockpit.environments.get(ENVIRONMENT).serving
        before = self._counted
        ended = yield from self._push("slow", failing="production")
        refused = self._must_fail(ended, "production", "the canary let the slow model through")
        yield DemoEvent(EventKind.BAD, refused.message.partition("\n")[0])
        count = self._settled() - before
        if self.cockpit.environments.get(ENVIRONMENT).serving != serving:
            raise RunFailed(f"version {serving} does not serve any more", hint=f"podium -C {self.directory} status")
        yield DemoEvent(
            EventKind.BAD if count.failed else EventKind.DONE,
            f"it went back by itself: version {serving} serves on",
            str(count),
        )
        yield from self._agree()
        self._result("commit 3: slow model, canary", "taken back by its canary", ended, count)

    def _rollback(self) -> Iterator[DemoEvent]:
        yield DemoEvent(EventKind.CHAPTER, "Back to version 1", "the traffic goes on")
        older = self.cockpit.environments.get(ENVIRONMENT).rollback_to
        if older is None:
            raise RunFailed("there is no version to go back to", hint=f"podium -C {self.directory} status")
        yield from self._switch(How.ROLLBACK, older, "shown in the demonstration")
        yield from self._agree()

    # What the chapters share

    def _push(self, change: str, *, failing: str = "") -> Generator[DemoEvent, None, Run]:
        commit, subject = self.changes.apply(change)
        yield DemoEvent(EventKind.DONE, f"committed and pushed to main: {subject}", commit[:9])
        run: Run = yield from self._noticed(commit)
        ended: Run = yield from self._follow(run, failing=failing)
        yield from self._verdicts(ended)
        return ended

    def _image(self) -> Iterator[DemoEvent]:
        """Yields the size of the newest image and its build time: the second image shares all layers but its model
        with the first."""
        images = self.cockpit.containers.images()
        if images:
            newest = max(images, key=lambda image: image.built)
            yield DemoEvent(
                EventKind.DONE,
                f"image of version {newest.version}: {newest.size / 1e6:.0f} MB",
                "built",
                newest.seconds,
            )

    def _meanwhile(self) -> Iterator[DemoEvent]:
        return self._canary()

    def _agree(self) -> Iterator[DemoEvent]:
        """Checks that `docker ps` and `podium status` agree. Raises RunFailed, with both, if they still differ after
        a moment."""
        deadline = time.monotonic() + AGREE_TIMEOUT
        while True:
            status = self.cockpit.environments.get(ENVIRONMENT)
            words, differences = engine.compared(self.cockpit.project.config, status)
            if not differences:
                yield DemoEvent(EventKind.DONE, "docker ps and podium status agree", words)
                return
            if time.monotonic() > deadline:
                raise RunFailed(
                    f"docker ps and podium status do not agree: {'; '.join(differences)}",
                    hint=f"podium -C {self.directory} status",
                )
            time.sleep(POLL_INTERVAL)

    def stop(self) -> list[str]:
        project = self._cockpit.project.config if self._cockpit is not None else None
        try:
            stopped = super().stop()
        finally:
            left = engine.end_all(project) if project is not None else []
        return stopped + left
