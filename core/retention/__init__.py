"""What grows below `.podium/`, how long it is kept, and how it is removed: `kinds.py` has the one table of it."""
