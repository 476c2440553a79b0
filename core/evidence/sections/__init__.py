"""The sections of a story: each reads one subject from the journal, git or the model's files, and says what is not
recorded."""
