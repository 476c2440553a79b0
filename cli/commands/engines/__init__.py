"""Commands about what engines run, and what another engine is told."""
