"""Has systemd start the agent at boot: writes a unit, and has systemd take it. As root it is a unit of the system that
runs as the owner of the project, else one of the user's own, who then has to linger."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..config import FILE, variables
from ..config.own import ENVIRONMENT_FILE, own_variables
from ..domain.project import Project
from ..domain.watching import Service
from ..errors import NotFound, PodiumError, Unreachable, UsageError
from ..identity.home import home_id
from ..identity.private import ensure_private
from ..journal import Journal
from ..replacing import replace_file
from .metrics import may_show
from .webhooks import may_listen

SYSTEM_UNITS = Path("/etc/systemd/system")
_TIMEOUT = 30.0
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
# What means something in a pattern for files, and what makes it mean itself.
_PATTERN, _LITERAL = re.compile(r"[\\*?\[]"), r"\\\g<0>"
# Of this process's environment, what the agent and what it starts need to find their programs and servers.
_KEPT = (
    *("PATH", "LANG", "LC_ALL", "DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "PODIUM_PRELOAD"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"),
)
# Kept too, in capitals or not, unless there is a password in them: whoever can log in can read a unit.
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_NO_SYSTEMD = "start `podium watch` from what this machine runs at boot; in a crontab: @reboot {command}"
# What a unit of the user's own does not need, or could not have.
_SYSTEM_ONLY = ("After=network-online.target docker.service", "Wants=network-online.target")


def install(
    project: Project, journal: Journal, *, listen: str = "", metrics: str = "", units: Path | None = None
) -> Service:
    """Writes the unit, enables it, and starts it unless an agent is running; `listen` is where that receives webhooks,
    `metrics` where it shows /metrics. Refused for webhooks without a secret, for metrics that others could read, and
    for a file of variables that others may; Unreachable where there is no systemd, or it does not do what it is
    asked."""
    _ensure_safe(project, listen, metrics)
    system, name = os.geteuid() == 0, unit_name(project)
    _ensure_systemd(project, system)
    path = (units or _directory(system)) / name
    text, did, after = unit(project, system, listen, metrics), list[str](), list[str]()
    same = _read(path) == text
    if same:
        did.append(f"{path} is as it should be")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text)
        path.chmod(0o644)
        did.append(f"wrote {path}")
    _systemctl(system, "daemon-reload")
    running = journal.agent.status()
    mine = _active(system, name)
    _systemctl(system, "enable", *(() if running.alive and not mine else ("--now",)), name)
    did.append(f"enabled {name}: it starts at boot")
    manager = "systemctl" if system else "systemctl --user"
    if running.alive and not mine:
        after.append(f"the agent that is running (process {running.pid}) is not systemd's:")
        after.append(f"podium watch --stop && {manager} start {name}")
    elif mine and not same:
        _systemctl(system, "restart", name)
        did.append("restarted it, as the unit says now; what is deployed went on serving")
    else:
        did.append("started it")
    if not system:
        _linger(did, after)
    if other := _other(project, system, name):
        after.insert(0, f"there is {other}, too, and only one of the two agents can run: remove one of the units")
    needed = [*_variables(project), *(name for name, value in _proxies() if "@" in value)]
    if missing := [name for name in needed if name not in _written(project)]:
        after.append(
            f"write {', '.join(missing)} as NAME=VALUE into {project.state / ENVIRONMENT_FILE} (chmod 600):"
            " systemd does not know this shell's variables"
        )
    after.append(f"{manager} status {name}")
    return Service(name, str(path), tuple(did), tuple(after))


def _ensure_safe(project: Project, listen: str, metrics: str) -> None:
    """Raises Refused for what would be open to others."""
    if listen:
        may_listen(listen, project.git.webhook_secret)
    if metrics:
        may_show(metrics, project.metrics.token)
    # systemd reads it whatever its mode is.
    ensure_private(project.state / ENVIRONMENT_FILE)


def installed(project: Project, *, units: Path | None = None) -> Path:
    """Returns where the unit is. NotFound if there is none."""
    path = (units or _directory(os.geteuid() == 0)) / unit_name(project)
    if not path.exists():
        raise NotFound(f"there is no unit {path}", hint="`podium watch --install` writes one, as root for the system")
    return path


def uninstall(project: Project, *, units: Path | None = None) -> Service:
    """Stops the agent that systemd runs, and removes its unit; what is served goes on. NotFound if there is none."""
    system, name = os.geteuid() == 0, unit_name(project)
    path = installed(project, units=units)
    did: list[str] = []
    answers = _has_systemd(system)
    if answers:
        _systemctl(system, "disable", "--now", name)
        did.append(f"stopped and disabled {name}; deployed versions go on serving")
    path.unlink()
    did.append(f"removed {path}")
    if answers:
        _systemctl(system, "daemon-reload")
    return Service(name, str(path), tuple(did), ("podium watch --daemon starts an agent until the next boot",))


def unit_name(project: Project) -> str:
    """Returns the unit's name: a project keeps it when it is moved, and a copy has another one."""
    return f"podium-{_UNFIT.sub('-', project.name)}-{home_id(project.home)}.service"


