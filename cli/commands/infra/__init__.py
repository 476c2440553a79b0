"""The command `infra`: what it does, and the lines that it prints."""
