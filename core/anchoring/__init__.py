"""The head of the audit's chain, kept where this account cannot rewrite it: on a ref of a Git remote, or in a file of
another account. `podium audit verify` compares the chain with it."""
