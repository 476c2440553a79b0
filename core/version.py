"""The version, as a constant: reading it from the package's metadata costs 20 ms at every start."""

VERSION = "0.1.0"
