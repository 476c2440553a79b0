"""Tags by the beginning of their names, of each host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from podium.core.scm.git import checked
from podium.core.scm.hosts import reading
from podium.core.scm.hosts.opening import open_host

REPO = "acme/flight-delay"


@pytest.fixture(params=["github", "gitlab", "gitea"])
def opened(request: pytest.FixtureRequest, forge, project) -> Iterator[tuple[Any, Any]]:
    made = forge(request.param)
    host = open_host(project(request.param, made.url, token=made.token))
    yield made, host
    host.close()


def test_those_that_begin_so_on_all_pages(opened: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    forge, host = opened
    assert host.matching_tags("v") == {} == host.matching_tags(""), "there is none"
    bare = forge.state.repo(REPO).bare
    many = {f"v{number}": forge.sha for number in range(120)}
    others = {"old-v1": forge.sha, "release/v1": forge.sha}
    made = "".join(f"create refs/tags/{name} {forge.sha}\n" for name in {**many, **others})
    subprocess.run(["git", "update-ref", "--stdin"], cwd=bare.path, input=made, text=True, check=True)
    assert host.matching_tags("v") == many and host.matching_tags("") == {**many, **others}
    assert host.matching_tags("release/") == {"release/v1": forge.sha} and host.matching_tags("w") == {}
    assert host.tags() == {**many, **others}
    assert not forge.requests.matching(path="/$"), "an empty name is none: GitHub's description has no such path"
    # Of an annotated tag it is the tag's own hash: it is another one whenever the tag is.
    checked(bare.path, "-c", "user.name=a", "-c", "user.email=a@b", "tag", "-a", "-m", "x", "w1", forge.sha)
    (found,) = host.matching_tags("w").values()
    assert found == bare.tags()["w1"] != forge.sha == host.tags()["w1"]
    monkeypatch.setattr(reading, "MAX_TAGS", 100)
    assert host.matching_tags("v") is None


def test_an_empty_repository_has_none(opened: tuple[Any, Any], forge, project) -> None:
    made, host = opened
    made.make_repo("acme/empty")
    other = open_host(project(host.kind, made.url, repo="acme/empty", token=made.token))
    assert other.matching_tags("v") == {}
    other.close()
