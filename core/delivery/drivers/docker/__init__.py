"""The driver that serves versions in containers."""
