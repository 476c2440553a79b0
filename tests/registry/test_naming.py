"""A podium.yaml that came from elsewhere gets no credential by naming a server of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from podium.core import named_hosts
from podium.core.config.loading import from_text
from podium.core.domain.project import Project
from podium.core.errors import NotNamed, Refused, UsageError
from podium.core.http_client import Credentials, HttpClient
from podium.core.registry.naming import require_server
from podium.core.scm.hosts.tokens import find_token, host_setting

EVIL = "https://mlflow.evil.example"
TOKEN = {"MLFLOW_TRACKING_TOKEN": "t0ken-of-mine"}


def project(tmp_path: Path, uri: str, environ: Mapping[str, str]) -> Project:
    text = f"project: q\nmlflow: {{tracking_uri: '{uri}'}}\n"
    return from_text(text, "podium.yaml", tmp_path, tmp_path, environ)


def ask(tmp_path: Path, uri: str, environ: Mapping[str, str]) -> None:
    """Raises what opening the registry raises, before anything is sent."""
    given = {"HOME": str(tmp_path / "home"), **environ}
    found = project(tmp_path, uri, given)
    require_server(found.mlflow, found.state, given)


@pytest.mark.parametrize(
    ("uri", "environ"),
    [
        (EVIL, TOKEN),
        (EVIL, {"MLFLOW_TRACKING_USERNAME": "anna", "MLFLOW_TRACKING_PASSWORD": "secret-1"}),
        (f"{EVIL}/${{SECRETX}}", {"SECRETX": "another"}),
        (f"{EVIL}/${{TEAM}}", {"TEAM": "blue"}),
        ("https://${SECRETX}.evil.example", {"SECRETX": "another"}),
        ("https://anna:${SECRETX}@evil.example", {"SECRETX": "another"}),
        ("https://${SECRETX}:x@evil.example", {"SECRETX": "another"}),
        ("https://${SECRETX}@evil.example", {"SECRETX": "another"}),
        ("postgresql://anna:${SECRETX}@evil.example/db", {"SECRETX": "another"}),
        (f"${{OURS:-{EVIL}}}", TOKEN),
        (f"${{OURS:-{EVIL}}}", {**TOKEN, "OURS": ""}),
        (EVIL, {**TOKEN, "MLFLOW_TRACKING_URI": "https://mlflow.example.com"}),
        (EVIL, {**TOKEN, "MLFLOW_TRACKING_URI": f"{EVIL}:8443"}),
        (EVIL, {**TOKEN, "PODIUM_HOSTS": "https://evil.example http://mlflow.evil.example"}),
        ("https://127.0.0.1.evil.example", TOKEN),
        ("https://localhost.evil.example", TOKEN),
        ("https://x.localhost", TOKEN),
        ("https://127.0.0.1@evil.example", TOKEN),
    ],
)
def test_a_server_that_the_file_names_gets_nothing(tmp_path: Path, uri: str, environ: Mapping[str, str]) -> None:
    with pytest.raises(NotNamed) as caught:
        ask(tmp_path, uri, environ)
    assert "podium trust" in caught.value.hint and "nobody on this machine" in caught.value.message
    assert not any(value in caught.value.message + caught.value.hint for value in ("t0ken", "another", "secret-1"))


@pytest.mark.parametrize(
    ("uri", "environ"),
    [
        (EVIL, {}),
        ("http://192.0.2.1:5000", {}),
        ("http://127.0.0.1:5000/${TEAM}", {**TOKEN, "TEAM": "blue"}),
        ("http://localhost:5000", TOKEN),
        ("http://[::1]:5000", TOKEN),
        ("sqlite:///${TEAM}.db", {**TOKEN, "TEAM": "blue"}),
        (EVIL, {**TOKEN, "MLFLOW_TRACKING_URI": f"{EVIL}/"}),
        (EVIL, {**TOKEN, "PODIUM_HOSTS": f"https://other.example {EVIL}"}),
        ("${OURS}", {**TOKEN, "OURS": EVIL}),
        ("${OURS:-http://127.0.0.1:5000}", {**TOKEN, "OURS": EVIL}),
        ("https://${OURS}:8443/x", {**TOKEN, "OURS": "mlflow.example.com"}),
    ],
)
def test_a_server_that_a_person_named_gets_them(tmp_path: Path, uri: str, environ: Mapping[str, str]) -> None:
    ask(tmp_path, uri, environ)


@pytest.mark.parametrize("environ", [{}, {"MLFLOW_TRACKING_URI": "http://192.0.2.1:5000"}])
def test_nothing_secret_goes_over_plain_http(tmp_path: Path, environ: Mapping[str, str]) -> None:
    for uri, given in (("http://192.0.2.1:5000", TOKEN), ("http://192.0.2.1:5000/${SECRETX}", {"SECRETX": "another"})):
        with pytest.raises(Refused, match="plain http"):
            ask(tmp_path, uri, {**environ, **given})


def test_no_client_sends_a_credential_over_plain_http() -> None:
    for credentials in (Credentials.bearer("http://192.0.2.1:1", "t0ken-of-mine"), None):
        client = HttpClient("http://anna:secret-1@192.0.2.1:1", credentials=credentials)
        with pytest.raises(Refused, match="plain http"):
            client.ask("GET", "/")


def test_what_was_asked_once_is_remembered_for_this_project_and_address(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path / "home"), **TOKEN}
    first, second = tmp_path / "first\none", tmp_path / "second"
    for home in (first, second):
        home.mkdir()
    assert named_hosts.name(first, f"{EVIL}/some/path", environ) == EVIL
    ask_first = lambda uri: require_server(project(first, uri, environ).mlflow, first / ".podium", environ)  # noqa: E731
    ask_first(EVIL)
    for uri in (f"{EVIL}:8443", "https://evil.example"):
        with pytest.raises(NotNamed):
            ask_first(uri)
    with pytest.raises(NotNamed):
        require_server(project(second, EVIL, environ).mlflow, second / ".podium", environ)
    named_hosts.name(first, EVIL, environ)
    listed = tmp_path / "home" / ".config" / "podium" / "hosts"
    assert listed.read_text().count(EVIL) == 1 and listed.stat().st_mode & 0o777 == 0o600
    listed.write_text(f"# mine\n{EVIL}\n")
    require_server(project(second, EVIL, environ).mlflow, second / ".podium", environ)


@pytest.mark.parametrize("address", ["", "nonsense", "/path", "https://"])
def test_what_is_no_address_cannot_be_named(tmp_path: Path, address: str) -> None:
    with pytest.raises(UsageError):
        named_hosts.name(tmp_path, address, {"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("url", "token", "environ", "good"),
    [
        ("https://git.evil.example", "${TOKENX}", {"TOKENX": "t0ken-of-mine"}, False),
        ("https://${TOKENX}.git.evil.example", "", {"TOKENX": "t0ken-of-mine"}, False),
        ("${URL}", "${TOKENX}", {"TOKENX": "t0ken-of-mine", "URL": "https://git.example.com"}, True),
        ("https://git.example.com", "${TOKENX}", {"TOKENX": "t0ken-of-mine", "GH_HOST": "git.example.com"}, True),
        ("https://git.example.com", "${TOKENX}", {"TOKENX": "t0ken", "PODIUM_HOSTS": "https://git.example.com"}, True),
        ("http://127.0.0.1:3000", "${TOKENX}", {"TOKENX": "t0ken-of-mine"}, True),
        ("https://github.com", "${TOKENX}", {"TOKENX": "t0ken-of-mine"}, True),
        ("https://git.example.com", "written-out", {}, True),
    ],
)
def test_a_git_host_gets_a_variable_only_if_a_person_named_it(
    tmp_path: Path, url: str, token: str, environ: Mapping[str, str], good: bool
) -> None:
    given = {"HOME": str(tmp_path), **environ}
    written = f", token: '{token}'" if token else ""
    text = f"project: q\ngit: {{host: {{kind: github, repo: a/b, url: '{url}'{written}}}}}\n"
    host = host_setting(from_text(text, "podium.yaml", tmp_path, tmp_path, given))
    if good:
        found = find_token(host, host.url, tmp_path, given)
        assert found is not None and found.value
        return
    with pytest.raises(NotNamed):
        find_token(host, host.url, tmp_path, given)
