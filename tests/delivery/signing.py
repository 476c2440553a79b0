"""A key of a person's, in a world that serves only what is signed by it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from podium.core.domain.evidence.settings import Evidence

from tests.delivery.light import World


def let_anna_sign(world: World, directory: Path) -> None:
    """Makes Anna a key in `directory`, and her the one allowed signer."""
    key = directory / "anna"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (world.project.home / "allowed_signers").write_text(f"anna {key.with_name('anna.pub').read_text()}")
    world.project = replace(world.project, evidence=Evidence(signers="allowed_signers", key=str(key)))
