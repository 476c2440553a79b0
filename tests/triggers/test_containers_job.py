"""The agent's eyes on engines, where there is no engine to look at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.runner.scale import scaled

_CODE = """
import json, sys
from pathlib import Path
from podium.core.config import load
from podium.core.journal import Journal
from podium.core.triggers.containers import EnvironmentWatchers
project = load(Path(sys.argv[1]))
with Journal.open(project.state / "journal.db") as journal:
    job = EnvironmentWatchers(print)
    for _ in range(3):
        job(project, journal)
    job.close()
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def loaded(home: Path, driver: str) -> set[str]:
    text = (
        "project: eyes\npipelines: {release: {steps: {one: {run: 'true'}}}}\nenvironments: {staging:"
        f" {{driver: {driver}, port: 5100}}}}\n"
    )
    (home / "podium.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", _CODE, str(home)],
        capture_output=True,
        text=True,
        timeout=scaled(60),
        env=os.environ,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_with_no_environment_in_containers_docker_is_never_loaded(tmp_path: Path) -> None:
    assert "docker" not in loaded(tmp_path, "process")


def test_one_that_nothing_was_ever_deployed_to_is_not_looked_at(tmp_path: Path) -> None:
    assert "docker" not in loaded(tmp_path, "docker")
