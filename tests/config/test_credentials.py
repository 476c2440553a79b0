"""Whatever Podium holds or hands on as a credential is a secret of the project, wherever it is from."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.config.loading import from_text
from podium.core.engine.secret_files import in_files
from podium.core.errors import PodiumError
from podium.core.logs.masking import masked_document

TOKEN = "t0ken-of-the-server"


def secrets(text: str, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    return from_text(f"project: q\n{text}", "podium.yaml", Path("/p"), Path("/p"), environ or {}).secrets


@pytest.mark.parametrize(
    "name",
    ["MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD", "GITHUB_TOKEN", "GITLAB_TOKEN", "AWS_SECRET_ACCESS_KEY"],
)
def test_what_the_environment_hands_to_steps(name: str) -> None:
    assert TOKEN in secrets("", {name: TOKEN})


@pytest.mark.parametrize(
    ("environ", "secret"),
    [
        ({"https_proxy": "http://anna:pr0xy-pass@proxy:3128"}, "pr0xy-pass"),
        ({"MLFLOW_TRACKING_URI": "https://anna:pa%2Fss-word@host"}, "pa/ss-word"),
        ({"MLFLOW_TRACKING_URI": "https://0123456789abcdef@host"}, "0123456789abcdef"),
    ],
)
def test_a_password_in_an_address_of_the_environment(environ: dict[str, str], secret: str) -> None:
    assert secret in secrets("", environ)


def test_passwords_of_package_indexes_that_steps_get() -> None:
    environ = {
        "PIP_INDEX_URL": "https://anna:hush-hush-1@pypi.example.com/simple",
        "PIP_EXTRA_INDEX_URL": "https://a:pw-of-b-22@x/simple https://c:pw%2Fof-d-33@y/simple",
        "UV_INDEX": "https://anna:not-passed-44@z",
    }
    assert set(secrets('pass: ["PIP_*"]', environ)) == {"hush-hush-1", "pw-of-b-22", "pw%2Fof-d-33", "pw/of-d-33"}
    assert secrets("", environ) == ()


@pytest.mark.parametrize(
    "text",
    [
        f"mlflow: {{tracking_uri: 'https://anna:{TOKEN}@host'}}",
        f"mlflow: {{tracking_uri: 'postgresql://anna:{TOKEN}@db/mlflow'}}",
        f"git: {{host: {{kind: github, repo: a/b, token: {TOKEN}}}}}",
        f"git: {{host: {{kind: git, repo: 'https://anna:{TOKEN}@host/a.git'}}}}",
        f"git: {{webhook_secret: {TOKEN}}}",
        f"environments: {{e: {{port: 5100, feedback: {{tokens: {{crm: {TOKEN}}}}}}}}}",
        f"env: {{URL: 'https://anna:{TOKEN}@host'}}",
    ],
)
def test_what_stands_in_the_file(text: str) -> None:
    assert TOKEN in secrets(text)


def test_a_password_with_signs_of_an_address_is_shown_nowhere() -> None:
    text = "mlflow: {tracking_uri: 'http://u:p#ss?w/o@127.0.0.1:1'}"
    assert "p#ss?w/o" in secrets(text)
    shown = masked_document({"uri": "http://u:p#ss?w/o@127.0.0.1:1", "short": "http://u:pw@h"}, secrets(text))
    assert shown == {"uri": "http://***@127.0.0.1:1", "short": "http://***@h"}
    assert "w/o" not in PodiumError("cannot be reached: p#ss?w/o").message


def test_what_stands_in_files_is_masked_in_steps(tmp_path: Path) -> None:
    (tmp_path / "host.token").write_text(f"{TOKEN}\n")
    (tmp_path / "clients").write_text("crm first-token-1\nshop second-token-2\n")
    text = (
        "project: q\ngit: {host: {kind: github, repo: a/b, token_file: host.token}}\n"
        "environments: {e: {port: 5100, feedback: {token_file: clients}}, f: {port: 5101, feedback: {token_file: gone}}}\n"
    )
    project = from_text(text, "podium.yaml", tmp_path, tmp_path, {})
    assert in_files(project) == (TOKEN, "first-token-1", "second-token-2")


@pytest.mark.parametrize(("value", "told"), [("main", True), ("abc", True), ("1234", True), ("main-9f2c", False)])
def test_a_secret_that_no_log_can_mask_is_told(value: str, told: bool) -> None:
    text = "project: q\nenv: {A: '${MY_TOKEN}'}\n"
    found = from_text(text, "podium.yaml", Path("/p"), Path("/p"), {"MY_TOKEN": value}).idle
    assert (len(found) == 1 and "${MY_TOKEN}" in found[0] and value not in found[0].split()) if told else found == ()
