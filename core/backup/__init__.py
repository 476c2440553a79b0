"""Backups of a project's state: written while everything runs, brought back on this machine or another."""
