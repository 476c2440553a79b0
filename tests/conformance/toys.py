"""A package of another person: an executor, a driver and a built-in step, found by entry points alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.delivery.light import SERVER
from tests.plugin_package import package

MODULE = f"""
import sys
from dataclasses import replace

from podium.core.delivery.drivers.process import ProcessDriver
from podium.core.domain.capabilities import DriverCapabilities, ExecutorCapabilities
from podium.core.engine.executors.process import ProcessExecutor


class ToyExecutor(ProcessExecutor):
    capabilities = ExecutorCapabilities()

    def start(self, task):
        return super().start(replace(task, env={{**task.env, "TOY": "yes"}}))

    def fingerprint(self, step, setting):
        return "toy-1"


class ToyDriver(ProcessDriver):
    capabilities = DriverCapabilities(keys=("memory",))

    def command(self, spec):
        return [sys.executable, "-S", "-E", {str(SERVER)!r}, *super().command(spec)[3:]]


def toy_step(context):
    print("a toy step with", dict(context.options), flush=True)
    return {{"colour": context.options["colour"], "before": list(context.upstream)}}
"""
PLUGINS = {
    "executors": {"toy": "toys:ToyExecutor", "toy-broken": "toys_broken:Executor"},
    "drivers": {"toy": "toys:ToyDriver", "toy-broken": "toys_broken:Driver"},
    "steps": {"toy": "toys:toy_step", "toy-broken": "toys_broken:step"},
}
MODULES = {"toys": MODULE, "toys_broken": "import a_package_that_is_not_there\n"}


@contextmanager
def installed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In this process and those that it starts."""
    package(directory, PLUGINS, MODULES)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(directory)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(directory), os.environ.get("PYTHONPATH")])))
        yield
