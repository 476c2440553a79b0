"""What the way from a Git host costs, over the stand-in for GitHub on this machine.

    python benchmarks/hosts.py [--repositories 20] [--poll 10] [--seconds 60] [--commits 10000] [--rounds 5] [--quick]

A `git push` with the way to the first line of the run's step, woken by the host's webhook and by the repository's own
hook (which may be there before git has ended): beside the same push, a loop of httpx that asks for the branch as fast
as it can, and then the same git commands and a shell. What an idle agent that polls many repositories needs of a core,
beside a loop of httpx with the same conditional requests; what it uses of the host's limit; commits listed, beside
`git log`; the inbox painted from one journal, and from those of as many projects, beside a loop of httpx that asks all
repositories for their CI runs; and `podium ci ls` over these projects, beside a program with typer that reads as many
databases.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
from _measuring import Report, cost, free_port, in_turns, parser, share, timed
from cockpit import appeared
from podium.core.cockpit import Cockpit
from podium.core.config import load
from podium.core.demo.forge import Forge
from podium.core.engine.paths import step_log
from podium.core.journal import Journal
from podium.core.scm.hosts.opening import open_host
from podium.core.triggers import projects
from podium.core.triggers.inbox import collect

from tests.tui.terminal import Terminal

# Times the floor.
WEBHOOK, HOOK, IDLE, COMMITS, INBOX, LISTED = 8.0, 10.0, 8.0, 3.0, 0.5, 8.0
SECRET, WORKFLOW = "a-secret", "nightly-sweep"
HOST = """git:
  poll: {poll}s
  webhook_secret: {secret}
  host: {{kind: github, repo: acme/{name}, url: '{url}', token: '${{FORGE_TOKEN}}'}}
"""
FILE = """
project: {name}
{git}
pipelines: {{main: {{on: {{push: main}}, concurrency: every, steps: {{one: {{run: 'echo first'}}}}}}}}
"""
# The agent's two jobs that ask the host, a thread for each repository; says when all have been asked once, and then
# what CPU time the rest took, that of children with it.
POLLS = """
import os, sys, threading, time
from pathlib import Path
from podium.core.config import load
from podium.core.journal import Journal
from podium.core.scm.hosts.opening import open_host
from podium.core.triggers.inbox import Inbox
from podium.core.triggers.polling import Polling
seconds, homes = float(sys.argv[1]), [Path(each) for each in sys.argv[2:]]
ready, stop = threading.Barrier(len(homes) + 1), threading.Event()
def follow(home):
    polling, inbox, project = Polling(lambda _: None), Inbox(open_host), load(home)
    with Journal.open(home / ".podium" / "journal.db") as journal:
        for _ in range(3):
            polling.ring()
            time.sleep(1.1)
            polling(project, journal)
            inbox(project, journal)
        ready.wait()
        while not stop.is_set():
            polling(project, journal)
            inbox(project, journal)
for home in homes:
    threading.Thread(target=follow, args=(home,), daemon=True).start()
ready.wait()
began, used = time.monotonic(), sum(os.times()[:4])
print("ready", flush=True)
time.sleep(seconds)
print((sum(os.times()[:4]) - used) / (time.monotonic() - began), flush=True)
"""
ASKS = """
import os, sys, time
import httpx
seconds, poll, urls = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
client = httpx.Client(headers={"Authorization": "Bearer " + os.environ["FORGE_TOKEN"]})
tags = {url: client.get(url).raise_for_status().headers["etag"] for url in urls}
began, used = time.monotonic(), sum(os.times()[:4])
print("ready", flush=True)
while time.monotonic() < began + seconds:
    for url, tag in tags.items():
        assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    time.sleep(poll)
print((sum(os.times()[:4]) - used) / (time.monotonic() - began), flush=True)
"""
# The least that lists what as many journals have.
READS = """
import sqlite3, sys
import typer
for path in sys.argv[1:]:
    journal = sqlite3.connect(path)
    assert journal.execute("select * from host_runs").fetchall()
    journal.close()
