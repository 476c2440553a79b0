"""Where a version comes from: the commit, the data, the runs, the model's own files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...beneath import Directory, walk
from ...domain.evidence.story import Cell, Section, Table
from ...domain.runs import Run, Step
from ...domain.scm import Commit
from ...domain.text.format import moment
from ...errors import PodiumError
from ...registry.files import directory, present
from ...scm.history import diff
from ...scm.repository import Repository
from ..subject import Subject

# A table that describes the environment is small; what is larger describes something else.
_MAX_DESCRIPTION = 64 << 10
_DESCRIPTIONS = ("MLmodel", "python_env.yaml", "requirements.txt")


def commit(subject: Subject) -> Section:
    """Returns the commit that the version was made from, and what it changed since the version before."""
    version = subject.version
    if not version.commit:
        return Section(
            "commit", "Commit", missing=("the version names no commit: it was not made by a run of Podium's",)
        )
    found = _commit(subject, version.commit)
    if found is None:
        return Section(
            "commit",
            "Commit",
            (("commit", version.commit),),
            missing=("the repository does not have this commit any more: its author, time and changes are not known",),
        )
    facts: tuple[tuple[str, Cell], ...] = (
        ("commit", found.sha),
        ("subject", found.subject),
        ("author", found.author),
        ("time", moment(found.at)),
    )
    missing = [] if version.run_id is None or not _dirty(subject) else [_DIRTY]
    before = _before(subject)
    changes, words = _changes(subject, found, before)
    if before is not None:
        facts = (*facts, ("compared with", f"v{before[0]}, commit {before[1]}"))
    return Section("commit", "Commit", facts, text=changes, missing=(*missing, *words))


_DIRTY = "the working tree differed from this commit when the version was made; what differed was not recorded"


def _commit(subject: Subject, sha: str) -> Commit | None:
    try:
        return Repository.open(subject.project.home).resolve(sha)
    except PodiumError:
        return None


def _dirty(subject: Subject) -> bool:
    run = subject.run
    return run is not None and run.dirty


def _before(subject: Subject) -> tuple[int, str] | None:
    """Returns number and commit of the version before, of those that name one."""
    earlier = [
        each for each in subject.journal.versions.of(subject.model) if each.version < subject.number and each.commit
    ]
    found = max(earlier, key=lambda each: each.version, default=None)
    return None if found is None else (found.version, found.commit)


def _changes(subject: Subject, now: Commit, before: tuple[int, str] | None) -> tuple[str, tuple[str, ...]]:
    """Returns the difference from the version before, or from the commit's own parent, and what could not be had."""
    old = None if before is None else _commit(subject, before[1])
    words = (
        ()
        if before is None or old is not None
        else (f"the commit of v{before[0]} is gone: shown is what this one changed",)
    )
    try:
        found = diff(Repository.open(subject.project.home), old, now)
        return "\n".join(line.text for line in found.lines), (
            *words,
            *([f"the changes are many: {found.cut}"] if found.cut else ()),
        )
    except PodiumError as error:
        return "", (*words, f"the changes cannot be read: {error.message}")


def data(subject: Subject) -> Section:
    """Returns what the version learned from, and the rows that judged it."""
    learned = subject.version.learned
    facts: tuple[tuple[str, Cell], ...] = ()
    missing: list[str] = []
    if learned is None:
        missing.append(
            "what it learned from was not recorded by a step `dataset`; the inputs of its steps are below, by key"
        )
    else:
        facts = (
            ("rows of requests", learned.rows),
            ("digest", learned.digest),
            ("environment", learned.environment),
            ("from", learned.start),
            ("to", learned.end),
        )
    reports = subject.journal.gates.of(subject.model, subject.number)
    judged = Table(
        "judged",
        "Rows that judged it",
        ("gate", "file", "rows", "digest"),
        tuple((each.gate, each.data, each.rows, each.data_digest or None) for each in reports),
    )
    unknown = [each.data for each in reports if each.data and not each.data_digest]
    if unknown:
        names = ", ".join(dict.fromkeys(unknown))
        missing.append(f"digests of files that gates have read were not recorded: {names}")
    return Section("data", "Data", facts, (judged,) if reports else (), missing=tuple(missing))


