"""logs -e: what the replicas of an environment print."""

from __future__ import annotations

import time

from ...core.cockpit import Cockpit
from ...core.errors import UsageError
from ..options import LogOptions
from ..text import diagnostics, output
from ..text.log_lines import LineWriter
from ..text.output import Format

_POLL_INTERVAL = 0.1  # seconds


def replica_logs(cockpit: Cockpit, environment: str, replica: str, options: LogOptions) -> int:
    """Prints the logs of all replicas of an environment, merged in time order, or of one."""
    if options.output_format is Format.PLAIN:
        raise UsageError("a log is plain text already", hint="omit -o, or use -o json for one object per line")
    writer = LineWriter(
        source="replica",
        several=not replica,
        timestamps=options.timestamps,
        stream=options.stream,
        json=options.output_format is Format.JSON,
    )
    logs = cockpit.containers.follow_logs(environment, replica=replica, tail=options.tail)

    def show(*, all: bool) -> bool:
        lines = logs.read(all=all)
        for name, line in lines:
            writer.write(name, line)
        output.flush()
        return bool(lines)

    try:
        logs.catch_up()
        while show(all=not options.follow) or options.follow:
            time.sleep(_POLL_INTERVAL if options.follow else 0.0)
    finally:
        logs.close()
    return diagnostics.DONE
