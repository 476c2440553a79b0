"""The table of plug-ins: names without imports, one by name with what is missing, all with warnings."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core import plugins
from podium.core.config import load
from podium.core.domain.capabilities import DriverCapabilities, ExecutorCapabilities
from podium.core.errors import ConfigError, MissingExtra, UsageError

from tests.plugin_package import package

MODULES = {
    "toys_good": "class Executor:\n    capabilities = None\nclass Driver: ...\n",
    "toys_broken": "import a_package_that_is_not_there.part\n",
    "toys_wrong": "1 / 0\n",
}
PLUGINS = {
    "executors": {"toy": "toys_good:Executor", "broken": "toys_broken:Executor", "nothing": "toys_good:Nothing"},
    "drivers": {"toy": "toys_good:Driver", "process": "toys_good:Driver"},
    "infra": {"cloud": "toys_wrong:Cloud"},
    "checks": {"toy": "toys_good:Driver"},
}


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(package(tmp_path / "site", PLUGINS, MODULES))
    monkeypatch.setattr(plugins, "_others", plugins.EntryPoints())
    yield
    for module in MODULES:
        sys.modules.pop(module, None)


def test_names_are_ours_and_those_of_packages_and_import_nothing(toys: None) -> None:
    assert plugins.names("executors")[:2] == ("process", "docker")
    assert set(plugins.names("executors")) >= {"toy", "broken", "nothing"}
    assert plugins.names("drivers").count("process") == 1
    assert set(plugins.added("infra")) == {"cloud"}
    ours = tuple(plugins.TABLE["checks"])
    assert plugins.names("checks") == ours, "nobody else can add a check: podium.yaml would not know its keys"
    assert not MODULES.keys() & sys.modules.keys()
    assert plugins.known("drivers", "toy") and not plugins.known("drivers", "nomad")


def test_names_that_nothing_brings_yet_are_known_but_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plugins.TABLE["drivers"], "nomad", plugins.Plugin())
    assert plugins.known("drivers", "nomad") and not plugins.installed("drivers", "nomad")
    assert "nomad" in plugins.choices("drivers") and "nomad" not in plugins.names("drivers")
    with pytest.raises(UsageError, match="no driver 'nomad'"):
        plugins.load("drivers", "nomad")


def test_one_is_loaded_and_ours_have_precedence(toys: None) -> None:
    assert plugins.load("executors", "toy").__name__ == "Executor"
    assert plugins.load("drivers", "process").__name__ == "ProcessDriver"


def test_a_broken_one_says_what_is_missing_and_how_to_install_it(toys: None) -> None:
    with pytest.raises(MissingExtra, match=r"'broken' of the package podium-toys .* needs a_package") as caught:
        plugins.load("executors", "broken")
    assert caught.value.hint == "pip install a_package_that_is_not_there"
    with pytest.raises(MissingExtra, match="there is no toys_good:Nothing") as caught:
        plugins.load("executors", "nothing")
    assert "install another version of podium-toys" in caught.value.hint
    with pytest.raises(
        MissingExtra, match=r"the infrastructure tool 'cloud' of the package podium-toys .*ZeroDivisionError"
    ):
        plugins.load("infra", "cloud")


def test_an_unknown_one_names_those_that_there_are(toys: None) -> None:
    with pytest.raises(UsageError, match="there is no driver 'nomad'") as caught:
        plugins.load("drivers", "nomad")
    assert {"process", "docker", "toy"} <= set(re.findall(r"\w+", caught.value.hint))
    with pytest.raises(MissingExtra, match="there is no metric 'luck'") as missing:
        plugins.load("metrics", "luck")
    assert "none yet" in missing.value.hint


def test_all_are_loaded_with_a_warning_for_each_that_does_not_load(toys: None) -> None:
    found, warnings = plugins.load_all("executors")
    assert {"process", "docker", "toy"} <= found.keys()
    assert len(warnings) == 2
    assert "a_package_that_is_not_there" in warnings[0].message and "toys_good:Nothing" in warnings[1].message


def test_capabilities_are_known_without_loading_ours_and_from_the_class_of_others(toys: None) -> None:
    assert plugins.executor_capabilities("docker").image
    assert plugins.driver_capabilities("docker").engine
    assert not plugins.driver_capabilities("process").engine
    assert plugins.executor_capabilities("toy") == ExecutorCapabilities()
    plugins.load("drivers", "toy").capabilities = DriverCapabilities(engine=True)
    assert plugins.driver_capabilities("toy").engine
    assert plugins.driver_capabilities("nomad") == DriverCapabilities()


def test_what_is_registered_for_a_process_can_be_taken_out_again() -> None:
    remove = plugins.register("drivers", "mine", f"{__name__}:Mine", DriverCapabilities(engine=True))
    try:
        assert plugins.known("drivers", "mine") and plugins.driver_capabilities("mine").engine
    finally:
        remove()
    assert not plugins.known("drivers", "mine")


def test_podium_yaml_is_held_against_what_drivers_and_executors_can(tmp_path: Path, toys: None) -> None:
    (tmp_path / "podium.yaml").write_text(
        "project: p\n"
        "pipelines: {p: {steps: {a: {run: x, image: python, executor: toy}, b: {run: x, executor: docker}}}}\n"
        "environments:\n"
        "  one: {driver: process, keep_stopped: 1, memory: 1g, port: 5101}\n"
        "  two: {driver: toy, memory: 1g, port: 5102}\n"
        "  three: {driver: nomad, port: 5103}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    problems = {problem.key: problem for problem in caught.value.problems}
    assert set(problems) == {
        "pipelines.p.steps.a.executor",
        "pipelines.p.steps.b.executor",
        "environments.one.keep_stopped",
        "environments.three.driver",
    }
    assert problems["environments.one.keep_stopped"].hint == "use driver: docker or driver: swarm"


def test_a_gate_measures_a_metric_of_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from podium.core.quality.metrics import Unmeasurable, named

    text = "from podium.core.quality.metrics import METRICS\nGOOD = METRICS['mae']\nBAD = 7\n"
    entries = {"metrics": {"toy-mae": "toys_metrics:GOOD", "toy-bad": "toys_metrics:BAD"}}
    monkeypatch.syspath_prepend(package(tmp_path / "site", entries, {"toys_metrics": text}))
    monkeypatch.setattr(plugins, "_others", plugins.EntryPoints())
    assert named("toy-mae").name == "mae"
    with pytest.raises(Unmeasurable, match="is no podium"):
        named("toy-bad")
    with pytest.raises(Unmeasurable, match="does not know the metric 'luck'") as caught:
        named("luck")
    assert "rmse" in caught.value.hint and "toy-mae" in caught.value.hint
    sys.modules.pop("toys_metrics")
