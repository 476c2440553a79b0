"""The HAProxy in front of an environment."""
