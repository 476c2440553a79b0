"""What replicas are told of requests, labels and those who send them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.delivery.environment.keeping import variables
from podium.core.domain.project import Project
from podium.core.errors import ConfigError, PodiumError, Refused, UsageError
from podium.core.labels.salt import salt_of

TOKEN = "0123456789abcdef-crm"


def project(home: Path, environment: str) -> Project:
    (home / "podium.yaml").write_text(f"project: shop\nenvironments: {{production: {environment}}}\n")
    found = load(home, environ={"CRM_TOKEN": TOKEN})
    found.state.mkdir(exist_ok=True)
    return found


def told(home: Path, environment: str) -> dict[str, str]:
    found = project(home, environment)
    variables_ = variables(found, found.environments["production"])
    return {name.removeprefix("PODIUM_SERVING_"): value for name, value in variables_.items()}


@pytest.mark.parametrize(
    ("bind", "feedback"),
    [("127.0.0.1", "open"), ("127.8.8.8", "open"), ("localhost", "open"), ('"::1"', "open"), ("0.0.0.0", "closed")],
)
def test_without_clients_labels_are_taken_from_this_machine_only(tmp_path: Path, bind: str, feedback: str) -> None:
    assert told(tmp_path, f"{{bind: {bind}, open: true}}") == {
        "KEEP_REQUESTS": "true",
        "FEEDBACK": feedback,
        "FEEDBACK_RATE": "200",
    }


def test_replicas_are_told_digests_of_tokens(tmp_path: Path) -> None:
    found = told(tmp_path, "{bind: 0.0.0.0, open: true, feedback: {tokens: {crm: '${CRM_TOKEN}'}, rate: 2.5}}")
    assert found["FEEDBACK"] == f"crm={hashlib.sha256(TOKEN.encode()).hexdigest()}" and found["FEEDBACK_RATE"] == "2.5"
    assert TOKEN not in str(found) and TOKEN not in repr(load(tmp_path, environ={"CRM_TOKEN": TOKEN}).environments)


def test_tokens_are_read_from_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# who may\ncrm {TOKEN}\n\nbilling   {TOKEN}-2\n")
    file.chmod(0o644)
    environment = "{feedback: {token_file: tokens}}"
    with pytest.raises(Refused, match="other users"):
        told(tmp_path, environment)
    file.chmod(0o600)
    assert [part.partition("=")[0] for part in told(tmp_path, environment)["FEEDBACK"].split(",")] == ["crm", "billing"]
    for text in ("crm short\n", f"bad,name {TOKEN}\n", "crm\n"):
        file.write_text(text)
        with pytest.raises(UsageError, match="line 1 of tokens") as caught:
            told(tmp_path, environment)
        assert "short" not in str(caught.value) and TOKEN not in str(caught.value)
    for text, words in {
        f"crm {TOKEN}\ncrm {TOKEN}-2\n": "names crm twice",
        f"crm {TOKEN}\nbilling {TOKEN}\n": "crm and billing have the same token",
        f"crm {TOKEN}\n" + "# more\n" * 10_000: "longer than 64 KiB",
    }.items():
        file.write_text(text)
        with pytest.raises(UsageError, match=words) as caught:
            told(tmp_path, environment)
        assert TOKEN not in str(caught.value)
    file.unlink()
    with pytest.raises(PodiumError, match="cannot be read"):
        told(tmp_path, environment)


def test_tokens_that_can_be_guessed_or_are_given_twice_are_refused(tmp_path: Path) -> None:
    for tokens, words in (("{crm: short}", "can be guessed"), (f"{{a: {TOKEN}, b: {TOKEN}}}", "another client")):
        with pytest.raises(ConfigError, match=words) as caught:
            project(tmp_path, f"{{feedback: {{tokens: {tokens}}}}}")
        assert TOKEN not in str(caught.value)


def test_a_redacted_key_has_a_salt_that_stays(tmp_path: Path) -> None:
    found = told(tmp_path, "{redact: [email, 'a, b'], key: email}")
    assert json.loads(found["REDACT"]) == ["email", "a, b"] and found["KEY"] == "email"
    file = tmp_path / ".podium/labels/production.salt"
    assert found["KEY_SALT"] == file.read_text() == salt_of(tmp_path / ".podium", "production")
    assert file.stat().st_mode & 0o777 == 0o600 and len(found["KEY_SALT"]) == 64
    assert "KEY_SALT" not in told(tmp_path, "{key: flight}")
    assert "KEY_SALT" in told(tmp_path, "{redact: ['Flight '], key: flight}"), "however the name is written"
    file.write_text("")
    with pytest.raises(PodiumError, match="is damaged"):
        told(tmp_path, "{redact: [email], key: email}")
