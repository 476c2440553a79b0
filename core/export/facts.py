"""Finds out what an environment serves and what another engine has to know about it."""

from __future__ import annotations

from ..delivery.drivers.docker.create import served_variables
from ..delivery.status.status import status
from ..domain.access.clients import ClientLimits
from ..domain.containers import Image
from ..domain.delivery import Deployment, EnvironmentStatus
from ..domain.engines.exports import ExportedEnvironment, ExportFormat, Served
from ..domain.project import Environment, Project
from ..errors import NotFound, Refused
from ..journal import Journal
from ..serving.image.recipe import PORT, USER

_SCRATCH = "/tmp"  # noqa: S108 - a container's own
# Nobody collects labels there, and each replica remembers requests that end processes for itself.
_ALONE = {"PODIUM_SERVING_FEEDBACK": "closed", "PODIUM_SERVING_GUARD": f"{_SCRATCH}/podium-guard"}


def exported(project: Project, journal: Journal, name: str, form: ExportFormat) -> ExportedEnvironment:
    """Returns what the environment serves now. Raises NotFound if it does not exist, serves nothing, or a version has
    no image; Refused while it is being changed, other than by a canary, and if an image cannot be pulled by the other
    engine."""
    environment = project.environment(name)
    now = status(project, journal, environment)
    rows = _rows(journal, now)
    served = tuple(_served(journal, environment, row, share, form) for row, share in rows)
    return ExportedEnvironment(
        project=project.name,
        model=rows[0][0].model,
        environment=environment,
        served=served,
        user=USER,
        port=PORT,
        writable=(_SCRATCH,),
        variables=tuple((served_variables(environment) | _ALONE).items()),
        left_out=tuple(_left_out(environment, served)),
    )


def _rows(journal: Journal, now: EnvironmentStatus) -> list[tuple[Deployment, int]]:
    """Returns the ledger's rows of what serves, each with its share in percent."""
    if now.deployment is None or now.serving is None:
        raise NotFound(f"{now.name} serves nothing", hint="deploy a version first: `podium deploy --help`")
    canary = now.canary
    if canary is None and now.rollout is not None:
        raise Refused(
            f"{now.name} is being changed: {now.rollout.headline}", hint="export it when that is over: `podium status`"
        )
    if canary is None:
        return [(now.deployment, 100)]
    rows = [(now.deployment, 100 - canary.share), (journal.ledger.get(canary.deployment), canary.share)]
    return sorted(((row, share) for row, share in rows if share), key=lambda each: -each[1])


def _served(journal: Journal, environment: Environment, row: Deployment, share: int, form: ExportFormat) -> Served:
    image = _image(journal, environment, row)
    if form is ExportFormat.KUBERNETES and not image.digest:
        raise Refused(
            f"the image of v{row.to_version} was never pushed, and a cluster cannot pull it",
            hint="name a repository in `docker.push` of podium.yaml, and build the image again",
        )
    return Served(
        row.to_version,
        share,
        image.reference if image.digest else image.image_id,
        bool(image.digest),
        row.commit,
        row.run_id,
        row.digest,
    )


def _image(journal: Journal, environment: Environment, row: Deployment) -> Image:
    """Returns the version's image that was pushed, else one that some engine has."""
    known = journal.images.of(row.model, row.to_version)
    if not known:
        raise NotFound(
            f"v{row.to_version} serves in {environment.name} and has no image",
            hint="a pipeline step `{uses: image, version: N}` builds it; other engines start images only",
        )
    return max(known, key=lambda image: (bool(image.digest), image.built))


def _left_out(environment: Environment, served: tuple[Served, ...]) -> list[str]:
    """Returns what Podium does for the environment and the files do not."""
    found: list[str] = []
    if not all(one.pushed for one in served):
        found.append("an image was never pushed: only the engine that has it can start it")
    if environment.https is not None:
        found.append("TLS: the certificate stays here; put a proxy or an ingress with your own in front")
    if environment.auth is not None:
        found.append("auth: nobody is asked for a token or a certificate; nothing is published beyond the machine")
    if environment.limits != ClientLimits():
        found.append("limits: how much each client may ask is not bounded")
    if environment.feedback.proved:
        found.append("feedback: labels are not collected")
    if environment.capture:
        found.append("capture: no requests are kept, so monitors and replays see nothing of this")
    if environment.keep or environment.keep_stopped:
        found.append("earlier versions are not kept warm: going back is a new rollout of the other engine")
    return found
