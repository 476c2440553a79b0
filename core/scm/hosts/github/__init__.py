"""GitHub, on github.com and of one's own (Enterprise Server)."""