"""


def git(where: Path, *arguments: str, text: str = "") -> str:
    who = {f"GIT_{role}_{what}": "bench@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    command = ["git", "-c", "init.defaultBranch=main", *arguments]
    done = subprocess.run(
        command, cwd=where, env=os.environ | who, input=text, capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return done.stdout.strip()


def until(what: Callable[[], object], words: str, patience: float = 120.0) -> None:
    deadline = time.monotonic() + patience
    while not what():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {patience:.0f} s: {words}")
        time.sleep(0.001)


class Way:
    """One repository: where it is, a clone of it in which commits are made, and a clone in which they are run."""

    def __init__(self, directory: Path, name: str, forge: Forge | None, poll: float) -> None:
        self.home, self.clone = directory / name, directory / f"{name}-clone"
        settings = HOST.format(poll=f"{poll:g}", secret=SECRET, name=name, url=forge.url) if forge else ""
        files = {".gitignore": ".podium/\n", "podium.yaml": FILE.format(name=name, git=settings)}
        if forge is not None:
            forge.make_repo(f"acme/{name}")
            forge.commit(f"acme/{name}", "first", files)
            git(directory, "clone", "-q", forge.clone_url(f"acme/{name}", forge.token), str(self.home))
        else:
            self.home.mkdir()
            git(self.home, "init", "-q")
            for file, text in files.items():
                (self.home / file).write_text(text)
            git(self.home, "add", "-A")
            git(self.home, "commit", "-q", "-m", "first")
            git(self.home, "config", "receive.denyCurrentBranch", "ignore")
        git(
            directory,
            "clone",
            "-q",
            git(self.home, "config", "remote.origin.url") if forge else str(self.home),
            str(self.clone),
        )
        (self.home / ".podium").mkdir(mode=0o700)

    def push(self) -> str:
        """Returns what was pushed, once git has ended."""
        git(self.clone, "commit", "-q", "--allow-empty", "-m", "a change")
        git(self.clone, "push", "-q", "origin", "HEAD:main")
        return git(self.clone, "rev-parse", "HEAD")


@contextmanager
def agent(way: Way, listen: str) -> Iterator[Journal]:
    with (
        Journal.open(way.home / ".podium" / "journal.db") as journal,
        (way.home / ".podium/agent.log").open("ab") as log,
    ):
        command = [sys.executable, "-m", "podium.core.triggers.agent", str(way.home), listen]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            key = "push:main:main" + (":host" if listen else "")
            until(lambda: journal.values.get(key) is not None, "the agent has looked")
            yield journal
        finally:
            process.terminate()
            process.wait(30)


def delivered(way: Way, journal: Journal) -> float:
    """Returns the seconds that a push takes, with the way to the first line of its step."""
    number = len(journal.runs.page(limit=-1)) + 1
    log = step_log(way.home / ".podium", number, "one")

    def carry_out() -> None:
        way.push()
        until(lambda: log.exists() and b" o first" in log.read_bytes(), "the step has written a line")

    took = timed(carry_out)
    until(lambda: journal.runs.get(number).state.finished, "the run has ended")
    return took


def by_hand(way: Way, forge: Forge | None) -> float:
    """Returns the same for somebody who asks the host all the time, fetches, checks out, and starts a shell."""
    place = way.home.with_name(f"{way.home.name}-tree")

    def carry_out() -> None:
        sha = way.push()
        if forge is not None:
            url = f"{forge.api_url}/repos/acme/{way.home.name}/git/matching-refs/heads/main"
            with httpx.Client(headers={"Authorization": f"Bearer {forge.token}"}) as client:
                until(lambda: client.get(url).json()[0]["object"]["sha"] == sha, "the host has it")
            git(way.home, "fetch", "-q", "origin", "main")
        git(way.home, "worktree", "add", "-q", "--detach", str(place), sha)
        subprocess.run(["sh", "-c", "echo first"], cwd=place, stdout=subprocess.DEVNULL, check=True)

    took = timed(carry_out)
    git(way.home, "worktree", "remove", "--force", str(place))
    return took


def pushes(report: Report, directory: Path, forge: Forge, rounds: int) -> None:
    listen = f"127.0.0.1:{free_port()}"
    ways = {"webhook": (forge, listen, WEBHOOK), "hook": (None, "", HOOK)}
    for name, (where, listening, most) in ways.items():
        ours, theirs = (Way(directory, f"{name}-{who}", where, 60) for who in ("ours", "by-hand"))
        if where is not None:
            forge.add_hook(f"acme/{name}-ours", f"http://{listen}/", SECRET)
        with agent(ours, listening) as journal:
            found = in_turns(
                {"ours": lambda o=ours, j=journal: delivered(o, j), "floor": lambda t=theirs, w=where: by_hand(t, w)},
                rounds,
            )
        floor = "httpx, git, sh" if where else "git, sh"
        report.compare(
            f"a push and the first line of its step, by {name}", found["ours"], floor, found["floor"], most=most
        )


def idle(report: Report, forge: Forge, ways: list[Way], poll: float, seconds: float) -> None:
    urls = [f"{forge.api_url}/repos/acme/{way.home.name}/git/matching-refs/heads/main" for way in ways]
    ours, used = used_by([POLLS, f"{seconds:g}", *(str(way.home) for way in ways)], forge)
    theirs, _ = used_by([ASKS, f"{seconds:g}", f"{poll:g}", *urls], forge)
    what = f"{len(ways)} repositories polled every {poll:g} s, of a core"
    report.compare(what, ours, "httpx", theirs, most=IDLE, show=share)
    report.count("  of the host's limit", used, 0)


def used_by(arguments: list[str], forge: Forge) -> tuple[float, int]:
    """Returns a child's share of a core after it is ready, and what it has used of the host's limit since."""
    with subprocess.Popen([sys.executable, "-c", *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit("a loop that polls did not begin")
        before = forge.rates.used(forge.owner.login)
        return float(process.stdout.readline()), forge.rates.used(forge.owner.login) - before


def commits(report: Report, directory: Path, count: int, rounds: int) -> None:
    home = directory / "history"
    home.mkdir()
    git(home, "init", "-q")
    one = "commit refs/heads/main\ncommitter bench <bench@localhost> {at} +0000\ndata 8\na change\n"
    git(home, "fast-import", "--quiet", text="".join(one.format(at=1_700_000_000 + number) for number in range(count)))
    (home / "podium.yaml").write_text(FILE.format(name="history", git=""))
    command = ("log", f"--max-count={count}", "--format=%H%x00%an%x00%at%x00%s", "main")

    def ours() -> float:
        with closing(Cockpit.open(home)) as cockpit:
            return timed(lambda: found.append(len(cockpit.repository.commits("main", limit=count).rows)))

    found: list[int] = []
    ours()  # what is imported is no part of it
    both = in_turns({"ours": ours, "floor": lambda: timed(lambda: git(home, *command))}, rounds)
    if {*found} != {count}:
        raise SystemExit(f"{found} of {count} commits were listed")
    report.compare(f"{count:,} commits listed", both["ours"], "git log", both["floor"], most=COMMITS)


def inbox(report: Report, forge: Forge, ways: list[Way], runs: int, rounds: int) -> None:
    """Opens the inbox in a cockpit that runs; what it shows was stored before, in those of all and then in one."""
    for way in ways:
        for _ in range(runs):
            run = forge.ci.start(f"acme/{way.home.name}", name=WORKFLOW, jobs=["one"])
            forge.ci.finish(run.jobs[0])
    homes = [way.home for way in ways]
    for way in ways:
        gather([way], way)
        own = way.home / ".podium" / "agent.env"
        own.touch(mode=0o600)
        own.write_text(f"FORGE_TOKEN={forge.token}\n")
    with projects.editing():
        projects.put(homes)
    listed(report, ways, runs, rounds)
    opened(report, forge, ways, f"the inbox of {len(ways)} projects, key to paint", rounds)
    projects.forget(homes)
    gather(ways, ways[0])
    opened(report, forge, ways, f"the inbox of {len(ways)} repositories, key to paint", rounds)


def gather(ways: list[Way], into: Way) -> None:
    with Journal.open(into.home / ".podium" / "journal.db") as journal:
        for way in ways:
            host = open_host(load(way.home))
            assert host is not None
            collect(journal, host, time.time())
            host.close()


def listed(report: Report, ways: list[Way], runs: int, rounds: int) -> None:
    home, most = ways[1].home, runs * len(ways)
    command = [sys.executable, "-m", "podium.cli", "-C", str(home), "ci", "ls", "-o", "json", "-n", str(most)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    if len(found) != most:
        raise SystemExit(f"{len(found)} of {most} CI runs were listed")
    smallest = [sys.executable, "-c", READS, *(str(way.home / ".podium" / "journal.db") for way in ways)]
    both = in_turns({"ours": lambda: cost(command).seconds, "floor": lambda: cost(smallest).seconds}, rounds)
    what = f"podium ci ls, {most:,} CI runs of {len(ways)} projects"
    report.compare(what, both["ours"], "typer and SQLite", both["floor"], most=LISTED)


def opened(report: Report, forge: Forge, ways: list[Way], what: str, rounds: int) -> None:
    urls = [f"{forge.api_url}/repos/acme/{way.home.name}/actions/runs?per_page=50" for way in ways]

    def asked() -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {forge.token}"}) as client:
            for url in urls:
                client.get(url).raise_for_status().json()

    with Terminal(["-m", "podium.tui", str(ways[0].home)]) as terminal:
        appeared(terminal, b"Overview")
        time.sleep(1.0)
        painted(terminal)  # the first time its screen is loaded
        found = in_turns({"ours": lambda: painted(terminal), "floor": lambda: timed(asked)}, rounds)
        terminal.press("q")
        terminal.wait_exit(30)
    report.compare(what, found["ours"], "httpx", found["floor"], most=INBOX)


def painted(terminal: Terminal) -> float:
    pressed = time.perf_counter()
    since = terminal.press("7")
    took = appeared(terminal, WORKFLOW.encode(), since) - pressed
    terminal.press("1")
    time.sleep(0.5)
    return took


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--repositories", type=int, default=20)
    options_of.add_argument("--poll", type=float, default=10.0)
    options_of.add_argument("--seconds", type=float, default=60.0)
    options_of.add_argument("--commits", type=int, default=10_000)
    options_of.add_argument("--rounds", type=int, default=5)
    options = options_of.parse_args()
    small = options.quick
    report = Report()
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as place, Forge("github", Path(place) / "forge") as forge:
        os.environ["FORGE_TOKEN"] = forge.token
        os.environ["XDG_STATE_HOME"] = str(Path(place) / "state")
        directory, rounds = Path(place), 1 if small else options.rounds
        poll, seconds = (1.0, 2.0) if small else (options.poll, options.seconds)
        ways = [Way(directory, f"r{number}", forge, poll) for number in range(3 if small else options.repositories)]
        pushes(report, directory, forge, rounds)
        idle(report, forge, ways, poll, seconds)
        commits(report, directory, 1000 if small else options.commits, rounds)
        inbox(report, forge, ways, 5 if small else 50, rounds)
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
