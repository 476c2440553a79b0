"""What of the journal grows old: rows that go, and rows of the ledger and the audit that are sealed into files."""
