"""`environments.NAME.hosts`: what is read, and what is refused with words."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.config.infra.outputs import with_outputs
from podium.core.config.loading import from_text
from podium.core.containers.engine.address import all_of, of_environment
from podium.core.domain.project import Project
from podium.core.errors import ConfigError

_HEAD = "project: tiny\nenvironments:\n  production:\n    driver: docker\n    bind: 0.0.0.0\n    open: true\n"


def _loaded(home: Path, text: str) -> Project:
    return with_outputs(from_text(_HEAD + text, "podium.yaml", home, home, {}))


def test_hosts_are_read_with_their_names(tmp_path: Path) -> None:
    project = _loaded(
        tmp_path,
        "    hosts: [ssh://deploy@a, {engine: unix:///run/docker.sock, address: 10.0.0.2}]\n"
        "    replace: 2m\n    stale: serve\n    trusted_network: true\n",
    )
    found = project.environments["production"]
    assert [host.name for host in found.hosts] == ["a", "10.0.0.2"]
    assert (found.replace, found.stale, found.trusted_network, found.between) == (120.0, "serve", True, 6100)
    assert {name: str(each) for name, each in all_of(project, found).items()} == {
        "a": "ssh://deploy@a",
        "10.0.0.2": "unix:///run/docker.sock",
    }
    assert str(of_environment(project, found)) == "ssh://deploy@a"


def test_an_output_of_infrastructure_names_a_host_once_it_is_known(tmp_path: Path) -> None:
    text = (
        "    hosts: [ssh://a, 'ssh://${{ infra.machines.outputs.second }}']\ninfra:\n  machines: {terraform: infra}\n"
    )
    found = _loaded(tmp_path, text).environments["production"]
    assert found.why_not_usable()[0]
    kept = tmp_path / ".podium/infra/machines/outputs.json"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"second": "10.0.0.7"}')
    found = _loaded(tmp_path, text).environments["production"]
    assert [host.name for host in found.hosts] == ["a", "10.0.0.7"] and not found.why_not_usable()[0]
    kept.write_text('{"second": "a"}')
    assert "same machine" in _loaded(tmp_path, text).environments["production"].unusable


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("    hosts: []\n", "hosts"),
        ("    hosts: [a]\n", "ssh://user@machine"),
        ("    replace: 2m\n", "does nothing without `hosts`"),
        ("    hosts: [ssh://a]\n    host: ssh://b\n", "so does `hosts`"),
        ("    hosts: [ssh://a]\n    proxy: host\n", "every host has a proxy in a container"),
        ("    hosts: [ssh://a]\n    stale: serve\n    lease: 1m\n", "does nothing with stale: serve"),
        ("    hosts: [ssh://a]\n    stale: never\n", "stale"),
        ("    hosts: [ssh://a]\n    peer_port: 5100\n", "at which clients are answered"),
        ("    hosts: [ssh://a, ssh://b@a]\n", "`a` is named twice"),
        ("    hosts: [unix:///run/docker.sock]\n", "does not say where the other hosts reach it"),
        ("    hosts: [ssh://localhost]\n", "cannot reach it at localhost"),
        (
            "    hosts: [ssh://a]\n  other:\n    driver: docker\n    hosts: [ssh://a]\n    port: 6100\n",
            "6100 is already a port",
        ),
        (
            "    hosts: [ssh://a]\n  other:\n    driver: docker\n    host: ssh://a\n    port: 6100\n",
            "6100 is already a port",
        ),
        ("    hosts: [ssh://a]\n  other:\n    driver: docker\n    host: ssh://a\n", "is already that of environment"),
        ("    hosts: [ssh://a]\n  other:\n    hosts: [ssh://b]\n    port: 1\n", "serves on this machine only"),
    ],
)
def test_what_cannot_serve_together_is_refused_with_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _loaded(tmp_path, text)
    assert words in str([str(problem) for problem in refused.value.problems]), refused.value.problems
