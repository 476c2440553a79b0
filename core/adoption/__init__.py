"""What becomes of a project whose directory was moved or copied. `settling.py` is asked whenever one is opened, so it
imports little; `copies.py` makes a copy a project of its own, `moves.py` follows one that serves to its new place."""
