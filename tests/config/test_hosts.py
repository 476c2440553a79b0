"""What people write for `git.host` after a look at the browser's address bar or at `git remote -v`."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.config import load
from podium.core.errors import ConfigError

NAMES = {
    "acme/lab.git": "write `repo: acme/lab`",
    "https://github.com/acme/lab": "write `repo: acme/lab`",
    "https://github.com/acme/lab?tab=readme": "write `repo: acme/lab`",
    "https://anna:hunter2@github.com/acme/lab.git": "write `repo: acme/lab`",
    "git@github.com:acme/lab.git": "write `repo: acme/lab`",
    "ssh://git@git.acme.org:2222/acme/lab.git": "write `repo: acme/lab`",
    "/acme/lab/": "write `repo: acme/lab`",
    "acme": "without the host",
    "acme lab": "without the host",
    "acme/group/lab": "without the host",
}
ADDRESSES = {
    "https://git.acme.org/acme/lab.git": "write `url: https://git.acme.org`",
    "https://git.acme.org/api/v3": "write `url: https://git.acme.org`",
    "https://git.acme.org:8443/below": "write `url: https://git.acme.org:8443`",
    "https://api.github.com": "leave `url` out",
    "https://anna:hunter2@git.acme.org": "git.host.token",
    "https://git.acme.org?x=1": "write `url: https://git.acme.org`",
    "https://[nonsense": "such as https://",
}


def wrong(home: Path, host: str) -> list[tuple[str, str]]:
    text = f"project: lab\ngit:\n  host:\n    {host}\npipelines: {{m: {{steps: {{o: {{run: 'true'}}}}}}}}\n"
    (home / "podium.yaml").write_text(text)
    try:
        load(home)
    except ConfigError as error:
        return [(str(each), each.hint) for each in error.problems]
    return []


@pytest.mark.parametrize("name", NAMES)
def test_a_repository_is_a_name(tmp_path: Path, name: str) -> None:
    [(words, hint)] = wrong(tmp_path, f"kind: github\n    repo: '{name}'")
    assert words.startswith("podium.yaml:5:11: git.host.repo:") and NAMES[name] in hint and "hunter2" not in words


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_the_hosts(tmp_path: Path, address: str) -> None:
    [(words, hint)] = wrong(tmp_path, f"kind: github\n    repo: acme/lab\n    url: '{address}'")
    assert words.startswith("podium.yaml:6:10: git.host.url:") and ADDRESSES[address] in hint and "hunter2" not in words


@pytest.mark.parametrize(
    "host",
    [
        "kind: github\n    repo: Acme-1/lab.py_x",
        "kind: github\n    repo: acme/lab\n    url: https://git.acme.org:8443/",
        "kind: gitlab\n    repo: acme/group/sub/lab\n    url: https://git.acme.org/below",
        "kind: gitea\n    repo: acme/lab\n    url: http://127.0.0.1:3000/gitea/",
        "kind: git\n    repo: ssh://git@git.acme.org:2222/acme/lab.git",
        "kind: git\n    repo: /srv/git/lab.git",
    ],
)
def test_what_is_right(tmp_path: Path, host: str) -> None:
    assert wrong(tmp_path, host) == []


def test_an_api_below_a_path(tmp_path: Path) -> None:
    [(_, hint)] = wrong(tmp_path, "kind: gitlab\n    repo: acme/lab\n    url: https://acme.org/git/api/v4")
    assert hint == "write `url: https://acme.org/git`"
