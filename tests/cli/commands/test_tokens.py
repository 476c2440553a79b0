"""`podium tokens`, and what `validate` and `doctor` say of certificates, as a shell would call them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from podium.core.journal import Journal

from tests.cli.conftest import Call
from tests.servers.pki import Authority


@pytest.fixture
def authority(home: Path) -> Authority:
    """Of a project whose staging is in the open."""
    made = Authority(home / "pki")
    made.pair("server", "models.example.com")
    text = (
        (home / "podium.yaml")
        .read_text()
        .replace(
            "staging: {port: 5101}",
            "staging:\n    port: 5101\n    bind: 0.0.0.0\n    auth: tokens\n"
            "    tls: {certificate: pki/server.pem, key: pki/server.key, host: models.example.com}\n",
        )
    )
    (home / "podium.yaml").write_text(text)
    return made


def test_a_token_is_printed_once_and_kept_as_its_digest(home: Path, call: Call, authority: Authority) -> None:
    made = call("tokens", "add", "billing", "-e", "staging")
    secret = made.out.strip()
    assert made.code == 0 and len(secret) > 40 and secret not in made.err and "not shown again" in made.err
    [row] = json.loads(call("tokens", "ls", "-e", "staging", "-o", "json").out)
    assert (row["name"], row["for"], row["digest"]) == (
        "billing",
        "predict",
        hashlib.sha256(secret.encode()).hexdigest(),
    )
    assert "billing" in call("tokens", "ls", "-e", "staging").out
    with Journal.open(home / ".podium" / "journal.db") as journal:
        assert [each.name for each in journal.tokens.of("staging")] == ["billing"]
        assert journal.audit.page(1)[0].action == "token add"
    assert not [path for path in home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    again = call("tokens", "add", "billing", "-e", "staging")
    assert again.code == 4 and "has a token billing already" in again.err
    document = json.loads(call("tokens", "add", "prom", "-e", "staging", "--for", "metrics", "-o", "json").out)
    assert document["for"] == "metrics" and document["in_force"] is False and document["token"]
    assert call("tokens", "rm", "billing", "-e", "staging").code == 0
    assert call("tokens", "rm", "billing", "-e", "staging").code == 3


def test_no_token_is_made_that_nothing_asks_for(call: Call, authority: Authority) -> None:
    for words in (("billing",), ("prom", "--for", "metrics")):
        refused = call("tokens", "add", *words, "-e", "production")
        assert refused.code == 4 and "asks nobody for a token" in refused.err
    assert call("tokens", "add", "a b", "-e", "staging").code == 2
    assert call("tokens", "add", "a", "-e", "nowhere").code == 3


def test_a_bad_certificate_is_found_by_validate_and_doctor(home: Path, call: Call, authority: Authority) -> None:
    assert call("validate").code == 0
    good = call("doctor").out
    assert "staging's certificate for models.example.com holds until" in good
    authority.pair("server", "models.example.com", days=(-60, 9))
    assert "staging's certificate expires on" in call("doctor").out and call("validate").code == 0
    authority.pair("server", "other.example.com")
    words = "is for other.example.com, not for models.example.com"
    found = call("validate", "-o", "json")
    [problem] = json.loads(found.out)["problems"]
    assert found.code == 2 and words in problem["message"] and problem["key"] == "environments.staging.tls"
    assert words in call("doctor").out
