"""Colours by role, and the themes that are made of them."""