def unit(project: Project, system: bool, listen: str = "", metrics: str = "") -> str:
    """Returns the unit's text. Only the agent itself is stopped with it: replicas, proxies and runs that it has started
    go on, as they do with `podium watch --stop`."""
    where = [listen, metrics] if metrics else [listen] if listen else []
    words = (sys.executable, "-m", "podium.core.triggers.agent", str(project.home), *where)
    command = " ".join(_quoted(word).replace("$", "$$") for word in words)
    kept = [f"Environment={_quoted(f'{name}={value}')}" for name, value in _kept()]
    account = pwd.getpwuid(project.home.stat().st_uid) if system else None
    owner = account.pw_name if account is not None else ""
    if account is not None and owner == "root":  # without User= systemd says nothing of it, and git and gh look there
        kept.append(f"Environment={_quoted(f'HOME={account.pw_dir}')}")
    lines = [
        "# Written by `podium watch --install`.",
        "[Unit]",
        f"Description=Podium's agent of {_plain(project.name)}",
        *(_SYSTEM_ONLY if system else ()),
        f"RequiresMountsFor={_quoted(str(project.home))}",
        "",
        "[Service]",
        f"ExecStart={command}",
        *([f"User={owner}"] if owner not in ("", "root") else []),
        "WorkingDirectory=/",
        "UMask=0077",
        *kept,
        # Without quotes, in which systemd would look for them in the file's name. This one may be a pattern.
        f"EnvironmentFile=-{_specifiers(_PATTERN.sub(_LITERAL, str(project.state / ENVIRONMENT_FILE)))}",
        f"StandardOutput=append:{_specifiers(str(project.state / 'agent.log'))}",
        "StandardError=inherit",
        "Restart=on-failure",
        "RestartSec=10",
        # Of the same tree: replicas and workers.
        "KillMode=process",
        "OOMPolicy=continue",
        "TasksMax=infinity",
        "",
        "[Install]",
        f"WantedBy={'multi-user' if system else 'default'}.target",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Returns one word as systemd reads it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{_specifiers(escaped)}"'


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _plain(text: str) -> str:
    return _specifiers(" ".join(text.split()))


def _kept() -> list[tuple[str, str]]:
    found = [(name, os.environ[name]) for name in _KEPT if os.environ.get(name)]
    return [*found, *((name, value) for name, value in _proxies() if "@" not in value)]


def _proxies() -> list[tuple[str, str]]:
    return [(name, value) for name, value in sorted(os.environ.items()) if name.lower() in _PROXIES and value]


def _other(project: Project, system: bool, name: str) -> str:
    """Returns where the project's agent has a unit of the other kind, in words; empty if it has none."""
    if not system:
        path = SYSTEM_UNITS / name
        return f"a unit of the system ({path})" if path.exists() else ""
    owner = pwd.getpwuid(project.home.stat().st_uid)
    path = Path(owner.pw_dir) / ".config/systemd/user" / name
    with suppress(OSError):
        return f"a unit of {owner.pw_name}'s own ({path})" if path.exists() else ""
    return ""


def _variables(project: Project) -> list[str]:
    """Returns the variables that podium.yaml takes its values from, but for those that the unit has."""
    with suppress(OSError, UnicodeError):
        return [
            name for name in variables.names((project.home / FILE).read_text(encoding="utf-8")) if name not in _KEPT
        ]
    return []


def _written(project: Project) -> Mapping[str, str]:
    """Returns the variables of the project's own file, which the unit names; none where it cannot be used."""
    with suppress(PodiumError):
        return own_variables(project.home)
    return {}


def _directory(system: bool) -> Path:
    if system:
        return SYSTEM_UNITS
    try:
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd/user"
    except RuntimeError:
        hint = "set XDG_CONFIG_HOME, or HOME, to a directory that may be written to"
        raise UsageError("this account has no home directory, and its units of systemd no place", hint=hint) from None


def _read(path: Path) -> str:
    with suppress(OSError, UnicodeError):
        return path.read_text(encoding="utf-8")
    return ""


# -- systemd ---------------------------------------------------------------------------------------------------------


def _call(*words: str) -> tuple[int, str]:
    """Returns the exit code of a program and what it said; 127 where there is none."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except FileNotFoundError:
        return 127, f"{words[0]} is not installed"
    except (OSError, subprocess.TimeoutExpired) as error:
        return 126, str(error)
    return done.returncode, (done.stderr.strip() or done.stdout.strip())


def _manager(system: bool) -> tuple[str, ...]:
    return ("systemctl",) if system else ("systemctl", "--user")


def _has_systemd(system: bool) -> bool:
    """Tells whether a systemd answers: also one that starts, or some of whose units failed."""
    code, said = _call(*_manager(system), "is-system-running")
    return code == 0 or said.splitlines()[-1:] in (["degraded"], ["starting"], ["initializing"], ["maintenance"])


def _ensure_systemd(project: Project, system: bool) -> None:
    if not _has_systemd(system):
        command = f"{sys.executable} -m podium.core.triggers.agent {project.home}"
        raise Unreachable(
            "no systemd answers here: nothing was installed"
            if system
            else "no systemd of this user's answers here: nothing was installed",
            hint=_NO_SYSTEMD.format(command=command),
        )


def _systemctl(system: bool, *words: str) -> None:
    code, said = _call(*_manager(system), *words)
    if code:
        raise Unreachable(
            f"`{' '.join((*_manager(system), *words))}` failed: {said or f'exit code {code}'}",
            hint="correct that, and run the command again: it goes on where it stopped",
        )


def _active(system: bool, name: str) -> bool:
    return _call(*_manager(system), "is-active", "--quiet", name)[0] == 0


def _linger(did: list[str], after: list[str]) -> None:
    """Has the user's systemd start at boot, and not end with the last login."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    if _call("loginctl", "show-user", user, "--property=Linger", "--value") == (0, "yes"):
        return
    code, _ = _call("loginctl", "enable-linger", user)
    if code:
        after.insert(0, f"sudo loginctl enable-linger {user} (without it the agent starts at your next login only)")
    else:
        did.append(f"{user} lingers now: the agent starts at boot, without a login")
