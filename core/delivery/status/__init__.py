"""What an environment serves, and where it differs from the ledger."""
