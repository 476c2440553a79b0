"""The statement about a version's files and image: in-toto Statement v1 with the predicate of SLSA provenance v1.
Sources: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and https://slsa.dev/spec/v1.0/provenance."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..domain.containers import Image
from ..domain.text.format import moment
from ..signatures.hashing import shown_name
from ..signatures.in_toto import BUNDLE_PREFIX, MODEL_PREFIX, STATEMENT
from ..version import VERSION
from .sections.origin import file_digests
from .subject import Subject

PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:podium:pipeline:1"
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})$")


def statement(subject: Subject, documents: Mapping[str, str], more: Collection[str] = ()) -> str:
    """Returns the statement as JSON; `documents` are the bundle's files with their SHA-256, `more` that of images
    of the version which other machines have."""
    version = subject.version
    about = [
        *(_digest(f"{MODEL_PREFIX}{shown_name(name)}", sha) for name, sha, _ in file_digests(subject)),
        *(_digest(f"{BUNDLE_PREFIX}{name}", sha) for name, sha in documents.items()),
        *_images(subject.journal.images.of(subject.model, version.version), more),
    ]
    content = {
        "_type": STATEMENT,
        "subject": about,
        "predicateType": PREDICATE,
        "predicate": {"buildDefinition": _definition(subject), "runDetails": _details(subject)},
    }
    return json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _digest(name: str, sha: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": sha}}


def _images(images: Iterable[Image], more: Collection[str]) -> list[dict[str, Any]]:
    """Returns the images, each once: by its id, and one that was pushed by its registry's digest, too."""
    found = {name for image in images for name in (image.reference, image.image_id)}
    found |= {f"sha256:{each}" for each in more}
    return [_digest(name, digest[1]) for name in sorted(found) if (digest := _SHA256.search(name))]


def _definition(subject: Subject) -> dict[str, Any]:
    version, run = subject.version, subject.run
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": {
            "project": subject.project.name,
            "model": subject.model,
            "version": version.version,
            "pipeline": "" if run is None else run.name,
            "parameters": {} if run is None else dict(run.params),
        },
        "internalParameters": {"mlflowRun": version.mlflow_run, "dirty": run is not None and run.dirty},
        "resolvedDependencies": list(_dependencies(subject)),
    }


def _dependencies(subject: Subject) -> Iterable[dict[str, Any]]:
    version, host = subject.version, subject.project.git.host
    if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", version.commit):
        place = f"git+https://{host.place}" if host is not None else "git+file:."
        yield {"uri": f"{place}@{version.commit}", "digest": {"gitCommit": version.commit}}
    learned = version.learned
    if learned is not None and (found := _SHA256.search(learned.digest)):
        yield _digest("dataset", found[1])


def _details(subject: Subject) -> dict[str, Any]:
    run = subject.run
    metadata = {
        "invocationId": "" if run is None else f"run {run.id}",
        "startedOn": None if run is None else moment(run.started),
        "finishedOn": None if run is None else moment(run.ended),
    }
    return {
        "builder": {"id": "urn:podium:worker", "version": {"podium": VERSION}},
        "metadata": {key: value for key, value in metadata.items() if value},
    }
