"""Engines: what they run for somebody to look at, and what another one is told."""
