"""Starts children of Podium from a process that has MLflow loaded already.

Importing MLflow takes seconds of CPU, and every built-in step and replica needs it. One server for each Python
environment imports it once and forks: a child has its own environment variables, directory, streams, descriptors and
session, and differs from a new interpreter only in what is imported. The server is started by the first that needs it,
ends after some idle minutes, and is never needed: whoever cannot have it starts a new interpreter.

`client.py` is what others use, `server.py` the process, `forked.py` what a child does before it begins, `protocol.py`
what the two say to each other, and `fingerprint.py` which server is the right one.
"""
