"""Runs a forge as a process of its own: `python -m podium.core.demo.forge KIND DIR --port N`. It says its address, a
token and what repositories there are, and ends by a signal."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from . import Forge


def main() -> None:
    parser = argparse.ArgumentParser(prog="forge")
    parser.add_argument("kind", choices=("github", "gitlab", "gitea"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--repo", action="append", default=[], help="owner/name of a repository to make")
    parser.add_argument("--token", default="", help="a token that is valid besides the one that is made")
    given = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: ended.set())
    with Forge(given.kind, given.directory, port=given.port) as forge:
        if given.token:
            forge.add_token("acme", value=given.token)
        repos = {name: forge.clone_url(forge.make_repo(name)) for name in given.repo}
        sys.stdout.write(json.dumps({"url": forge.url, "token": forge.token, "repositories": repos}) + "\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
