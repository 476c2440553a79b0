"""Repository: branches and tags, the commits of the one that was chosen with what Podium did with each, and the diff of
a commit, of two commits, or of the commits behind two versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical

from ..core.cockpit import Cockpit
from ..core.domain.frozen import Frozen
from ..core.domain.scm import CiLook, CommitPage, CommitRow, Diff, Ref, RefKind
from ..core.errors import PodiumError
from ..tui import confirmations
from ..tui.context import Context
from ..tui.places.sought import Sought
from ..tui.pool import SLOW
from ..tui.queries import Query
from ..tui.widgets.prompt import Prompt
from ..tui.widgets.table import Table
from ..tui.widgets.text_pane import TextPane
from .base import PodiumScreen, error_lines
from .cells.commits import commit_columns, commit_lines, commit_text, diff_lines, ref_columns, sha_of

COMMITS_PAGE = 200
_NEAR_END = 50
_MAX_MARKED = 2
# Git tells nobody that a commit was made: names are looked at again after so many seconds, which costs a few stats.
_LOOK_SECONDS = 2.0
REFS = Query("refs", lambda cockpit: tuple(cockpit.repository.refs()), every=_LOOK_SECONDS)


def commits(of: str, limit: int) -> Query:
    return Query(f"commits:{of}", lambda cockpit: cockpit.repository.commits(of, limit=limit), every=1.0, lane=SLOW)


class _Shown(Frozen):
    """The diff that is shown in place of the facts of a commit."""

    title: str
    diff: Diff | None = None
    error: PodiumError | None = None


class RepositoryScreen(PodiumScreen):
    title_id = "repository"
    first_pane = "commits"
    DEFAULT_CSS = """
    RepositoryScreen #body { layout: vertical; }
    RepositoryScreen #refs { height: 6; }
    RepositoryScreen #right { height: 1fr; layout: vertical; }
    RepositoryScreen #commits { height: 1fr; }
    RepositoryScreen #detail { height: 7; }
    RepositoryScreen.-diff #detail { height: 2fr; }
    RepositoryScreen.-tall #detail { height: 10; }
    RepositoryScreen.-tall.-diff #detail { height: 2fr; }
    RepositoryScreen.-wide #body, RepositoryScreen.-huge #body { layout: horizontal; }
    RepositoryScreen.-wide #refs { height: 1fr; width: 30; }
    RepositoryScreen.-huge #refs { height: 1fr; width: 36; }
    RepositoryScreen.-huge #right { layout: horizontal; }
    RepositoryScreen.-huge #detail, RepositoryScreen.-huge.-diff #detail { height: 1fr; width: 2fr; }
    RepositoryScreen.-huge #commits { width: 3fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._of = "HEAD"
        self._limit = COMMITS_PAGE
        self._marks: frozenset[str] = frozenset()
        self._shown: _Shown | None = None
        self._refs_version = 0
        self._to_run: CommitRow | None = None
        self._ci: CiLook | None = None

    def body(self) -> ComposeResult:
        yield Table[Ref](
            "Branches and tags",
            ref_columns(lambda: self.glyphs, self.podium.clock),
            key=lambda ref: (ref.kind, ref.name),
            text=lambda ref: f"{ref.name} {ref.kind}",
            header=False,
            id="refs",
        )
        with Vertical(id="right", classes="group"):
            yield Table[CommitRow](
                "Commits",
                commit_columns(lambda: self.glyphs, self.podium.clock),
                key=lambda row: row.commit.sha,
                text=commit_text,
                id="commits",
            )
            yield TextPane("Commit", id="detail")

    def queries(self) -> Iterable[Query]:
        yield REFS
        yield commits(self._of, self._limit)

    def tick(self) -> None:
        self.podium.read([REFS])

    # What is shown

    @property
    def refs(self) -> Table[Ref]:
        return self.query_one("#refs", Table)

    @property
    def table(self) -> Table[CommitRow]:
        return self.query_one("#commits", Table)

    @property
    def detail(self) -> TextPane:
        return self.query_one("#detail", TextPane)

    @property
    def row(self) -> CommitRow | None:
        return self.table.current if self.ready else None

    def show(self) -> None:
        minute = int(self.podium.clock() // 60)
        names = self.store.get("refs")
        # What is wrong is said once, where there is room for it.
        self.refs.set_notice(("none", "faint") if names.error else ("No branch has a commit yet.", "muted"))
        if names.version != self._refs_version and not names.loading:
            # A name has moved, so what it names is read again; that costs nothing where it has not.
            self._refs_version = names.version
            self.podium.read([commits(self._of, self._limit)])
        self.refs.set_rows(names.value or (), minute)
        snapshot = self.store.get(f"commits:{self._of}")
        page: CommitPage | None = snapshot.value
        self.table.set_notice(*self.notice_for(snapshot, (("No commits.", "muted"),)))
        self.table.marks = self._marks
        if page is not None and page.ci != self._ci:
            self._ci = page.ci
            self.table.set_columns(commit_columns(lambda: self.glyphs, self.podium.clock, page.ci))
        self.table.set_rows(page.rows if page is not None else (), (minute, self._marks, self._ci))
        if page is not None and not self.table.filter_text:
            number = f"newest {len(page.rows):,}" if page.more else f"{len(page.rows):,}"
            self.table.title(f"Commits of {self.listed}", number)
        self._show_detail()

    @property
    def listed(self) -> str:
        """What is listed, in words: the branch that is checked out has its name."""
        names: tuple[Ref, ...] = self.store.value("refs", ())
        out = next((ref.name for ref in names if ref.checked_out), "HEAD")
        return out if self._of == "HEAD" else self._of.partition("/")[2].partition("/")[2] or self._of[:9]

    def _show_detail(self) -> None:
        self.set_class(self._shown is not None, "-diff")
        row = self.row
        if self._shown is not None:
            shown = self._shown
            self.detail.title(shown.title, "enter on a commit shows another; q closes" if shown.diff else "")
            self.detail.set_notice(*(error_lines(shown.error) if shown.error else (("reading …", "faint"),)))
            self.detail.set_lines(diff_lines(shown.diff) if shown.diff is not None else ())
            return
        self.detail.title(f"Commit {row.commit.short}" if row is not None else "Commit", "enter shows its diff")
        self.detail.set_notice(("What is known of a commit stands here.", "faint"))
        self.detail.set_lines(commit_lines(row, self.glyphs, self.podium.clock(), self._ci) if row is not None else ())

    # Actions

    def context(self) -> Context:
        if not self.ready:
            return Context(screen="repository")
        pane = self.pane
        in_refs = pane is not None and pane.id == "refs"
        return self.make_context(None if in_refs else self.row, marked=len(self._marks))

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        if message.table.id == "commits":
            self._near_end()
            self._show_detail()
        self.show_footer()

    def _near_end(self) -> None:
        """More commits are read when the cursor comes to the last ones."""
        page: CommitPage | None = self.store.value(f"commits:{self._of}")
        at_end = page is not None and self.table.cursor >= len(page.rows) - _NEAR_END
        if page is not None and page.more and at_end and len(page.rows) >= self._limit and not self.table.filter_text:
            self._limit *= 4
            self.podium.read([commits(self._of, self._limit)], force=True)

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.do_open()

    def do_open(self) -> None:
        pane = self.pane
        if pane is not None and pane.id == "refs":
            self._choose(self.refs.current)
        elif pane is not None and pane.id == "commits":
            self._diff_of(self.row)

    def _choose(self, ref: Ref | None) -> None:
        if ref is None:
            return
        places = {RefKind.BRANCH: "refs/heads/", RefKind.TAG: "refs/tags/", RefKind.REMOTE: "refs/remotes/"}
        self._of = places[ref.kind] + ref.name
        self._limit, self._marks, self._shown = COMMITS_PAGE, frozenset(), None
        self.podium.read([commits(self._of, self._limit)], force=True)
        self.focus_pane(self.table)
        self.update()

    def show_commit(self, sha: str) -> None:
        """Puts the cursor on a commit; one that is not listed heads a list of its own."""

        def matches(row: CommitRow) -> bool:
            return row.commit.sha == sha

        self._shown = None
        self.seek(Sought("commits", matches, sha[:9], otherwise=lambda: self._from(sha)))

    def _from(self, sha: str) -> None:
        self._of, self._limit, self._marks = sha, COMMITS_PAGE, frozenset()
        self.podium.read([commits(sha, self._limit)], force=True)
        self.update()

    def do_mark(self) -> None:
        row = self.row
        if row is None:
            return
        sha = row.commit.sha
        if sha not in self._marks and len(self._marks) >= _MAX_MARKED:
            self.podium.say("two commits have a diff; unmark one of them first", "warn")
            return
        self._marks ^= {sha}
        self.update()
        self.table.move("down")

    def do_diff(self) -> None:
        marked = sha_of(self.table.rows, self._marks)
        if len(marked) == _MAX_MARKED:
            old, new = marked
            self._read_diff(f"{old[:9]} to {new[:9]}", lambda cockpit: cockpit.repository.diff(new, since=old))
        elif marked:
            self.podium.say("mark a second commit with space, or unmark this one", "warn")
        else:
            self._diff_of(self.row)

    def _diff_of(self, row: CommitRow | None) -> None:
        if row is not None:
            sha = row.commit.sha
            self._read_diff(f"{row.commit.short} {row.commit.subject}", lambda cockpit: cockpit.repository.diff(sha))

    def show_versions(self, old: int, new: int, model: str) -> None:
        """Shows what differs between the commits behind two versions."""
        self._read_diff(
            f"the commits of v{old} and v{new}", lambda cockpit: cockpit.repository.diff_versions(old, new, model)
        )

    def _read_diff(self, what: str, read: Callable[[Cockpit], Diff]) -> None:
        self._shown = shown = _Shown(f"Diff of {what}")
        cockpit, podium = self.podium.cockpit, self.podium

        def came(diff: Diff | None, error: BaseException | None) -> None:
            if self._shown is shown:  # nobody has asked for another one meanwhile
                self._shown = _Shown(shown.title, diff, _spoken(error))
                self._show_if_ready()

        def done(diff: Any, error: BaseException | None) -> None:
            podium.call_soon(came, diff, error)

        podium.pool.submit("diff", lambda _job: read(cockpit), done, lane=SLOW)
        self._show_if_ready()

    def _show_if_ready(self) -> None:
        if self.ready:
            self.update()
            self.detail.move("top")
            if self._shown is not None:
                self.focus_pane(self.detail)

    def leave(self, *, quit_at_root: bool) -> None:
        """Back closes the diff, then goes to the commits, and only then to Overview."""
        pane = self.pane
        if self._shown is not None:
            self._shown = None
            self.focus_pane(self.table)
            self.update()
        elif pane is not None and pane.id != "commits":
            self.focus_pane(self.table)
        else:
            super().leave(quit_at_root=quit_at_root)

    def do_copy(self) -> None:
        pane, row = self.pane, self.row
        if pane is not None and pane.id == "commits" and row is not None:
            self.podium.copy(row.commit.sha)
            self.podium.say(f"copied {row.commit.sha}")
        else:
            self.navigation.do_copy()

    def do_browser(self) -> None:
        row = self.row
        if row is None:
            self.podium.say("no commit is under the cursor", "warn")
            return
        try:
            self.podium.open_address(self.podium.cockpit.repository.page(row.commit.sha))
        except PodiumError as error:
            self.podium.say(f"browser: {error.message}" + (f"; {error.hint}" if error.hint else ""), "warn")

    # Running a commit

    def do_again(self) -> None:
        row, project = self.row, self.project
        names = project.pipelines if project is not None else ()
        if row is None:
            self.podium.say("no commit is under the cursor", "warn")
        elif not names:
            self.podium.say("podium.yaml has no pipeline", "warn")
        elif len(names) == 1:
            self.confirm(confirmations.run_commit(row, names[0]))
        else:
            self._to_run = row
            self.query_one(Prompt).ask("pipeline", names[0])

    def answered(self, message: Prompt.Answered) -> None:
        if message.purpose != "pipeline":
            super().answered(message)
            return
        self.query_one(Prompt).close()
        self.focus_pane(self.table)
        row, self._to_run = self._to_run, None
        name = (message.text or "").strip()
        names = self.project.pipelines if self.project is not None else ()
        if row is None or not name:
            return
        if name not in names:
            self.podium.say(f"there is no pipeline {name!r}; podium.yaml has {', '.join(names)}", "warn")
            return
        self.confirm(confirmations.run_commit(row, name))


def _spoken(error: BaseException | None) -> PodiumError | None:
    if error is None or isinstance(error, PodiumError):
        return error
    return PodiumError(f"{type(error).__name__}: {error}", hint="this is a fault of Podium's")
