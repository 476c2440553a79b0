"""The workflows in `examples/ci/` are what the hosts' published schemas accept, and call what there is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.runner.scale import scaled

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "ci"
# Gitea reads GitHub's language, and has published no schema of its own.
SCHEMAS = {
    "github.yml": "vendor.github-workflows",
    "gitea.yml": "vendor.github-workflows",
    "gitlab-ci.yml": "vendor.gitlab-ci",
}


def lint(schema: str, file: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    if schema == "vendor.gitlab-ci":
        command += ["--data-transform", "gitlab-ci"]
    return subprocess.run([*command, str(file)], capture_output=True, text=True, timeout=scaled(60))


def test_every_example_has_a_schema() -> None:
    assert {path.name for path in EXAMPLES.glob("*.yml")} == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_hosts_schema_accepts_it(name: str) -> None:
    done = lint(SCHEMAS[name], EXAMPLES / name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_would_refuse_a_mistake(name: str, tmp_path: Path) -> None:
    wrong = tmp_path / name
    key = "stage" if name.startswith("gitlab") else "runs-on"
    wrong.write_text((EXAMPLES / name).read_text().replace(f"{key}:", f"{key}-mistaken:", 1))
    assert lint(SCHEMAS[name], wrong).returncode == 1


@pytest.mark.parametrize("name", SCHEMAS)
def test_it_runs_a_pipeline_and_keeps_the_cache(name: str) -> None:
    text = (EXAMPLES / name).read_text()
    yaml.safe_load(text)
    assert "podium ci run release" in text and ".podium/cache" in text
