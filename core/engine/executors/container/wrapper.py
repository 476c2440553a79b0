"""The wrapper that starts a step's command inside its container: a few lines of shell that are the same for every
step.

What differs, the command and the secret part of its environment, comes over standard input before the command
begins. So neither is in the container's description, in a file, or in anything that outlives the step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ....errors import RunFailed
from ....logs.masking import is_secret

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Signals reach the whole group of the command (the init process sends them on). The wrapper notes one and goes on
# waiting, so that what the command started may clean up after the shell in front of it has ended; what then still runs
# is sent SIGTERM, as with a step that is a process. What it does, in order: read so many lines, carry them out (they
# export variables and name the command), run the command, wait for the rest. Its exit codes are those of `ExitCode`.
WRAPPER = r"""
unset TINI_KILL_PROCESS_GROUP
IFS= read -r n || exit 125
s=
while [ "$n" -gt 0 ]; do
  IFS= read -r l || exit 125
  s="$s$l
"
  n=$((n - 1))
done
eval "unset s l n
$s"
exec </dev/null
podium_term=
trap 'podium_term=1' TERM
"$@"
podium_code=$?
podium_n=0
while set -- /proc/[0-9]*; [ $# -gt 2 ] && [ $podium_n -lt 50 ]; do
  if [ $podium_n -eq 1 ] && [ -z "$podium_term" ]; then
    echo 'the command exited but left processes running; terminating them' >&2
    kill -TERM -1
  fi
  podium_n=$((podium_n + 1))
  sleep 0.1 2>/dev/null || sleep 1 || break
done
if [ $podium_code -eq 180 ]; then podium_code=179; fi
if [ -n "$podium_term" ] && [ $podium_code -eq 0 ]; then podium_code=180; fi
exit $podium_code
"""
ENTRYPOINT = ("/bin/sh", "-c", WRAPPER, "podium")


def split_secrets(env: Mapping[str, str], secrets: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Splits an environment into (what the engine may know, what holds a secret). RunFailed for a secret's name that no
    shell can export."""
    open_: dict[str, str] = {}
    hidden: dict[str, str] = {}
    for name, value in env.items():
        secret = is_secret(name, value, secrets)
        if secret and not _NAME.fullmatch(name):
            raise RunFailed(
                f"the variable {name!r} holds a secret, and a shell cannot export that name",
                hint="rename it in podium.yaml",
            )
        (hidden if secret else open_)[name] = value
    return open_, hidden


def script(argv: Sequence[str], hidden: Mapping[str, str]) -> bytes:
    """Returns what the wrapper reads from its standard input."""
    text = (
        "".join(f"export {name}={quoted(value)}\n" for name, value in hidden.items())
        + "set -- "
        + " ".join(map(quoted, argv))
        + "\n"
    )
    return f"{text.count(chr(10))}\n{text}".encode("utf-8", "surrogateescape")


def quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"
