"""What a person asks across subjects: what is meant by a name, why something is as it is."""
