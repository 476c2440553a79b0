"""The relay that carries requests into an engine's networks."""
