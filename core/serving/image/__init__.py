"""A version as a reproducible image."""
