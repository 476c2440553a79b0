"""As much of systemd as units of the agent need: a `systemctl` that really starts what a unit says, with the
environment that the unit gives and no other one."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.runner.reaper import VARIABLE

PROGRAM = """#!{python} -S
import os, shlex, signal, subprocess, sys, time
from pathlib import Path

units, state = Path({units!r}), Path({state!r})
words = [word for word in sys.argv[1:] if not word.startswith("--")]
with (state / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")


def read(text):
    return text.replace("%%", "%").replace("$$", "$")


def alive(name):
    # Not one that has ended and waits for whoever inherited it to collect it.
    try:
        return Path("/proc", (state / name).read_text(), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def start(name):
    lines = [line.partition("=") for line in (units / name).read_text().splitlines()]
    environment = {{{mark!r}: os.environ.get({mark!r}, "")}}
    command, log = [], os.devnull
    for key, _, value in lines:
        if key == "ExecStart":
            command = [read(word) for word in shlex.split(value)]
        elif key == "Environment":
            name_of, _, given = read(shlex.split(value)[0]).partition("=")
            environment[name_of] = given
        elif key == "EnvironmentFile" and Path(read(value.lstrip("-"))).exists():
            for line in Path(read(value.lstrip("-"))).read_text().splitlines():
                name_of, _, given = line.partition("=")
                environment[name_of] = given
        elif key == "StandardOutput":
            log = read(value.partition(":")[2])
    with open(log, "ab") as out:
        process = subprocess.Popen(command, cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   start_new_session=True)
    (state / name).write_text(str(process.pid))


def stop(name):
    os.kill(int((state / name).read_text()), signal.SIGTERM)
    while alive(name):
        time.sleep(0.05)


if words[0] == "is-system-running":
    print("running")
elif words[0] == "is-active":
    sys.exit(0 if alive(words[1]) else 3)
elif words[0] in ("enable", "restart") and (words[0] == "restart" or "--now" in sys.argv):
    if alive(words[1]):
        stop(words[1])
    start(words[1])
elif words[0] == "disable" and alive(words[1]):
    stop(words[1])
"""


class SmallSystemd:
    """`bin` is a directory for PATH, `units` where it looks for units."""

    def __init__(self, directory: Path, units: Path) -> None:
        self.bin, self.units, self._state = directory / "bin", units, directory / "state"
        for each in (self.bin, self._state):
            each.mkdir(parents=True)
        text = PROGRAM.format(python=sys.executable, units=str(units), state=str(self._state), mark=VARIABLE)
        for name, script in {"systemctl": text, "loginctl": "#!/bin/sh\necho yes\n"}.items():
            file = self.bin / name
            file.write_text(script)
            file.chmod(0o755)

    def changes(self) -> list[str]:
        """Returns what it was asked to change."""
        lines = (self._state / "calls").read_text().splitlines() if (self._state / "calls").exists() else []
        return [line for line in lines if "is-" not in line]
