"""Parts of the log view that are about lines alone: what matches, which are meant, which time a person names."""
