"""Alerts: how they stand after each measurement, and who is told."""
