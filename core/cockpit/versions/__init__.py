"""Namespaces about versions beside those of the registry: comparison, and what their training has logged."""
