"""Observes what runs on an engine: snapshots, events, statistics and logs."""
