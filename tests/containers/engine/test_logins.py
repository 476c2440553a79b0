"""Logins for registries: helpers that hang, fail or are not there are no fault of the engine's."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.containers.engine import logins, swarm
from podium.core.containers.engine.logins import login_headers
from podium.core.containers.images import registry, store
from podium.core.errors import Refused, RunFailed

from tests.containers.wire import Wire, document, messages
from tests.servers.registry import Registry
from tests.support import processes_of, wait_until

HUB, DIGEST = "hub.example:5000", "sha256:" + "a" * 64
IMAGE = f"{HUB}/team/tools@{DIGEST}"
NONE = "echo credentials not found in native keychain; exit 1"


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes config.json, and the helper that it names: a shell script."""

    def write(script: str | None = None, **more: object) -> Path:
        config = more if script is None else {"credHelpers": {HUB: "toy"}, **more}
        (tmp_path / "config.json").write_text(json.dumps(config))
        if script:
            helper = tmp_path / "docker-credential-toy"
            helper.write_text(f"#!/bin/sh\n{script}\n")
            helper.chmod(0o755)
        return tmp_path / "config.json"

    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return write


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[tuple[Wire, Engine]]:
    with Wire(tmp_path / "engine.sock") as wire, wire.engine() as engine:
        yield wire, engine


def sent(image: str = IMAGE) -> dict[str, str]:
    header = login_headers(image, "pulling it")["X-Registry-Auth"]
    return json.loads(base64.urlsafe_b64decode(header))


def test_what_a_helper_says_goes_along(login: Callable[..., Path]) -> None:
    login("""read server; echo '{"Username": "anna", "Secret": "'$1-$server'"}'""")
    assert sent() == {"ServerAddress": HUB, "Username": "anna", "Password": f"get-{HUB}"}
    login("""echo '{"Username": "<token>", "Secret": "t0ken"}'""")
    assert sent() == {"ServerAddress": HUB, "IdentityToken": "t0ken"}
    stored = base64.b64encode(b"anna:hush").decode()
    login(NONE, auths={HUB: {"auth": stored}})
    assert sent()["password"] == "hush", "what the file itself has counts where the helper has nothing"
    login("""echo '{"Username": "bob", "Secret": "x"}'""", credHelpers={}, credsStore="toy")
    assert sent()["Username"] == "bob"


@pytest.mark.parametrize("script", [NONE, """echo '{"Username": "", "Secret": ""}'"""])
def test_who_has_not_logged_in_sends_nothing(login: Callable[..., Path], script: str) -> None:
    login(script)
    assert login_headers(IMAGE, "pulling it") == {}
    login()
    assert login_headers(IMAGE, "pulling it") == {}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("", "is not installed"),
        ("echo the keychain is locked; exit 3", "failed: the keychain is locked"),
        ("echo no bus >&2; exit 3", "failed: no bus"),
        ("exit 3", "failed: exit code 3"),
        ("echo hush", "failed: it printed something that is no login"),
        ("""echo '{"Username": "hush"}'""", "failed: it printed something that is no login"),
        ("echo '[\"hush\"]'", "failed: it printed something that is no login"),
    ],
)
def test_a_helper_that_fails_is_told(login: Callable[..., Path], script: str, words: str) -> None:
    config = login(script)
    with pytest.raises(RunFailed) as caught:
        login_headers(IMAGE, "pulling it")
    assert caught.value.message == f"pulling it: the credential helper docker-credential-toy of {config} {words}"
    assert "docker-credential-toy get" in caught.value.hint and "hush" not in caught.value.hint


@pytest.mark.parametrize(
    "config", [{"auths": {HUB: {"auth": "YQ"}}}, {"auths": {HUB: "x"}}, {"auths": [HUB]}, {"credHelpers": [HUB]}]
)
def test_a_file_that_cannot_be_understood_is_told(login: Callable[..., Path], config: dict[str, object]) -> None:
    path = login(**config)
    with pytest.raises(RunFailed, match=f"pulling it: the logins in {path} cannot be used: ") as caught:
        login_headers(IMAGE, "pulling it")
    assert "docker login" in caught.value.hint


def pull(engine: Engine) -> object:
    return registry.pull(engine, IMAGE, say=lambda _: None)


def push(engine: Engine) -> object:
    return registry.push(engine, DIGEST, f"{HUB}/team/tools", "1", say=lambda _: None)


def create(engine: Engine) -> object:
    return swarm.create(engine, {"Name": "v1", "TaskTemplate": {"ContainerSpec": {"Image": IMAGE}}})


@pytest.mark.parametrize(
    ("work", "what"),
    [(pull, f"pulling {IMAGE}"), (push, f"pushing {HUB}/team/tools:1"), (create, "creating the service v1")],
)
def test_a_helper_that_hangs_is_no_engine_that_is_away(
    login: Callable[..., Path],
    answering: tuple[Wire, Engine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[Engine], object],
    what: str,
) -> None:
    wire, engine = answering
    login(f"sh -c 'sleep 600; : {tmp_path}'; :")
    asked = len(wire.seen)
    with monkeypatch.context() as patch:
        patch.setattr(logins, "HELPER_TIMEOUT", 0.5)
        with pytest.raises(RunFailed, match=r"docker-credential-toy of .* does not answer within 0\.5 s") as caught:
            work(engine)
    assert caught.value.message.startswith(f"{what}: ") and len(wire.seen) == asked, "the engine was not asked"
    wait_until(lambda: not processes_of(tmp_path), what="nothing is left of it")
    login("""echo '{"Username": "anna", "Secret": "hush"}'""")
    for path in (f"/images/{HUB}/team/tools/push", "/images/create"):
        wire.tell(f"POST {path}", messages({"aux": {"Digest": DIGEST}}))
    wire.tell(f"GET /images/{IMAGE.replace('@', '%40')}/json", document({"Id": DIGEST}))
    wire.tell(f"POST /images/{DIGEST}/tag", document({}, 201))
    wire.tell("POST /services/create", document({"ID": "s1"}, 201))
    assert work(engine)
    assert any("X-Registry-Auth" in each.headers for each in wire.seen[asked:]), "it goes along now"


def test_a_registry_lets_in_whom_a_helper_names(
    engine: Engine, shell_image: str, private_registry: Registry, login: Callable[..., Path]
) -> None:
    into = f"{private_registry.address}/team/tools"
    login(NONE, credHelpers={private_registry.address: "toy"})
    with pytest.raises(Refused, match="the registry refused"):
        registry.push(engine, shell_image, into, "1", say=lambda _: None)
    anna = {"Username": private_registry.user, "Secret": private_registry.password}
    login(f"echo '{json.dumps(anna)}'", credHelpers={private_registry.address: "toy"})
    digest = registry.push(engine, shell_image, into, "1", say=lambda _: None)
    assert registry.pull(engine, f"{into}@{digest}", say=lambda _: None)["Id"]
    for name in (f"{into}:1", f"{into}@{digest}"):
        store.remove(engine, name)
