"""Repairs that a person asks for."""
