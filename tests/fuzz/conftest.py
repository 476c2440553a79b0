from __future__ import annotations

# The scoring server beside MLflow's own, around the same models.
from tests.serving.conftest import pair, saved

__all__ = ["pair", "saved"]
