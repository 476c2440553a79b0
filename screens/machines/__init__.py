"""Screens of the machines below: what they have, and the infrastructure that declares them."""
