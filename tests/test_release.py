"""What `.ci/audit` makes of pip-audit's report."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runner.scale import scaled

AUDIT = Path(__file__).parent.parent / ".ci" / "audit"


@pytest.fixture(scope="module")
def audit() -> Any:
    loader = importlib.machinery.SourceFileLoader("ci_audit", str(AUDIT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_what_a_newer_version_mends_is_told_apart(audit: Any) -> None:
    report = {
        "dependencies": [
            {"name": "idna", "version": "3.6", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.7"], "aliases": []}]},
            {"name": "left", "version": "1", "vulns": [{"id": "CVE-2", "fix_versions": [], "aliases": []}]},
            {"name": "fine", "version": "1", "vulns": []},
            {"name": "podium", "skip_reason": "Dependency not found on PyPI and could not be audited: podium (0.1.0)"},
        ],
        "fixes": [],
    }
    assert audit.judged(report) == (["idna 3.6: PYSEC-1, mended in 3.7"], ["left 1: CVE-2, not mended yet"])


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import sys; sys.exit('ERROR: no connection')", "ERROR: no connection"),
        ("import sys; sys.exit(7)", "exit code 7"),
        ("import time; time.sleep(600)", "did not answer"),
    ],
)
def test_without_a_report_nothing_is_judged_and_it_is_said_why(
    audit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, why: str
) -> None:
    monkeypatch.setattr(audit, "ASK_TIMEOUT", scaled(3.0))
    assert why in audit.ask([sys.executable, "-c", program], str(tmp_path), tmp_path / "report.json")


def test_a_report_counts_whatever_the_exit_code_is(audit: Any, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    write = "import sys; open(sys.argv[sys.argv.index('--output') + 1], 'w').write('{}'); sys.exit(1)"
    assert audit.ask([sys.executable, "-c", write], str(tmp_path), report) == ""


def test_the_scripts_of_ci_can_be_read() -> None:
    for name in ("run", "release"):
        subprocess.run(["bash", "-n", str(AUDIT.with_name(name))], check=True, timeout=scaled(20))