def runs(subject: Subject) -> Section:
    """Returns the run that made the version, its parameters and its steps."""
    version, run = subject.version, subject.run
    training: tuple[tuple[str, Cell], ...] = (
        ("MLflow run", version.mlflow_run or None),
        ("registered", moment(version.created)),
    )
    tables = (
        _pairs("metrics", "Metrics of the training", version.metrics),
        _pairs("params", "Parameters", version.params),
    )
    if run is None:
        words = (
            f"run {version.run_id} is not in the journal any more" if version.run_id else "no run of Podium's made it"
        )
        return Section("runs", "Training", training, tables, missing=(words,))
    steps = subject.journal.steps.of(run.id)
    facts = (*_about(run), *training)
    given = _pairs("run_params", "Parameters of the run", run.params)
    return Section("runs", "Training", facts, (*tables, *([given] if given.rows else []), _steps(steps)))


def _about(run: Run) -> tuple[tuple[str, Cell], ...]:
    return (
        ("run", run.id),
        ("pipeline", run.name),
        ("state", str(run.state)),
        ("started by", str(run.trigger)),
        ("who", run.who),
        ("why", run.why or None),
        ("branch", run.branch or None),
        ("started", moment(run.started)),
        ("ended", moment(run.ended)),
    )


def _pairs(key: str, title: str, values: Mapping[str, Cell] | Mapping[str, float] | Mapping[str, str]) -> Table:
    return Table(key, title, ("name", "value"), tuple(sorted(values.items())))


def _steps(steps: list[Step]) -> Table:
    columns = ("step", "state", "what", "cached from run", "cache key", "exit code", "started", "ended")
    rows = tuple(
        (
            step.name,
            str(step.state),
            step.uses or step.command,
            step.origin if step.cached else None,
            step.key or None,
            step.exit_code,
            moment(step.started),
            moment(step.ended),
        )
        for step in steps
    )
    return Table("steps", "Steps", columns, rows)


def files(subject: Subject) -> Section:
    """Returns the version's files with their digests, and what they say of the environment that made them."""
    place = directory(subject.project.state, subject.model, subject.number)
    digest = present(place)
    if digest is None:
        words = (
            "the version's files on this machine are not those that were fetched: somebody has changed them"
            if place.is_dir()
            else "the version's files are not on this machine: `podium evidence --fetch` brings them from the registry"
        )
        return Section("files", "Model", (("digest", subject.version.digest or None),), missing=(words,))
    known = file_digests(subject)
    facts: tuple[tuple[str, Cell], ...] = (("digest", digest), ("files", len(known)))
    missing: list[str] = []
    if subject.version.digest and subject.version.digest != digest:
        missing.append(f"the journal knows another digest: {subject.version.digest}")
    listed = Table("files", "Files", ("file", "sha256", "bytes"), tuple((name, sha, size) for name, sha, size in known))
    text = "\n".join(f"--- {name}\n{content}" for name, content in _descriptions(subject))
    missing += [
        f"{name} has {size} bytes and is not repeated here; its digest is below"
        for name, _, size in known
        if name in _DESCRIPTIONS and size > _MAX_DESCRIPTION
    ]
    return Section("files", "Model", facts, (listed,), text=text, missing=tuple(missing))


def file_digests(subject: Subject) -> tuple[tuple[str, str, int], ...]:
    """Returns path, SHA-256 in hexadecimal and size of each of the version's files; none if they are not here as they
    were fetched. Hashed in parallel, and remembered as long as they are the same files."""
    from ...signatures.hashing import digests

    place = directory(subject.project.state, subject.model, subject.number)
    return digests(subject.project.state, place) if present(place) is not None else ()


def _descriptions(subject: Subject) -> Iterator[tuple[str, str]]:
    place = directory(subject.project.state, subject.model, subject.number)
    with Directory.open(place) as top:
        there = {found.path: found.status.st_size for found in walk(top) if found.is_file}
        for name in _DESCRIPTIONS:
            if name in there and there[name] <= _MAX_DESCRIPTION:
                with top.read_below(name, links=False) as file:
                    yield name, file.read(_MAX_DESCRIPTION).decode("utf-8", "replace")


def card(subject: Subject) -> Section:
    """Returns the project's own words on what the model is for, as they were in the version's commit."""
    name = subject.project.evidence.card
    sha = subject.version.commit
    content = None
    if sha:
        try:
            content = Repository.open(subject.project.home).file(sha, name)
        except PodiumError:
            content = None
    if content is None:
        words = f"the version's commit has no file {name} (`evidence.card`): intended use and limits are not said"
        return Section("card", "Model card", missing=(words,))
    cut = (f"{name} has {len(content)} bytes: only the first {_MAX_DESCRIPTION} are here",)
    return Section(
        "card",
        "Model card",
        (("file", name),),
        text=content[:_MAX_DESCRIPTION].decode("utf-8", "replace"),
        missing=cut if len(content) > _MAX_DESCRIPTION else (),
    )
