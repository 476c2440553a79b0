"""Bringing a version to traffic, phase by phase, and undoing it."""
