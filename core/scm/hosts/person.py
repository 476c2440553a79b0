"""Proves who is at the keyboard, by their own account on the Git host."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from ...domain.hosts import HostAccount
from ...domain.project import Project
from ...errors import Refused
from .opening import open_host


def prove(project: Project) -> HostAccount:
    """Returns the account that the host names for the token of whoever runs this: from their environment, their
    `gh` or `glab`, their keyring. What podium.yaml holds is the project's, and proves nobody. Raises Refused without
    a host or such a token, and the errors of `GitHost`."""
    host = project.git.host
    if host is None:
        raise Refused("podium.yaml names no Git host that could say who you are", hint="add git.host to podium.yaml")
    own = replace(project, git=replace(project.git, host=replace(host, token="", token_file="", app=None)))
    client = open_host(own)
    assert client is not None
    with closing(client):
        return client.account()
