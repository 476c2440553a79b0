"""evidence, why: why a version serves, in files that others can check, and in ten lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ...core.cockpit import Cockpit, find_project, sign_evidence, verify_evidence
from ...core.domain.evidence.proof import Bundle, Proof, Standing
from ...core.domain.text import clean
from ...core.domain.text.format import count
from ...core.errors import NotFound, UsageError
from ..options import AnyEnvironment, NeededVersion, Output, Printed, VersionName, Why, written_to
from ..session import command, opened, start
from ..text import diagnostics, evidence_shapes, output
from ..text.diagnostics import hint, note
from ..text.output import Column, Format
from .audit import at as moment_of
from .models import refresh

_WHY = (Column("WHAT"), Column("WORDS", flexible=True), Column("MORE", flexible=True))


class _Group(TyperGroup):
    """`podium evidence v3` is `podium evidence write v3`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, "--help", "-h"}:
            args = ["write", *args]
        return super().parse_args(ctx, args)


evidence = typer.Typer(
    cls=_Group, rich_markup_mode=None, help="Write why a version serves, in files that others can check."
)


def _file(name: str, help: str, metavar: str = "FILE") -> Any:
    return typer.Option(name, metavar=metavar, help=help, show_default=False)


Directory = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--to",
        metavar="DIR",
        parser=written_to,
        help="A new directory for it. Default: evidence-MODEL-vN.",
        show_default=False,
    ),
]
KeyFile = Annotated[
    Path | None,
    _file("--key", "The SSH key to sign with, or its public half for an ssh-agent's. Default: your own."),
]
AtTime = Annotated[
    float | None,
    typer.Option(
        "--at",
        metavar="TIME",
        parser=moment_of,
        show_default=False,
        help="What it served then: 2h, 2026-11-23T14:05 (local), …Z (UTC).",
    ),
]


def write(
    cockpit: Cockpit,
    version: VersionName = None,
    environment: AnyEnvironment = None,
    at: AtTime = None,
    to: Directory = None,
    key: KeyFile = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Fetch the version's files from the registry where they are not here.")
    ] = False,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Do not sign it.")] = False,
    output_format: Printed = Format.TABLE,
) -> int:
    """Write the evidence of a version, or of what an environment serves or served, into a new directory.

    Markdown, one page of HTML and JSON say the same; an in-toto statement names every file of the model by its digest,
    and an SSH key signs it. What was not recorded is said.

    \b
    Example:
      podium evidence v3
      podium evidence -e production --at 2026-11-23T14:05 -o audit/november
    """
    directory = start() / to if to is not None else None
    chosen = start() / key if key is not None else None
    if environment is not None:
        if version is not None:
            raise UsageError("a version or an environment, not both", hint="podium evidence -e production")
        if fetch:
            cockpit.evidence.fetch(cockpit.evidence.served(environment, at))
        made = cockpit.evidence.write_served(environment, at, directory, start(), key=chosen, sign=not unsigned)
    elif version is None:
        raise UsageError("which version?", hint="podium evidence v3, or -e production for what serves there")
    else:
        found = cockpit.models.resolve(version)
        if fetch:
            cockpit.evidence.fetch(found)
        made = cockpit.evidence.write(found, directory, start(), key=chosen, sign=not unsigned)
    return _written(made, output_format)


def _written(made: Bundle, output_format: Format) -> int:
    if output_format is Format.JSON:
        output.document(evidence_shapes.bundle(made))
    else:
        output.line(clean(made.directory))
    for words in made.missing:
        note(clean(f"not recorded: {words}"), style="dim")
    if made.unsigned:
        note(clean(f"it is not signed: {made.unsigned}"), style="yellow")
    elif made.signer:
        note(f"signed by {clean(made.signer)}", style="green")
    hint(f"podium evidence verify {clean(made.directory)}")
    return diagnostics.DONE


def verify(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="The bundle, or a file of it.", show_default=False)],
    signers: Annotated[
        Path | None, _file("--signers", "Who may sign, as ssh-keygen reads it. Default: podium.yaml's.")
    ] = None,
    revoked: Annotated[Path | None, _file("--revoked", "Keys that are revoked, as ssh-keygen reads them.")] = None,
    model: Annotated[Path | None, _file("--model", "The version's files, to be compared.", "DIR")] = None,
    output_format: Output = Format.TABLE,
) -> int:
    """Compare a bundle of evidence with what was signed. It needs no project; in the project that it is of, the model's
    files and the audit are compared, too. The exit code is 1 if something differs.

    \b
    Example:
      podium evidence verify evidence-churn-v3 --signers allowed_signers
    """
    here = start()
    files: dict[str, Path | None] = {
        "signers": _given(here, signers),
        "revoked": _given(here, revoked),
        "model": here / model if model is not None else None,
    }
    found = _verified(here / path, files)
    if output_format is Format.JSON:
        output.document(evidence_shapes.proof(found))
    for words in found.problems:
        note(clean(words), style="red")
    for words in found.checked:
        note(clean(f"compared: {words}"), style="dim")
    if not found.problems:
        note(clean(_standing(found)), style="green" if found.standing is Standing.KNOWN else "yellow")
    return diagnostics.DONE if found.good else diagnostics.FAILED


