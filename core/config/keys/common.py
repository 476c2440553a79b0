"""Kinds of values that several sections of podium.yaml share."""

from __future__ import annotations

from ..kinds import Integer, Number, Size, Text
from ..patterns import bad_branch, bad_local, bad_path, bad_pattern, bad_reason
from ..sections import NAME, VARIABLE_NAME, ListOf, MapOf

GOALS = ("maximize", "minimize")
name = Text(pattern=NAME, what="a name")
names = ListOf(name, single=True)
columns = ListOf(Text(), single=True, least=1)
reference = Text(pattern=rf"{NAME}|.*\$\{{\{{.*", what="a name", templated=True)
path = Text(check=bad_path, templated=True)
paths = ListOf(path, single=True)
branch = Text(check=bad_branch)
pattern = Text(check=bad_pattern)
env = MapOf(Text(empty=True, templated=True), "variable", VARIABLE_NAME)
version = Integer(low=1, templated=True)
reason = Text(check=bad_reason, templated=True)
ACCOUNT = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}"
IMAGE = r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,300}|.*\$\{\{.*"
cpus = Number(0.01, 1024)
memory = Size(low=6 << 20)
host = Text(pattern=r"(ssh|tcp|unix)://\S+", what="an address such as ssh://user@machine")
tls = Text(check=bad_local)
