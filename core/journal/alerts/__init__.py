"""Alerts: what changed, how each stands, and which of them nobody wants to be told of for a while."""
