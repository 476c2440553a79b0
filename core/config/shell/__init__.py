"""Values in shell commands: the place of each (`judge`), and what is written there (`quoting`)."""
