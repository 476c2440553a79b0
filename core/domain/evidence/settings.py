"""How a project's evidence is written, signed and judged."""

from __future__ import annotations

from ..frozen import Frozen


class Evidence(Frozen):
    """The section `evidence` of podium.yaml."""

    card: str = "MODEL_CARD.md"
    """A file of the repository with the project's own words on intended use and limits."""
    key: str = ""
    """What is signed with: a private key of SSH, or a public one whose private key an ssh-agent has; empty for a key of
    this account's own."""
    signers: str = ""
    """The file of allowed signers, as `ssh-keygen` reads it (ssh-keygen(1), ALLOWED SIGNERS), relative to the project;
    empty for none."""
    model_key: str = ""
    """A private key as PEM by which OpenSSF Model Signing signs the model's files in a bundle, too; empty for none."""
    revoked: str = ""
    """The file of revoked keys, as `ssh-keygen` reads it (ssh-keygen(1), KEY REVOCATION LISTS); empty for none."""
    anchor: str = ""
    """Where the audit's head is kept outside of the journal: a file, or the name of a Git remote; empty for nowhere."""
    signers_of: tuple[str, ...] = ()
    """Commits whose files of signers and of revoked keys count beside those of the release branch now. Not a key of
    podium.yaml: what a pushed commit says of signers counts from the next one on."""
