"""The page in a real browser: it looks as it should, and asks nobody for anything."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from podium.core.evidence import bundle

from tests.conftest import required
from tests.runner.scale import scaled

from .recorded import Recorded
from .test_bundle import HOSTILE

# Nothing that the browser itself asks for leaves this machine either.
QUIET = ("--no-first-run", "--disable-background-networking", "--disable-sync", "--disable-component-update")
NOWHERE = "--host-resolver-rules=MAP * ~NOTFOUND"


def opened(page: Path, place: Path) -> tuple[set[str], bytes]:
    """Opens a page headless; returns the addresses that it asked for, besides itself, and a picture of it."""
    place.mkdir()
    log, picture = place / "net.json", place / "page.png"
    command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={place / 'profile'}"]
    options = [*QUIET, NOWHERE, "--window-size=1280,1200", f"--log-net-log={log}", f"--screenshot={picture}"]
    subprocess.run([*command, *options, page.as_uri()], check=True, capture_output=True, timeout=scaled(60.0))
    asked: set[str] = set()
    for event in json.loads(log.read_text())["events"]:
        found = event.get("params", {})
        # Requests of the browser's own have no origin.
        if "url" in found and found.get("initiator", "not an origin") != "not an origin":
            asked.add(found["url"])
    return asked - {page.as_uri()}, picture.read_bytes()


@pytest.mark.timeout(300)
def test_it_opens_in_a_browser_and_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    required("" if shutil.which("chromium") and shutil.which("ssh-keygen") else "chromium")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    bundle.write(Recorded(tmp_path / "home", why=HOSTILE).subject, tmp_path / "out")
    asked, picture = opened(tmp_path / "out" / bundle.PAGE, tmp_path / "first")
    assert asked == set()
    assert picture.startswith(b"\x89PNG") and len(picture) > 20_000, "there is something to see"
    # The same look at a page that does ask somebody, so that the one above can be believed.
    other = tmp_path / "other.html"
    other.write_text("<img src='http://evil.example/p.png'>")
    asked, _ = opened(other, tmp_path / "second")
    assert asked == {"http://evil.example/p.png"}
