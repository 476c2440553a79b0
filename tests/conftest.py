"""Fixtures that tests of several rooms share: real servers, and the images that tests run on an engine.

A server that cannot be had is skipped, or fails its tests where servers are required (PODIUM_REQUIRE_SERVERS).
"""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from podium.core.containers import Engine, open_engine
from podium.core.containers.engine.address import LOCAL_SOCKET, parse
from podium.core.errors import PodiumError
from podium.core.known_secrets import known

from .runner import hooks, scale, turns
from .servers import dockerd, images, prometheus, ray, registry, sshd, tls
from .servers import nodes as nodes_of_their_own
from .servers import swarm as swarm_of_nodes
from .support import free_port

# The libraries that tests load are a million objects that stay: to look through them for garbage every 700 new ones is
# a tenth of a test process's time.
gc.set_threshold(20_000)

ENGINE_MISSING = "no Docker engine answers"


# Files whose tests take minutes. They go first, so that no process is left with one of them when the others are
# through.
LONG = (
    "integration/test_demo_docker.py",
    "chaos/test_promotions_docker.py",
    "integration/test_demo.py",
    "chaos/test_promotions.py",
    "chaos/test_engine.py",
    "chaos/test_hosts.py",
    "chaos/test_swarm.py",
    "delivery/hosts/test_hosts.py",
    "delivery/hosts/test_signed_hosts.py",
    "delivery/hosts/test_starting.py",
    "delivery/swarm/test_swarm.py",
    "delivery/test_real.py",
)


