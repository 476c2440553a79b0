"""What tests left on an engine: `python -m tests.servers.leftovers` removes images without a name that tests or
Podium made, and says how much that freed.

Nothing younger than the given time is touched (`--minutes 60`): it may belong to a run that goes on beside this one.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

# Every image of the tests' own or of Podium carries one of these.
LABELS = ("podium-test.stamp", "podium.home", "podium.project")


def dangling(api: Any, before: float) -> dict[str, int]:
    """Id and bytes of our nameless images that are older than `before` (seconds since 1970)."""
    found: dict[str, int] = {}
    for label in LABELS:
        for image in api.images(filters={"dangling": True, "label": label}):
            if image["Created"] < before:
                found[image["Id"]] = image["Size"]
    return found


def main() -> None:
    import docker

    parser = argparse.ArgumentParser(description="Removes nameless images that tests left on the engine.")
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    with docker.APIClient(base_url=os.environ.get("DOCKER_HOST") or None, timeout=60) as api:
        freed = 0
        for image, size in dangling(api, time.time() - 60 * options.minutes).items():
            try:
                api.remove_image(image)
                freed += size
            except docker.errors.APIError as error:
                print(f"kept {image[7:19]}: {error.explanation}")
    print(f"nameless images removed: {freed / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
