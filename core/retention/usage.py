"""How much of the disk each kind of data takes."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from ..beneath import Directory
from ..domain.project import Project
from ..domain.watching import KindUsage
from ..journal import Journal
from .kinds import KINDS, kind_of, kind_of_table
from .scene import allocated, plain_files

OTHER = "other"


def usage(project: Project, journal: Journal) -> list[KindUsage]:
    """Returns what each kind takes, the largest first; `other` for what is nobody's. A file with several names counts
    once, one with holes as what it takes, and links are not followed."""
    entries, sizes = Counter[str](), Counter[str]()
    seen: set[tuple[int, int]] = set()
    with suppress(FileNotFoundError), Directory.open(project.state) as top:
        for path, status in plain_files(top):
            kind = kind_of(path)
            name = kind.name if kind is not None else OTHER
            entries[name] += 1
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                sizes[name] += allocated(status)
    for table, rows in journal.rows.tables().items():
        kind = kind_of_table(table)
        entries[kind.name if kind is not None else OTHER] += rows
    found = [
        KindUsage(kind.name, kind.about, entries[kind.name], sizes[kind.name], kind.words(project.retain))
        for kind in KINDS
    ]
    if entries[OTHER]:
        found.append(KindUsage(OTHER, "what Podium does not know", entries[OTHER], sizes[OTHER], "always"))
    return sorted(found, key=lambda each: (-each.size, -each.entries))
