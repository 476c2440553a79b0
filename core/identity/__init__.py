"""Says who is who, in one place: the machine, its boot, a process, a project's state directory, and the account at
the keyboard.

Names are for people. What is decided by identity (may this lock be broken, is this pid still ours) is decided by
numbers that a rename, a reboot or a reused pid cannot confuse. Locks, the agent's place, workers, replicas, sockets
and the labels of containers all ask here.
"""
