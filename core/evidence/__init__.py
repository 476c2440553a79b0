"""Why a version serves, as files that others can check without Podium.

`story` gathers what is recorded (`sections/`), `text/` writes it down, `statement` is the in-toto statement about the
version's files, `signing` asks ssh-keygen, `bundle` puts it all into a directory, and `verify` compares one with what
was signed.
"""
