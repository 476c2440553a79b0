"""A real MLflow behind TLS of a company's own authority: Podium and the steps that it starts reach it by the same
variables, which docs/models.md names."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from podium.core.delivery.proxy.haproxy import binary
from podium.core.domain.project import Mlflow
from podium.core.engine import environment
from podium.core.errors import Unreachable
from podium.core.registry.asking import ask
from podium.core.registry.rest import RestRegistry

from tests.runner.scale import scaled
from tests.servers.pki import Authority
from tests.support import free_port, wait_until

NAMES = ("MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "MLFLOW_TRACKING_INSECURE_TLS")
SEARCH = "import mlflow; print(len(mlflow.MlflowClient().search_experiments()) > 0)"


@dataclass(frozen=True)
class Behind:
    """`uri` is the server's address behind TLS, `authority` who has signed for it, `stranger` who has not."""

    uri: str
    authority: Path
    stranger: Path


@pytest.fixture
def behind(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Behind]:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    authority = Authority(tmp_path / "ca")
    pair = authority.pair("server", "localhost", "127.0.0.1")
    (tmp_path / "both.pem").write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    port = free_port()
    (tmp_path / "front.cfg").write_text(
        f"""defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen front
  bind 127.0.0.1:{port} ssl crt {tmp_path}/both.pem
  server mlflow {server.removeprefix("http://")}
"""
    )
    process = subprocess.Popen([binary(), "-db", "-f", str(tmp_path / "front.cfg")])
    uri = f"https://localhost:{port}"
    try:
        wait_until(lambda: answers(uri, {"MLFLOW_TRACKING_INSECURE_TLS": "true"}), 20)
        yield Behind(uri, authority.file, Authority(tmp_path / "another").file)
    finally:
        process.kill()
        process.wait()


def answers(uri: str, environ: dict[str, str]) -> bool:
    try:
        return RestRegistry(Mlflow(uri, "e", "m"), Path("/nonexistent"), environ).versions("m") == []
    except Unreachable:
        return False


def test_podium_believes_whom_mlflow_believes(behind: Behind) -> None:
    ours, strange = str(behind.authority), str(behind.stranger)
    assert not answers(behind.uri, {})
    assert answers(behind.uri, {"MLFLOW_TRACKING_INSECURE_TLS": "true"})
    for name in NAMES[:3]:
        assert answers(behind.uri, {name: ours}) and not answers(behind.uri, {name: strange}), name
    assert answers(behind.uri, {NAMES[0]: ours, NAMES[1]: strange}), "MLflow's own comes first"
    assert not answers(behind.uri, {NAMES[0]: strange, NAMES[1]: ours})


def test_a_certificate_that_is_not_believed_is_told_with_what_to_set(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unreachable) as caught:
        ask(Mlflow(behind.uri, "e", "m"), Path("/nonexistent"))
    assert "certificate" in caught.value.message and "MLFLOW_TRACKING_SERVER_CERT_PATH" in caught.value.hint
    for wrong in ("/nonexistent/ca.pem", __file__):
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", wrong)
        with pytest.raises(Unreachable) as caught:
            ask(Mlflow(behind.uri, "e", "m"), Path("/nonexistent"))
        assert wrong in caught.value.message


def test_a_step_reaches_it_as_podium_does(behind: Behind) -> None:
    caller = {**os.environ, "MLFLOW_TRACKING_SERVER_CERT_PATH": str(behind.authority)}
    env = {**environment.inherited(caller), "MLFLOW_TRACKING_URI": behind.uri}
    done = subprocess.run([sys.executable, "-c", SEARCH], env=env, capture_output=True, text=True, timeout=scaled(60))
    assert done.stdout.strip() == "True", done.stderr[-2000:]
