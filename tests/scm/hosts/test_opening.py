"""Which client is opened for what podium.yaml says, and what `podium doctor` tells of it."""

from __future__ import annotations

import pytest
from podium.core import doctor
from podium.core.config import load
from podium.core.domain.watching import Health
from podium.core.errors import UsageError
from podium.core.scm.hosts.answers import MemoryStore
from podium.core.scm.hosts.opening import open_host


@pytest.mark.parametrize(
    ("kind", "url", "name", "page"),
    [
        ("github", "", "github.com/acme/flight-delay", "https://github.com/acme/flight-delay"),
        ("gitlab", "", "gitlab.com/acme/flight-delay", "https://gitlab.com/acme/flight-delay"),
        ("gitlab", "https://acme.org/git/", "acme.org/git/acme/flight-delay", "https://acme.org/git/acme/flight-delay"),
        ("gitea", "https://codeberg.org", "codeberg.org/acme/flight-delay", "https://codeberg.org/acme/flight-delay"),
    ],
)
def test_each_kind_is_opened_without_being_asked(project, kind: str, url: str, name: str, page: str) -> None:
    host = open_host(project(kind, url), store=MemoryStore())
    assert (host.kind, host.name, host.url, host.clone_url) == (kind, name, page, f"{page}.git")
    assert host.calls == () and host.rate.limit is None
    host.close()


def test_without_a_host_there_is_none(tmp_path) -> None:
    (tmp_path / "podium.yaml").write_text("project: x\n")
    assert open_host(load(tmp_path)) is None


def test_gitea_needs_an_address(project) -> None:
    with pytest.raises(UsageError, match="names no url"):
        open_host(project("gitea"))


class Opened:
    def __init__(self, config) -> None:
        self.config = config


def test_doctor_asks_the_host(forge, project) -> None:
    made = forge("github")
    findings = list(doctor._host(Opened(project("github", made.url, token=made.token))))
    assert [each.subject for each in findings] == ["host"] * len(findings)
    assert any("answers" in each.message for each in findings)
    assert any("is that of acme" in each.message for each in findings)


def test_doctor_says_nothing_where_there_is_no_host(tmp_path) -> None:
    (tmp_path / "podium.yaml").write_text("project: x\n")
    assert list(doctor._host(Opened(load(tmp_path)))) == []


def test_doctor_says_that_no_token_is_sent_in_the_open(project) -> None:
    found = [each for each in doctor.online(project("gitlab", "http://git.acme.org")) if each.subject == "host"]
    assert [each.health for each in found] == [Health.PROBLEM]
    assert "is not sent to http://git.acme.org: over plain http" in found[0].message and "https://" in found[0].hint
    for url in ("https://git.acme.org", "http://127.0.0.1:8080"):
        assert not list(open_host(project("gitlab", url)).findings())
