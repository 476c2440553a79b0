"""Everything that goes wrong, drawn from a seed: `python -m tests.chaos`.

`ground.py` makes what a world stands on so that it can be broken (a disk that fills and fails, a clock that jumps, a name of
the host that changes), `victims.py` finds who is meant, `catalogue.py` lists the faults with how each is begun and ended,
`drawing.py` draws rounds, `rounds.py` carries one out, `watching.py` looks meanwhile, and `tally.py` counts what was lost to
what.
"""
