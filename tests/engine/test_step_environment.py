"""Which variables of the caller a step gets, and that it is told of those that it does not get."""

from __future__ import annotations

import os

import pytest
from podium.core.engine import environment
from podium.core.engine.run.forks import forget_credentials, of_fork

from tests.engine.lab import Lab

SERVER = {
    "MLFLOW_TRACKING_SERVER_CERT_PATH": "/etc/ca.pem",
    "MLFLOW_TRACKING_INSECURE_TLS": "true",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH": "/etc/client.pem",
    "MLFLOW_S3_ENDPOINT_URL": "http://minio:9000",
    "AWS_ACCESS_KEY_ID": "an-id",
    "AWS_SECRET_ACCESS_KEY": "of-the-bucket",
    "AZURE_STORAGE_CONNECTION_STRING": "of-the-store",
    "AZURE_TENANT_ID": "a-tenant",
    "GOOGLE_APPLICATION_CREDENTIALS": "/home/me/key.json",
}


def test_what_mlflow_needs_reaches_steps() -> None:
    caller = {**SERVER, "PATH": "/bin", "MLFLOW_RUN_ID": "of another run", "EDITOR": "vi"}
    found = environment.inherited(caller)
    assert {name: found[name] for name in SERVER} == SERVER
    assert not found.keys() & {"MLFLOW_RUN_ID", "EDITOR"}
    paths = {name for name, value in SERVER.items() if value.startswith("/")}
    assert environment.inherited_by_containers(caller).keys() & SERVER.keys() == SERVER.keys() - paths


def test_which_workspace_and_registry_are_meant_reaches_steps() -> None:
    caller = {"PATH": "/bin", "MLFLOW_WORKSPACE": "team-a", "MLFLOW_REGISTRY_URI": "https://models.example.org"}
    for found in (environment.inherited(caller), environment.inherited_by_containers(caller)):
        assert {name: found.get(name) for name in caller if name != "PATH"} == {
            "MLFLOW_WORKSPACE": "team-a", "MLFLOW_REGISTRY_URI": "https://models.example.org"
        }  # fmt: skip


def test_a_server_on_this_machine_is_behind_no_proxy_in_a_step(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Podium itself asks it: a proxy knows another machine by the name `localhost`."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("no_proxy", "intern.example.org")
    lab.pipeline("a: {run: 'echo $HTTP_PROXY; echo $no_proxy'}")
    run, _ = lab.run()
    proxy, in_step = lab.log(run.id, "a").splitlines()
    assert proxy == "http://127.0.0.1:9"
    for names in (in_step, environment.for_builtin(lab.project)["no_proxy"]):
        assert {"intern.example.org", "localhost", "127.0.0.1"} <= set(names.split(",")), names


def test_the_code_of_a_fork_gets_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVER.items():
        monkeypatch.setenv(name, value)
    forget_credentials()
    assert not environment.inherited_by_containers().keys() & SERVER.keys()
    assert not environment.inherited().keys() & SERVER.keys()
    assert not os.environ.keys() & SERVER.keys()


def test_what_is_not_passed_on_is_told_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("HF_HOME", "/models")
    lab.pipeline(
        'a: {run: "echo [$CUDA_VISIBLE_DEVICES]"}\n'
        'b: {run: "echo [$CUDA_VISIBLE_DEVICES]", needs: [a], env: {CUDA_VISIBLE_DEVICES: "${CUDA_VISIBLE_DEVICES}"}}'
    )
    run, _ = lab.run()
    assert lab.log(run.id, "a") == "[]"
    assert lab.log(run.id, "b") == "[1]"
    assert "not passed on: CUDA_VISIBLE_DEVICES, HF_HOME" in lab.log(run.id, "a", "p")
    assert "not passed on" not in lab.log(run.id, "b", "p")


def passing(lab: Lab, names: str) -> None:
    written = lab.home / "podium.yaml"
    written.write_text(f"{written.read_text()}pass: [{names}]\n")


SHOWN = 'echo "[$CUDA_VISIBLE_DEVICES] [$HF_HOME] [$HF_TOKEN] [$EDITOR]"'


def test_pass_names_what_steps_get_and_is_no_part_of_their_key(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CUDA_VISIBLE_DEVICES": "1", "HF_HOME": "/models", "HF_TOKEN": "hf-of-anna-42"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EDITOR", "vi")
    lab.pipeline(
        f"a: {{run: '{SHOWN}', inputs: [podium.yaml]}}\n"
        f"b: {{run: '{SHOWN}', needs: [a], gpus: [0, GPU-3f]}}\n"
        f"c: {{run: '{SHOWN}', needs: [b], gpus: none}}"
    )
    passing(lab, 'CUDA_VISIBLE_DEVICES, "HF_*"')
    run, _ = lab.run()
    assert lab.log(run.id, "a") == "[1] [/models] [***] []", "what looks secret is masked"
    assert lab.log(run.id, "b") == "[0,GPU-3f] [/models] [***] []"
    assert lab.log(run.id, "c") == "[] [/models] [***] []"
    assert "not passed on" not in lab.log(run.id, "a", "p")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    again, _ = lab.run()
    assert lab.steps(again.id)["a"].cached, "where it runs is not what it does"


def test_a_fork_gets_nothing_by_pass(lab: Lab) -> None:
    lab.pipeline("a: {run: 'true', image: 'python:3.11-slim'}")
    passing(lab, '"AWS_*"')
    project = lab.project
    found, why = of_fork(project, project, next(iter(project.pipelines)))
    assert (why, project.passes("AWS_TOKEN"), found.passes("AWS_TOKEN")) == ("", True, False)


def test_a_container_gets_the_gpus_that_it_names(lab: Lab) -> None:
    lab.pipeline("a: {run: 'true', image: 'python:3.11-slim', gpus: 1}")
    container = next(iter(lab.project.pipelines.values())).steps["a"].container
    assert container is not None
    assert container.gpus == ("1",)
