"""The cockpit in a browser on this machine: a server on 127.0.0.1, and for each tab a cockpit on its own terminal."""
