"""Processes, ports and paths of environments on this machine."""
