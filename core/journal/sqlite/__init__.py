"""SQLite below the journal: the connection, the tables and their migrations, and what SQLite's errors mean."""
