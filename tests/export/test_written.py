"""What another engine is told: judged by Compose's own program and by Kubernetes' published schemas."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from podium.core.delivery.proxy.haproxy import binary
from podium.core.domain.engines.exports import ExportedEnvironment, Served
from podium.core.domain.project import Batch, Environment, RequestBounds, Strategy
from podium.core.export import compose, haproxy, kubernetes
from podium.core.export.writing import name_of

from tests.conftest import required
from tests.runner.scale import scaled

DIGEST = "registry.example.com/shop@sha256:" + "a" * 64
NEXT = "registry.example.com/shop@sha256:" + "b" * 64
HOSTILE = 'a"b\n$HOME ${PATH} $(id) #: - {x} \u202e\x1b[31m'


def facts(*served: Served, **environment: Any) -> ExportedEnvironment:
    values = {"port": 5100, "replicas": 2, "cpus": 1.5, "memory": 512 << 20, "batch": Batch(), **environment}
    return ExportedEnvironment(
        "shop",
        "shop-model",
        Environment("production", **values),
        served or (Served(7, 100, DIGEST, True, "c0ffee", 41, "d" * 64),),
        user=10001,
        port=8080,
        writable=("/tmp",),
        variables=(("PODIUM_SERVING_MAX_BODY", "16777216"),),
    )


CANARY = (Served(7, 75, DIGEST, True, "c0ffee", 41, "d" * 64), Served(8, 25, NEXT, True, "dec0de", 42, "e" * 64))
CASES = {
    "one version": facts(),
    "a canary": facts(*CANARY),
    "without limits": facts(cpus=None, memory=None, batch=None),
    "an address of IPv6, in the open": facts(bind="::1", open=True),
    "hostile words": replace(
        facts(Served(1, 100, DIGEST, True, HOSTILE, None, HOSTILE)), project=HOSTILE, model=HOSTILE, left_out=(HOSTILE,)
    ),
    "long names": replace(facts(), project="p" * 80, model="M" * 200),
}


@pytest.mark.parametrize("case", CASES)
def test_compose_itself_accepts_the_file(case: str, tmp_path: Path) -> None:
    required("" if shutil.which("docker-compose") else "docker-compose")
    for name, text in compose.files(CASES[case]).items():
        (tmp_path / name).write_text(text)
    command = ["docker-compose", "--compatibility", "-f", compose.FILE, "config"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=scaled(60), check=False)
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)["services"]
    assert {one.image for one in CASES[case].served} == {read[name]["image"] for name in read if name != "proxy"}


@pytest.mark.parametrize("case", CASES)
def test_haproxy_itself_accepts_the_file(case: str, tmp_path: Path) -> None:
    file = tmp_path / compose.PROXY_FILE
    file.write_text(compose.files(CASES[case])[compose.PROXY_FILE])
    done = subprocess.run([binary(), "-c", "-f", file], capture_output=True, text=True, timeout=scaled(60), check=False)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr


def test_what_compose_reads_is_what_was_meant(tmp_path: Path) -> None:
    """A value with a dollar stays that value, and no variable of this shell gets in."""
    required("" if shutil.which("docker-compose") else "docker-compose")
    for name, text in compose.files(CASES["hostile words"]).items():
        (tmp_path / name).write_text(text)
    command = ["docker-compose", "--compatibility", "-f", compose.FILE, "config"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=scaled(60), check=False)
    service = yaml.safe_load(done.stdout)["services"]["v1"]
    told = service["environment"]["PODIUM_SERVING_COMMIT"]
    assert told.replace("$$", "$") == HOSTILE, "docker-compose writes a dollar as it reads it"


@pytest.mark.parametrize("case", CASES)
def test_every_object_is_one_of_kubernetes(case: str) -> None:
    (text,) = kubernetes.files(CASES[case]).values()
    objects = [each for each in yaml.safe_load_all(text) if each]
    known = [each for each in objects if not each["apiVersion"].startswith("gateway.")]
    assert len(known) == 2 * len(CASES[case].served)
    for each in known:
        kubernetes_validate.validate(each, "1.33", strict=True)
        name = each["metadata"]["name"]
        assert len(name) <= 63 and name == name.lower()
        assert all(len(value) <= 63 for value in each["metadata"]["labels"].values())


def test_a_wrong_object_would_be_found() -> None:
    (text,) = kubernetes.files(facts()).values()
    wrong = next(yaml.safe_load_all(text))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.33", strict=True)


def test_a_service_reaches_the_pods_of_its_own_version_only() -> None:
    (text,) = kubernetes.files(facts(*CANARY)).values()
    objects = [each for each in yaml.safe_load_all(text) if each]
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in objects if each["kind"] == "Deployment"]
    for service in (each for each in objects if each["kind"] == "Service"):
        selected = [pod for pod in pods if service["spec"]["selector"].items() <= pod.items()]
        assert len(selected) == 1
        assert selected[0]["app.kubernetes.io/version"] == service["metadata"]["labels"]["app.kubernetes.io/version"]


def test_a_canary_keeps_its_shares() -> None:
    (text,) = kubernetes.files(facts(*CANARY)).values()
    route = next(each for each in yaml.safe_load_all(text) if each and each["kind"] == "HTTPRoute")
    names = {each["metadata"]["name"] for each in yaml.safe_load_all(text) if each and each["kind"] == "Service"}
    split = {each["name"]: each["weight"] for each in route["spec"]["rules"][0]["backendRefs"]}
    assert set(split) == names and sorted(split.values()) == [25, 75]
    assert haproxy.weights(CANARY) == [256, 85]
    assert haproxy.weights((replace(CANARY[0], share=99), replace(CANARY[1], share=1))) == [256, 3]


def test_nothing_is_published_beyond_the_machine_unless_the_file_says_so() -> None:
    def published(**environment: Any) -> str:
        return yaml.safe_load(compose.files(facts(**environment))[compose.FILE])["services"]["proxy"]["ports"][0]

    assert published(bind="0.0.0.0") == "127.0.0.1:5100:5100"
    assert published(bind="0.0.0.0", open=True) == "0.0.0.0:5100:5100"
    assert published(bind="::", open=True) == "[::]:5100:5100"


def test_the_proxy_has_the_bounds_of_requests() -> None:
    text = compose.files(facts(request=RequestBounds(body=1000, prediction=5.0)))[compose.PROXY_FILE]
    assert "gt 1000 }" in text and "timeout server 15000ms" in text


def test_times_to_end_are_whole_seconds() -> None:
    environment = {"strategy": Strategy(drain=2.5)}
    assert (
        yaml.safe_load(compose.files(facts(**environment))[compose.FILE])["services"]["v7"]["stop_grace_period"] == "3s"
    )
    (text,) = kubernetes.files(facts(**environment)).values()
    assert next(yaml.safe_load_all(text))["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 3


def test_names_stay_apart() -> None:
    assert name_of("shop", "production") == "shop-production"
    assert len({name_of("Shop", "x"), name_of("shop", "x"), name_of("shop.", "x"), name_of("ショップ", "x")}) == 4
    assert name_of("shop-eu", "production") != name_of("shop", "eu-production")
    assert name_of("7up").startswith("x-7up")
