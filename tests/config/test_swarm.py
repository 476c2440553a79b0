"""An environment on a Swarm: what is read, and what is refused with words."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.config.loading import from_text
from podium.core.containers.engine.address import nodes_of, of_environment
from podium.core.domain.project import Project
from podium.core.errors import ConfigError

_HEAD = "project: tiny\nenvironments:\n  production:\n    driver: swarm\n    host: ssh://deploy@manager\n"


def _loaded(home: Path, text: str) -> Project:
    return from_text(_HEAD + text, "podium.yaml", home, home, {})


def test_a_manager_its_nodes_and_constraints_are_read(tmp_path: Path) -> None:
    project = _loaded(
        tmp_path,
        "    nodes: [ssh://deploy@a, tcp://b:2376]\n    constraints: [node.labels.disk == ssd, node.role!=manager]\n"
        "    cpus: 2\n    memory: 1g\n    keep_stopped: 1\n    proxy_image: haproxy:2.8\n",
    )
    found = project.environments["production"]
    assert found.constraints == ("node.labels.disk == ssd", "node.role!=manager")
    assert str(of_environment(project, found)) == "ssh://deploy@manager"
    assert [str(each) for each in nodes_of(project, found)] == ["ssh://deploy@a", "tcp://b:2376"]
    assert project.idle == ()
    assert _loaded(tmp_path, "    constraints: node.hostname == a\n").environments["production"].constraints == (
        "node.hostname == a",
    )


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("    constraints: [disk == ssd]\n", (6, 19), "begins with `disk`, and a Swarm knows node.id"),
        ("    constraints: [node.labels.disk = ssd]\n", (6, 19), "is not KEY == VALUE or KEY != VALUE"),
        ("    constraints: ['node.labels.gpu']\n", (6, 19), "is not KEY == VALUE or KEY != VALUE"),
        ("    constraints: []\n", (6, 18), "is an empty list"),
        ("    nodes: [a]\n", (6, 13), "ssh://user@machine"),
        ("    nodes: [ssh://a, ssh://a]\n", (6, 12), "`ssh://a` is named twice"),
        ("    nodes: [ssh://deploy@manager]\n", (6, 12), "which `host` names"),
        ("    hosts: [ssh://a]\n", (6, 12), "the driver `swarm` does nothing with `hosts`"),
        ("    proxy: host\n", (6, 12), "the driver `swarm` does nothing with `proxy`"),
        ("    lease: 30s\n", (6, 12), "does nothing without `hosts`"),
        ("  other:\n    driver: docker\n    constraints: [node.role == worker]\n", (8, 18), "use driver: swarm"),
        ("  other:\n    nodes: [ssh://a]\n    port: 1\n", (7, 12), "the driver `process` does nothing with `nodes`"),
    ],
)
def test_what_a_swarm_would_not_take_is_refused_where_it_stands(
    tmp_path: Path, text: str, place: tuple[int, int], words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        _loaded(tmp_path, text)
    found = [each for each in refused.value.problems if words in f"{each} {each.hint}"]
    assert found, refused.value.problems
    assert (found[0].line, found[0].column) == place
