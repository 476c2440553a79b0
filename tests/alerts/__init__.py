"""Alerts, and who is told of them."""
