"""The feedback loop."""
