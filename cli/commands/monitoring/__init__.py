"""Commands about what is watched: monitors, alerts, and what those start."""