def _given(here: Path, file: Path | None) -> Path | None:
    """Returns a file that was named. Raises NotFound if it is not there."""
    if file is not None and not (here / file).is_file():
        raise NotFound(f"there is no file {file}", hint="ssh-keygen(1) describes it under ALLOWED SIGNERS")
    return None if file is None else here / file


def _verified(path: Path, files: dict[str, Path | None]) -> Proof:
    """Returns what was found, with the project's part where the call is made in one."""
    try:
        find_project(start())
    except UsageError:
        return verify_evidence(path, **files)
    cockpit = opened()
    try:
        return cockpit.evidence.verify(path, **files)
    finally:
        cockpit.close()


def _standing(found: Proof) -> str:
    what = f"{found.model} v{found.version}" if found.version is not None else "it"
    if found.standing is Standing.KNOWN:
        return f"{what} is as {found.signer} signed it"
    return f"{what} is as {found.signer} signed it; nobody says whose key that is (--signers FILE)"


def _image(text: str) -> str:
    """Returns the hexadecimal digits of an image's digest. Raises UsageError."""
    found = re.fullmatch(r"(?:\S+@)?sha256:([0-9a-f]{64})", text)
    if found is None:
        raise UsageError(f"{text!r} is no digest of an image", hint="`podium images -o json` has it: sha256:…")
    return found[1]


def sign(
    what: Annotated[
        str, typer.Argument(metavar="VERSION|DIR", help="A version, or a bundle's directory.", show_default=False)
    ],
    key: KeyFile = None,
    force: Annotated[bool, typer.Option("--force", help="Sign what no gate has passed. Needs --why.")] = False,
    why: Why = "",
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image",
            metavar="DIGEST",
            parser=_image,
            show_default=False,
            help="An image of the version that another machine has, too (sha256:…, of `podium images` there).",
        ),
    ] = None,
    output_format: Output = Format.TABLE,
) -> int:
    """Sign a version, so that it may be served where `verify: required` is; or a bundle, too, that somebody else has
    written: read it first. A version is signed as it is: its files and its images, by their digests.

    \b
    Example:
      podium evidence sign v3
      podium evidence sign evidence-churn-v3 --key ~/.ssh/id_ed25519
    """
    path, chosen = start() / what, start() / key if key is not None else None
    if not path.exists():
        return _sign_version(what, chosen, why, output_format, force=force, images=image or ())
    if image:
        raise UsageError("a bundle's images are those it has", hint="--image is for a version: v3")
    signer = sign_evidence(path, chosen)
    note(f"signed by {clean(signer)}", style="green")
    return diagnostics.DONE


def _sign_version(
    what: str, key: Path | None, why: str, output_format: Format, *, force: bool, images: Sequence[str]
) -> int:
    if force and not why:
        raise UsageError(
            "--force needs --why: the audit keeps the reason", hint=f'podium evidence sign {what} --force --why "…"'
        )
    cockpit = opened()
    try:
        refresh(cockpit, offline=False)
        found = cockpit.models.resolve(what)
        made = cockpit.evidence.release(found, key=key, why=why, force=force, images=images)
    finally:
        cockpit.close()
    if output_format is Format.JSON:
        output.document(evidence_shapes.signed_version(made))
    note(
        f"{clean(made.model)} v{made.version} is signed by {clean(made.signer)}: {count(made.files, 'file')},"
        f" {count(made.images, 'image')}",
        style="green",
    )
    if made.alone:
        note(f"the statement is on this machine only: {clean(made.alone)}", style="yellow")
    return diagnostics.DONE


evidence.command("write")(command(write))
evidence.command("verify")(command(verify))
evidence.command("sign")(command(sign))


def why(cockpit: Cockpit, version: NeededVersion, output_format: Output = Format.TABLE) -> int:
    """Say why a version serves, or why it does not: from its commit to its traffic, each with what shows more.

    \b
    Example:
      podium why v3
      podium why champion
    """
    found = cockpit.models.resolve(version)
    reasons = cockpit.evidence.why(found)
    cells = [(each.what, clean(each.words), clean(each.command)) for each in reasons]
    output.rows(output_format, _WHY, cells, map(evidence_shapes.why_line, reasons))
    if output_format is Format.TABLE:
        note(f"{found.model} v{found.version}: {count(len(reasons), 'line')}", style="dim")
    return diagnostics.DONE
