"""Terraform and OpenTofu, by their published JSON."""
