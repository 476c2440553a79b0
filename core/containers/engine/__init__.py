"""The client of a Docker engine: address, connections, errors, labels."""
