"""The driver `light` for a whole project: replicas that start in a tenth of a second, found by worker and agent as a
package's driver would be."""

from __future__ import annotations

import sys
from pathlib import Path

from podium.core.delivery.drivers import ReplicaSpec
from podium.core.delivery.drivers.process import ProcessDriver

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "tests/delivery/light_server.py"


class LightDriver(ProcessDriver):
    def command(self, spec: ReplicaSpec) -> list[str]:
        return [sys.executable, "-S", "-E", str(SERVER), *super().command(spec)[3:]]


def announce(directory: Path) -> list[str]:
    """What has to be in PYTHONPATH for processes to find the driver."""
    package = directory / "podium_chaos-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: podium-chaos\nVersion: 1\n")
    (package / "entry_points.txt").write_text(f"[podium.drivers]\nlight = {__name__}:LightDriver\n")
    return [str(directory), str(ROOT)]