def pytest_configure(config: pytest.Config) -> None:
    hooks.configure(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    turns.choose(config, items)
    items.sort(
        key=lambda item: next(
            (place for place, name in enumerate(LONG) if item.path.as_posix().endswith(name)), len(LONG)
        )
    )
    hooks.scale_timeouts(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return hooks.scheduler(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    turns.remember(node.config, getattr(node, "workeroutput", {}).get(turns.MARKER, 0))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from hooks.protect(item))


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    return (yield from hooks.forget_failure(fixturedef))


@pytest.fixture(scope="session", autouse=True)
def _session(tmp_path_factory: pytest.TempPathFactory) -> None:
    hooks.temporary(tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def _no_secret_of_another_test() -> Iterator[None]:
    """What a test's process held as a credential is hidden in its own errors alone."""
    yield
    known.forget()


def required(missing: str) -> None:
    """Skips, or fails, when something is missing."""
    if missing and os.environ.get("PODIUM_REQUIRE_SERVERS"):
        pytest.fail(f"required here: {missing}")
    if missing:
        pytest.skip(missing)


def ray_required() -> None:
    """Skips where no environment with a Ray is named, which is apart from Podium's own; `.ci/run` makes one."""
    if ray.VARIABLE not in os.environ:
        pytest.skip(f"no Ray ({ray.VARIABLE} names an environment with one)")
    required("" if ray.program() else f"no Ray in {os.environ[ray.VARIABLE]}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line each: what was not drawn, and what was not tested here, and for want of what."""
    if line := turns.told(config):
        terminalreporter.write_line(line)
    skipped = [
        report.longrepr for report in terminalreporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple)
    ]
    if scale.factor() > 2 * scale.MARGIN:
        terminalreporter.write_line(f"this machine is busy: time-outs were multiplied by {scale.factor():g}")
    reasons = Counter(str(reason).removeprefix("Skipped: ") for _, _, reason in skipped)
    if reasons:
        told = "; ".join(f"{count} ({reason})" for reason, count in reasons.most_common())
        terminalreporter.write_line(f"not tested here: {told}", yellow=True)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """This machine's engine."""
    try:
        found = open_engine(parse(os.environ.get("DOCKER_HOST") or f"unix://{LOCAL_SOCKET}"))
    except PodiumError as error:
        required(f"{ENGINE_MISSING} ({error.message})" if os.environ.get("PODIUM_REQUIRE_SERVERS") else ENGINE_MISSING)
        raise
    hooks.say("engine", found.address)
    with found:
        yield found


def _image(engine: Engine, name: str) -> str:
    # Several test processes share the engine: one makes an image, the others wait for it.
    with Path(tempfile.gettempdir(), f"podium-test-images-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return images.ensure(engine.api, name)


@pytest.fixture(scope="session")
def shell_image(engine: Engine) -> str:
    """A small image with a shell and the usual commands."""
    return _image(engine, images.SHELL)


@pytest.fixture(scope="session")
def haproxy_image(engine: Engine) -> str:
    return _image(engine, images.HAPROXY)


@pytest.fixture(scope="session")
def python_image(engine: Engine) -> str:
    """A Python with MLflow, scikit-learn and what serving needs: nothing has to be downloaded into an image built on
    it."""
    return _image(engine, images.PYTHON)


@pytest.fixture(scope="session")
def _image_registry() -> Iterator[registry.Registry]:
    required(registry.missing())
    with registry.Registry() as made:
        yield made


@pytest.fixture
def image_registry(_image_registry: registry.Registry) -> registry.Registry:
    """An image registry that lets anybody in; `address` is the first part of an image's name. One for the whole
    session: use names of your own."""
    return _image_registry.ensure()


@pytest.fixture
def private_registry() -> Iterator[registry.Registry]:
    """An image registry that asks for `user` and `password`; `docker_config(directory)` is a place for DOCKER_CONFIG
    with them."""
    required(registry.missing())
    with registry.Registry("anna", "a-password-of-tests") as made:
        yield made


@pytest.fixture
def alertmanager() -> Iterator[prometheus.Alertmanager]:
    """An Alertmanager of the test's own, which may be stopped and started again."""
    required(prometheus.missing_alertmanager())
    with prometheus.Alertmanager() as made:
        yield made


@pytest.fixture
def scraping() -> Iterator[Callable[..., prometheus.Prometheus]]:
    """Makes a Prometheus that scrapes a target (`scraping("127.0.0.1:9101", token="…")`), ended after the test."""
    required(prometheus.missing_prometheus())
    with ExitStack() as made:
        yield lambda target, token="": made.enter_context(prometheus.Prometheus(target, token))


@pytest.fixture(scope="session")
def _sshd() -> Iterator[sshd.Sshd]:
    required(sshd.missing())
    with sshd.Sshd() as made:
        yield made


@pytest.fixture
def ssh_server(_sshd: sshd.Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[sshd.Sshd]:
    """An sshd that the `ssh` found on PATH gets into, in this process and those it starts; its line is restored after
    each test."""
    monkeypatch.setenv("PATH", _sshd.ensure().path)
    yield _sshd
    _sshd.line.restore()


@pytest.fixture
def ssh_engine(engine: Engine, ssh_server: sshd.Sshd) -> str:
    """The address (`ssh://…`) of this machine's engine over SSH; `ssh_server.line` cuts the way to it."""
    path = engine.address.path if engine.address.path != LOCAL_SOCKET else ""
    return ssh_server.address(path)


@pytest.fixture(scope="session")
def tls_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tls.TlsEngine]:
    """An engine of the tests' own behind TCP and TLS. It has no images; what a test makes there ends with the
    session."""
    required(tls.missing() or dockerd.missing())
    good, other = (tls.make(tmp_path_factory.mktemp("tls") / name) for name in ("good", "other"))
    address = f"127.0.0.1:{free_port()}"
    options = [
        "--tlsverify",
        f"--tlscacert={good}/ca.pem",
        f"--tlscert={good}/server-cert.pem",
        f"--tlskey={good}/server-key.pem",
    ]
    with dockerd.Dockerd("-H", f"tcp://{address}", *options) as made:
        yield tls.TlsEngine(f"tcp://{address}", good, other, made)


@pytest.fixture
def own_dockerd() -> Iterator[Callable[..., dockerd.Dockerd]]:
    """Makes running engines of the test's own (`own_dockerd(live_restore=True)`), to be stopped, killed and started
    again; ended after the test."""
    required(dockerd.missing())
    made: list[dockerd.Dockerd] = []

    def make(*arguments: str, live_restore: bool = False) -> dockerd.Dockerd:
        made.append(dockerd.Dockerd(*arguments, live_restore=live_restore))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def nodes() -> Iterator[nodes_of_their_own.Nodes]:
    """Three machines that serve, as far as one machine can have several."""
    required(nodes_of_their_own.missing())
    before = os.environ.get("PATH", os.defpath)
    with nodes_of_their_own.Nodes(3) as found:
        os.environ["PATH"] = found.path
        try:
            yield found
        finally:
            os.environ["PATH"] = before


@pytest.fixture(scope="module")
def swarm(nodes: nodes_of_their_own.Nodes) -> Iterator[swarm_of_nodes.Swarm]:
    """A Swarm of these machines."""
    with swarm_of_nodes.Swarm(nodes) as found:
        yield found


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[ray.Cluster]:
    """A Ray of two nodes. Its sockets need a short path."""
    ray_required()
    root = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    try:
        with ray.cluster(root) as cluster:
            yield cluster
    finally:
        shutil.rmtree(root, ignore_errors=True)
