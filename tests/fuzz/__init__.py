"""Text, bytes and JSON that come from outside, in forms that nobody would write: whatever reads them gives what it promises, or an
error of Podium's own that says what is wrong.

A subject is a strategy and a check. `test_fuzz.py` runs each for a moment; `PODIUM_FUZZ_MINUTES=10 pytest tests/fuzz` runs each
for so long, with other seeds again and again, which a failure prints.
"""
