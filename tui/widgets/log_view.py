"""A log of any size, live: only the lines on screen are drawn, and they were read by another thread.

The cost of following does not depend on the rate of lines: a few times a second the file's size is looked at, and if
it grew its end is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from textual import events
from textual.message import Message
from textual.strip import Strip

from ...core.cockpit import LogLine
from ...core.domain.text import clean
from ...core.domain.text import format as fmt
from ...core.errors import PodiumError
from ..pool import SLOW, Job
from .log_draw import Look, names_width
from .log_merge import MergedLog, MergedReader
from .log_reader import MARGIN, Filtering, Reader, Reading, Window, nearest
from .log_text import readable
from .logs.cursor import MOST_COPIED, LogCursor
from .logs.drawing import Drawing, DrawnRow, Page
from .logs.folding import back, forth
from .logs.marks import Marks
from .logs.match import CONTEXTS, LEVELS, Hits, Match, Wanted
from .logs.moments import HINT, moment_of
from .logs.searching import Search
from .pane import Pane, Span, scrollbar


class LogView(Pane):
    kind = "log"

    class Read(Message):
        """A window of lines has come from the pool."""

        def __init__(self, window: Window, again: bool = False) -> None:
            super().__init__()
            self.window = window
            self.again = again

    class Counted(Message):
        """The hits of a search were counted."""

        def __init__(self, generation: int, match: Match, hits: Hits) -> None:
            super().__init__()
            self.generation, self.match, self.hits = generation, match, hits

    class Since(Message):
        """The first line of a time was found, at a row."""

        def __init__(self, generation: int, row: int, words: str) -> None:
            super().__init__()
            self.generation, self.row, self.words = generation, row, words

    class Found(Message):
        """The next hit was found, or none (`number` None); `problem` says why none could be looked for."""

        def __init__(self, generation: int, text: str, number: int | None, problem: str = "") -> None:
            super().__init__()
            self.generation, self.text, self.number, self.problem = generation, text, number, problem

    def __init__(self, title: str = "Log", *, id: str | None = None) -> None:
        super().__init__(title, id=id)
        self._generation = 0
        self._reader: Reading | None = None
        self._filter: Filtering | None = None
        self._window: Window | None = None
        self._loaded = False
        self._partial = False  # only its end was read, so that rows are not counted from its beginning yet
        self._label = title
        self._empty: tuple[tuple[str, str], ...] = ()
        self._top = 0
        self._left = 0
        self.follow = True
        self.wrap = False
        self.times = False
        self._search = Search()
        self.cursor = LogCursor()
        self._rows: list[DrawnRow] | None = None
        self._drawing = Drawing()
        self._drawn_rows: list[int] = []
        self._pressed: int | None = None
        self._marks = Marks(self)

    # What is shown

    @property
    def source(self) -> object:
        """What it shows: a path, a MergedLog, or None."""
        return None if self._reader is None else self._reader.source

    @property
    def window(self) -> Window | None:
        return self._window

    @property
    def reading(self) -> bool:
        return super().reading or self._partial

    def open(self, source: Path | MergedLog | None, name: str, *empty: tuple[str, str]) -> None:
        """Show the log at a path, or several as one; `empty` is what stands there while it has no line."""
        self._empty = empty
        if self._goes_on(source):
            self.rename(name)
            if source is None or (self._window is not None and not self._window.total):
                self.set_notice(*empty)
            return
        self._generation += 1
        self._label = name
        self._reader = _reader(source, self._generation)
        for key in ("log-search", "log-hits"):
            self.podium.pool.cancel(key)
        self._drop_filter()
        self._window = None
        self._loaded = self._partial = False
        self._top = self._left = 0
        self._search.drop()
        self.cursor.clear()
        self.follow = True
        # Until somebody has looked, nobody knows whether there is a line.
        self.set_notice(*(empty if self._reader is None else (("reading …", "faint"),)))
        self.redraw()
        if self._reader is not None:
            reader, count = self._reader, max(20, self.size.height)
            self._submit("tail", lambda _job: reader.tail(count))

    def _goes_on(self, source: Path | MergedLog | None) -> bool:
        """Whether it is what is shown already. A replica that came or went is no other log."""
        now = self._reader
        if isinstance(now, MergedReader) and isinstance(source, MergedLog) and now.source.key == source.key:
            now.source = source
            return True
        return source == self.source

    def rename(self, name: str) -> None:
        """The same log under another title (a running step's time goes on)."""
        if name != self._label:
            self._label = name
            self._retitle()

    def poll(self) -> None:
        """Called by the screen's timer: read on when the file has grown."""
        reader = self._reader
        if reader is None or not self._loaded or self.podium.pool.busy("log"):
            return
        if self._filter is not None:
            self._read_filter()
            return
        top, count, force = self._request(), self._height, self._window is None
        self._submit("log", lambda _job: reader.window(top, count) if reader.changed() or force else None)

    def _request(self) -> int | None:
        return None if self.follow else self._top

    def _submit(self, key: str, work: Callable[[Job], Window | None]) -> None:
        def done(window: Window | None, error: BaseException | None) -> None:
            if window is not None:
                self.post_message(self.Read(window, key == "tail"))
            elif isinstance(error, (OSError, PodiumError)):
                self.post_message(self.Read(Window(generation, 0, 0, (), note=f"cannot be read: {error}")))

        generation = self._generation
        self.podium.pool.submit("log", work, done)

    def _read_window(self) -> None:
        """Read round `top`, now."""
        reader = self._reader
        if reader is not None and self._filter is None:
            top, count = self._request(), self._height
            self._submit("log", lambda _job: reader.window(top, count))

    def on_log_view_read(self, message: Read) -> None:
        message.stop()
        window = message.window
        if window.generation != self._generation:
            return
        self._window = window
        self._loaded = True
        if self.follow or self._top > max(0, window.total - 1):
            self._top = self._last_top
        if window.total:
            self.set_notice()
        else:
            self.set_notice(
                *(
                    ((f"no line has {self._filter.wanted.words}", "muted"),)
                    if self._filter and not window.note
                    else self._empty
                )
            )
        self.redraw()
        self._partial = message.again and window.exists and self._filter is None
        if self._partial:
            self._read_window()
        self._jump()

    # Verbs

    def move(self, how: str) -> None:
        page = max(1, self._height // 2)
        if self.cursor.on and how not in ("left", "right"):
            self._move_cursor(how, page)
            return
        if how in ("left", "right"):
            self._left = max(0, self._left + (8 if how == "right" else -8)) if not self.wrap else 0
            self.redraw()
            return
        if how == "bottom":
            self.follow = True
            self._scroll(self._last_top)
            return
        by = {"down": 1, "up": -1, "half_down": page, "half_up": -page}.get(how, 0)
        self._scroll(0 if how == "top" else self._row_from(self._top, by))

    def _row_from(self, row: int, by: int) -> int:
        """Returns the row that is so many shown rows below, or above."""
        return forth(self._hidden, row, by, self._total) if by > 0 else back(self._hidden, row, -by)

    def _move_cursor(self, how: str, page: int) -> None:
        self.cursor.move(how, page, self._total, self._hidden)
        self._show_row(self.cursor.row or 0)

    def _show_row(self, row: int) -> None:
        """Scrolls as little as it must."""
        if row < self._top:
            self._scroll(row)
        elif row > self._row_from(self._top, self._height - 1):
            self._scroll(self._row_from(row, 1 - self._height))
        self.follow = False
        self.redraw()

    def toggle_select(self) -> str:
        """Puts a cursor onto a line, begins or ends a selection; says what can be done then."""
        hit = self._row_of_hit()
        row = hit if hit is not None else self._row_from(self._top, self._height - 1)
        said = self.cursor.step(self._total, row)
        if self.cursor.on:
            self._show_row(self.cursor.row or 0)
        return said

    def _row_of_hit(self) -> int | None:
        if self._hit is None or self._window is None:
            return None
        return nearest(self._window.lines, self._hit) if self._filter is not None else self._hit

    @property
    def meant(self) -> range:
        """The rows that copying, saving and opening are about: what is selected, the line under the cursor, or the one
        that was found."""
        if self.cursor.on:
            return self.cursor.selected
        hit = self._row_of_hit()
        return range(0) if hit is None else range(hit, hit + 1)

    def line_at_cursor(self) -> LogLine | None:
        rows = self.meant
        row = self.cursor.row if self.cursor.on else rows.start if rows else None
        return self._window.row(row) if row is not None and self._window is not None else None

    def wheel(self, lines: int) -> None:
        self._scroll(self._row_from(self._top, lines))

    @property
    def _hidden(self) -> frozenset[int]:
        """The rows that later ones wrote over, but for the one that was found."""
        hidden = self._window.hidden if self._window is not None else frozenset[int]()
        return hidden - {self._hit} if hidden and self._hit is not None else hidden

    @property
    def _total(self) -> int:
        return self._window.total if self._window is not None else 0

    @property
    def _height(self) -> int:
        return max(1, self.size.height)

    @property
    def _last_top(self) -> int:
        return back(self._hidden, self._total, self._height)

    def _scroll(self, top: int) -> None:
        # With wrapped lines the last screenful begins later than its count of lines says, so the very last line may
        # come to the top.
        limit = max(0, self._total - 1) if self.wrap else self._last_top
        goes_down = top >= self._top
        self._top = max(0, min(top, limit))
        self.follow = goes_down and self._top >= self._last_top
        window = self._window
        if window is not None and self._filter is None:
            reach = self._height * 2
            low, high = (
                max(0, self._top - min(reach, MARGIN)),
                min(window.total, self._top + self._height + min(reach, MARGIN)),
            )
            if low < window.first or high > window.first + len(window.lines):
                self._read_window()
        self.redraw()

    def toggle_wrap(self) -> bool:
        self.wrap = not self.wrap
        self._left = 0
        self.redraw()
        return self.wrap

    def toggle_times(self) -> bool:
        self.times = not self.times
        self.redraw()
        return self.times

    # Search and filter

    @property
    def match(self) -> Match:
        """What is searched for."""
        return self._search.match

    @property
    def _hit(self) -> int | None:
        """The number of the line that a search stands on."""
        return self._search.hit

    def toggle_regex(self) -> bool:
        """Takes what is looked for as a regular expression, or as it stands."""
        search = self._search
        search.regex = not search.regex
        if search.pattern:
            self.search(search.pattern)
        if self._filter is not None and self._filter.text:
            self._choose(self._filter.wanted.with_text(self._filter.text, regex=search.regex))
        self.redraw()
        return search.regex

    def search(self, text: str) -> None:
        problem = self._search.begin(text)
        if problem:
            self.podium.say(problem, "warn")
        self.redraw()
        if self._search.pattern:
            self._count()
            window = self._window
            at = window.row(self._top) if window is not None else None
            self._look_for_hit(at.number if at is not None else self._top, backwards=False)

    def search_step(self, direction: int) -> None:
        search = self._search
        if not search.pattern:
            self.podium.say("search first, with /")
            return
        here = search.hit if search.hit is not None else self._top
        if self._filter is None and not search.is_counted(self._total):
            self._count()
        known = search.after(here, direction) if self._filter is None else None
        if known is None:
            self._look_for_hit(here + direction, backwards=direction < 0)
        else:
            self._go_to_hit(known)

    def _look_for_hit(self, start: int, *, backwards: bool) -> None:
        reader, text, generation, match = self._reader, self._search.pattern, self._generation, self.match
        if reader is None:
            return
        self.podium.pool.cancel("log-search")

        def work(job: Job) -> int | None:
            return reader.search(match, start, backwards=backwards, stop=job.stop)

        def done(number: int | None, error: BaseException | None) -> None:
            said = error.message if isinstance(error, PodiumError) else str(error or "")
            self.post_message(self.Found(generation, text, number, said))

        self.podium.pool.submit("log-search", work, done, lane=SLOW)

    def _count(self) -> None:
        """Counts the hits, beside the search for the next one."""
        reader, match, generation = self._reader, self.match, self._generation
        if reader is None:
            return
        self.podium.pool.cancel("log-hits")
        self._search.begin_to_count(self._total)

        def done(hits: Hits | None, error: BaseException | None) -> None:
            if error is None and hits is not None:
                self.post_message(self.Counted(generation, match, hits))

        self.podium.pool.submit("log-hits", lambda job: reader.hits(match, job.stop), done, lane=SLOW)

    def on_log_view_counted(self, message: Counted) -> None:
        message.stop()
        if message.generation == self._generation and message.match == self.match:
            self._search.count(message.hits)
            if self._hit is not None:
                self._go_to_hit(self._hit)
            self.redraw()

    def on_log_view_found(self, message: Found) -> None:
        message.stop()
        if message.generation != self._generation or message.text != self._search.pattern:
            return
        if message.number is None:
            self.podium.say(message.problem or f"no line has {message.text!r}", "warn")
            return
        self._go_to_hit(message.number)

    def _go_to_hit(self, number: int) -> None:
        self._search.go_to(number, whole=self._filter is None)
        self._jump()

    def _jump(self) -> None:
        """Bring the hit onto the screen, with the lines around it."""
        row = self._row_of_hit()
        if row is None or not self._search.pending:
            return
        self._search.pending = False
        if self.follow or not self._top <= row < self._top + self._height - 1:
            self._scroll(self._row_from(row, -(self._height // 3)))
        self.follow = False
        self.redraw()

    @property
    def filter_text(self) -> str:
        return self._filter.text if self._filter is not None else ""

    @property
    def wanted(self) -> Wanted:
        return self._filter.wanted if self._filter is not None else Wanted()

    def set_filter(self, text: str) -> None:
        if text != self.filter_text:
            self._choose(self.wanted.with_text(text, regex=self._search.regex))

    def cycle_level(self) -> str:
        """Shows only warnings and errors, only errors, or all; says which."""
        wanted = replace(self.wanted, level=(self.wanted.level + 1) % len(LEVELS))
        self._choose(wanted)
        return LEVELS[wanted.level] or "every level"

    def toggle_stream(self) -> str:
        """Shows only standard error, or everything; says which."""
        wanted = replace(self.wanted, stream="" if self.wanted.stream else "e")
        self._choose(wanted)
        return "standard error only" if wanted.stream else "every stream"

    def change_context(self, by: int) -> str:
        """Shows more or fewer lines around each hit of the filter; says how many."""
        if self._filter is None:
            return "filter first, with f, ! or |"
        place = CONTEXTS.index(self.wanted.context) + by
        wanted = replace(self.wanted, context=CONTEXTS[max(0, min(len(CONTEXTS) - 1, place))])
        self._choose(wanted)
        return f"{wanted.context} lines around each" if wanted.context else "without the lines around"

    def _choose(self, wanted: Wanted) -> None:
        reader = self._reader
        if reader is None:
            return
        problem = wanted.match.problem
        if problem:
            self.podium.say(problem, "warn")
            return
        self._generation += 1
        self._drop_filter()
        self.follow = True
        self._top = 0
        self._window = None
        self.cursor.clear()
        self._loaded = True
        if not wanted.empty:
            self._filter = reader.filter(wanted, self._generation)
            self.set_notice((f"looking for {wanted.words} …", "muted"))
            self._read_filter()
        else:
            self._reader = reader.again(self._generation)
            self._read_window()
        self.redraw()

    def _drop_filter(self) -> None:
        """Ends the filter, and what is being read for it."""
        self.podium.pool.cancel("log-filter")
        if self._filter is not None:
            self._filter.close()
        self._filter = None

    def _read_filter(self) -> None:
        lines = self._filter
        if lines is None or self.podium.pool.busy("log-filter"):
            return

        def work(job: Job) -> None:
            done = False
            while not done and not job.stop.is_set():
                window, done = lines.step(job.stop)
                self.post_message(self.Read(window))

        def done(_value: None, error: BaseException | None) -> None:
            if isinstance(error, (OSError, PodiumError)):
                said = error.message if isinstance(error, PodiumError) else f"cannot be read: {error}"
                self.post_message(self.Read(Window(lines.generation, 0, 0, (), note=said)))

        self.podium.pool.submit("log-filter", work, done, lane=SLOW)

    def clear(self) -> bool:
        if self.cursor.clear():
            self.redraw()
            return True
        had = bool(self._search.pattern or self._filter)
        for key in ("log-search", "log-hits"):
            self.podium.pool.cancel(key)
        self._search.drop()
        if self._filter is not None:
            self._choose(Wanted())
        self.redraw()
        return had

    def go_since(self, text: str) -> None:
        """Goes to the first line of a time that a person names."""
        reader, generation = self._reader, self._generation
        at = moment_of(text, self.podium.clock())
        if at is None or reader is None:
            self.podium.say(f"{text}: {HINT}", "warn")
            return
        if self._filter is not None:
            self.podium.say("that is for the whole log: clear the filter first, with esc", "warn")
            return

        def done(row: int | None, error: BaseException | None) -> None:
            if error is None and row is not None:
                self.post_message(self.Since(generation, row, text))

        self.podium.pool.submit("log-since", lambda _job: reader.since(at), done, lane=SLOW)

    def on_log_view_since(self, message: Since) -> None:
        message.stop()
        if message.generation != self._generation:
            return
        if message.row >= self._total:
            self.podium.say(f"no line is from {message.words} or later; this is the end", "warn")
        self._scroll(message.row)
        self.follow = False
        self.redraw()

    def copy_text(self) -> str:
        """The lines that are meant, else those on screen, as they were written, as far as they are at hand."""
        return self._text_of(self.meant or sorted(set(self._drawn_rows)))

    def _text_of(self, rows: Iterable[int]) -> str:
        window = self._window
        if window is None:
            return ""
        found = [(window.name(index), window.row(index)) for index in rows]
        return "\n".join(
            (f"{name}  " if name else "") + "".join(text for text, _ in readable(line.text))
            for name, line in found
            if line is not None
        )

    def copy_lines(self, copy: Callable[[str], None]) -> None:
        """Hands the lines to `copy`; those that are not at hand are read first."""
        rows, window, reader = self.meant, self._window, self._reader
        ends = (rows[0], rows[-1]) if rows else ()
        if window is None or reader is None or all(window.row(index) is not None for index in ends):
            copy(self.copy_text())
            return
        if len(rows) > MOST_COPIED:
            self.podium.say(f"{len(rows):,} lines are more than a terminal's clipboard takes; e saves them", "warn")
            return

        def done(lines: Iterable[str] | None, error: BaseException | None) -> None:
            if error is None and lines is not None:
                text = "\n".join(clean(line) for line in lines)
                self.podium.call_soon(copy, text)

        self.podium.pool.submit("log-copy", lambda _job: list(reader.texts(rows.start, len(rows))), done, lane=SLOW)

    def saving(self) -> Callable[[TextIO], int]:
        """Returns what writes the lines that are meant, else those of the filter, else all that there are by then, into
        a file, and returns how many; for a thread of the pool. Escape sequences are left out."""
        reader, window, rows = self._reader, self._window, self.meant
        shown = window.lines if self._filter is not None and window is not None else None
        if shown is not None and self.cursor.on:
            shown = shown[rows.start : rows.stop]
        first, count = (rows.start, len(rows)) if self.cursor.on and shown is None else (0, None)

        def write(file: TextIO) -> int:
            lines = (line.text for line in shown) if shown is not None else reader.texts(first, count) if reader else ()
            done = 0
            for done, line in enumerate(lines, 1):  # noqa: B007 - the number is what is returned
                file.write(f"{clean(line)}\n")
            return done

        return write

    # Drawing

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._pressed = self._row_at(event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Selects lines while the button is held."""
        row = self._row_at(event)
        if self._pressed is not None and event.button and row is not None and (row != self._pressed or self.cursor.on):
            self.cursor.drag(self._pressed, row)
            self.follow = False
            self.redraw()

    def on_mouse_up(self) -> None:
        self._pressed = None

    def _row_at(self, event: events.MouseEvent) -> int | None:
        offset = event.get_content_offset(self)
        return self._drawn_rows[offset.y] if offset is not None and offset.y < len(self._drawn_rows) else None

    def on_resize(self) -> None:
        if self.follow or (not self.wrap and self._top > self._last_top):  # no blank lines where there are others
            self._top = self._last_top
        self.redraw()
        if self._loaded:
            self._read_window()

    def redraw(self) -> None:
        """Draws what has changed."""
        self._rows = None
        self._retitle()
        self.refresh()

    def _retitle(self) -> None:
        state = [
            f"filter: {self._filter.wanted.words}" if self._filter is not None else "",
            self._search.said,
            "wrapped" if self.wrap else "",
            f"{len(self.cursor.selected):,} selected" if self.cursor.anchor is not None else "",
        ]
        if self._window is not None and self._window.note:
            state.append(self._window.note)
        if self._total:
            state.append(fmt.count(self._total, "line"))
            state.append("following" if self.follow else self._said_of_place())
        self.title(self._label, "  ".join(part for part in state if part))

    def _said_of_place(self) -> str:
        """Returns where the top is, and how far the end is away."""
        below = self._total - 1 - self._row_from(self._top, self._height - 1)
        behind = f", {below:,} behind the end (G)" if below > 0 else ""
        return f"from line {self._top + 1:,}{behind}"

    def _bar(self, y: int, height: int) -> Span:
        """Returns the scroll bar's cell, with marks where hits are."""
        span = scrollbar(self.glyphs, y, height, self._top, self._total)
        if self._filter is None and self._total > height:
            low, high = y * self._total // height, (y + 1) * self._total // height
            if self._search.is_between(low, high):
                return (self.glyphs["mark"] if span[0] == " " else span[0], "warn")
        return span

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self.notice and not self._total:
            return self.notice_line(y, width, height)
        if self._rows is None:
            self._rows = self._layout(width - 1, height)
        row = self._rows[y] if y < len(self._rows) else DrawnRow(self.blank(width - 1))
        return row.with_bar(self._bar(y, height), lambda bar: self.strip([bar], 1))

    @property
    def _owners(self) -> tuple[str, ...]:
        source = self.source
        return tuple(name for name, _ in source.files) if isinstance(source, MergedLog) else ()

    def _layout(self, width: int, height: int) -> list[DrawnRow]:
        window, search = self._window, self._search
        if window is None:
            return []
        look = Look(
            self.palette,
            self.glyphs,
            self.times,
            self._filter is not None,
            search.pattern,
            search.hit,
            window,
            names_width(window),
            self._owners,
            self._marks.spans if search.regex and search.pattern else None,
            self.cursor.on,
            -1 if self.cursor.row is None else self.cursor.row,
            self.cursor.selected,
        )
        page = Page(self._hidden, None if self.follow else self._top, self._left, self.wrap, width, height)
        rows, self._drawn_rows = self._drawing.rows(look, page)
        return rows


def _reader(source: Path | MergedLog | None, generation: int) -> Reading | None:
    if source is None:
        return None
    return MergedReader(source, generation) if isinstance(source, MergedLog) else Reader(source, generation)
