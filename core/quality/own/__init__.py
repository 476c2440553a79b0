"""Metrics of the project's own: functions in its files, called in processes of their own."""
