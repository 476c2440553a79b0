"""Signatures of versions: digests of files, what ssh-keygen says of a signature, the statements that are kept of a
version, and whether one of them allows that it is served (`required`)."""
