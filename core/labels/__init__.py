"""Requests that replicas have answered, and their labels: one SQLite file for each environment, filled from the files
that replicas write (core/serving/requests.py, recorder.py)."""
