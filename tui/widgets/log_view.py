"""A log of any size, live: only the lines on screen are drawn, and they were read by another thread.

The cost of following does not depend on the rate of lines: a few times a second the file's size is looked at, and if
it grew its end is read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.segment import Segment
from textual.message import Message
from textual.strip import Strip

from ...core.domain.text import format as fmt
from ...core.errors import PodiumError
from ..pool import SLOW, Job
from .log_draw import Look, names_width, shifted, wrapped
from .log_merge import MergedLog, MergedReader
from .log_reader import MARGIN, Filtering, Reader, Reading, Window, nearest
from .log_text import readable
from .pane import Pane, scrollbar


class LogView(Pane):
    kind = "log"

    class Read(Message):
        """A window of lines has come from the pool."""

        def __init__(self, window: Window, again: bool = False) -> None:
            super().__init__()
            self.window = window
            self.again = again

    class Found(Message):
        def __init__(self, generation: int, text: str, number: int | None) -> None:
            super().__init__()
            self.generation, self.text, self.number = generation, text, number

    def __init__(self, title: str = "Log", *, id: str | None = None) -> None:
        super().__init__(title, id=id)
        self._generation = 0
        self._reader: Reading | None = None
        self._filter: Filtering | None = None
        self._window: Window | None = None
        self._loaded = False
        self._label = title
        self._empty: tuple[tuple[str, str], ...] = ()
        self._top = 0
        self._left = 0
        self.follow = True
        self.wrap = False
        self.times = False
        self._pattern = ""
        self._hit: int | None = None
        self._hit_pending = False
        self._rows: list[list[Segment]] | None = None

    # What is shown

    @property
    def source(self) -> object:
        """What it shows: a path, a MergedLog, or None."""
        return None if self._reader is None else self._reader.source

    @property
    def window(self) -> Window | None:
        return self._window

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
        self._filter = None
        self._window = None
        self._loaded = False
        self._top = self._left = 0
        self._hit = None
        self._pattern = ""
        self.follow = True
        # Until somebody has looked, nobody knows whether there is a line.
        self.set_notice(*(empty if self._reader is None else (("reading …", "faint"),)))
        self._redraw()
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
            self._top = max(0, window.total - self._height)
        if window.total:
            self.set_notice()
        else:
            self.set_notice(
                *(
                    (("no line has " + repr(self._filter.text), "muted"),)
                    if self._filter and not window.note
                    else self._empty
                )
            )
        self._redraw()
        if message.again and window.exists:
            self._read_window()
        self._jump()

    # Verbs

    def move(self, how: str) -> None:
        page = max(1, self._height // 2)
        if how in ("left", "right"):
            self._left = max(0, self._left + (8 if how == "right" else -8)) if not self.wrap else 0
            self._redraw()
            return
        if how == "bottom":
            self.follow = True
            self._scroll(self._last_top)
            return
        target = {
            "down": self._top + 1,
            "up": self._top - 1,
            "top": 0,
            "half_down": self._top + page,
            "half_up": self._top - page,
        }.get(how, self._top)
        self._scroll(target)

    def wheel(self, lines: int) -> None:
        self._scroll(self._top + lines)

    @property
    def _total(self) -> int:
        return self._window.total if self._window is not None else 0

    @property
    def _height(self) -> int:
        return max(1, self.size.height)

    @property
    def _last_top(self) -> int:
        return max(0, self._total - self._height)

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
        self._redraw()

    def toggle_wrap(self) -> bool:
        self.wrap = not self.wrap
        self._left = 0
        self._redraw()
        return self.wrap

    def toggle_times(self) -> bool:
        self.times = not self.times
        self._redraw()
        return self.times

    # Search and filter

    def search(self, text: str) -> None:
        self._pattern = text
        self._hit = None
        self._redraw()
        if text:
            window = self._window
            at = window.row(self._top) if window is not None else None
            self._search(at.number if at is not None else self._top, backwards=False)

    def search_step(self, direction: int) -> None:
        if not self._pattern:
            self.podium.say("search first, with /")
            return
        here = self._hit if self._hit is not None else self._top
        self._search(here + direction, backwards=direction < 0)

    def _search(self, start: int, *, backwards: bool) -> None:
        reader, text, generation = self._reader, self._pattern, self._generation
        if reader is None:
            return
        self.podium.pool.cancel("log-search")

        def work(job: Job) -> int | None:
            return reader.search(text, start, backwards=backwards, stop=job.stop)

        def done(number: int | None, error: BaseException | None) -> None:
            self.post_message(self.Found(generation, text, None if error else number))

        self.podium.pool.submit("log-search", work, done, lane=SLOW)

    def on_log_view_found(self, message: Found) -> None:
        message.stop()
        if message.generation != self._generation or message.text != self._pattern:
            return
        if message.number is None:
            self.podium.say(f"no line has {message.text!r}", "warn")
            return
        self._hit = message.number
        self._hit_pending = True
        self._jump()

    def _jump(self) -> None:
        """Bring the hit onto the screen, with the lines around it."""
        if self._hit is None or not self._hit_pending or self._window is None:
            return
        self._hit_pending = False
        row = nearest(self._window.lines, self._hit) if self._filter is not None else self._hit
        if self.follow or not self._top <= row < self._top + self._height - 1:
            self._scroll(row - self._height // 3)
        self.follow = False
        self._redraw()

    @property
    def filter_text(self) -> str:
        return self._filter.text if self._filter is not None else ""

    def set_filter(self, text: str) -> None:
        reader = self._reader
        if reader is None or text == self.filter_text:
            return
        self._generation += 1
        self.podium.pool.cancel("log-filter")
        self.follow = True
        self._top = 0
        self._window = None
        if text:
            self._filter = reader.filter(text, self._generation)
            self._loaded = True
            self.set_notice((f"looking for {text!r} …", "muted"))
            self._read_filter()
        else:
            self._filter = None
            self._reader = reader.again(self._generation)
            self._loaded = True
            self._read_window()
        self._redraw()

    def _read_filter(self) -> None:
        lines = self._filter
        if lines is None or self.podium.pool.busy("log-filter"):
            return

        def work(job: Job) -> None:
            done = False
            while not done and not job.stop.is_set():
                window, done = lines.step(job.stop)
                self.post_message(self.Read(window))

        self.podium.pool.submit("log-filter", work, None, lane=SLOW)

    def clear(self) -> bool:
        had = bool(self._pattern or self._filter)
        self.podium.pool.cancel("log-search")
        self._pattern = ""
        self._hit = None
        if self._filter is not None:
            self.set_filter("")
        self._redraw()
        return had

    def copy_text(self) -> str:
        """The lines on screen, as they were written."""
        window = self._window
        if window is None:
            return ""
        rows = [(window.name(index), window.row(index)) for index in range(self._top, self._top + self._height)]
        return "\n".join(
            (f"{name}  " if name else "") + "".join(text for text, _ in readable(line.text))
            for name, line in rows
            if line is not None
        )

    # Drawing

    def on_resize(self) -> None:
        if self.follow or (not self.wrap and self._top > self._last_top):  # no blank lines where there are others
            self._top = self._last_top
        self._redraw()
        if self._loaded:
            self._read_window()

    def _redraw(self) -> None:
        self._rows = None
        self._retitle()
        self.refresh()

    def _retitle(self) -> None:
        state = [
            self._filter and f"filter: {self._filter.text}",
            self._pattern and f"search: {self._pattern}",
            self.wrap and "wrapped",
        ]
        if self._window is not None and self._window.note:
            state.append(self._window.note)
        if self._total:
            state.append(fmt.count(self._total, "line"))
            state.append("following" if self.follow else f"from line {self._top + 1:,}")
        self.title(self._label, "  ".join(part for part in state if part))

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self.notice and not self._total:
            return self.notice_line(y, width, height)
        if self._rows is None:
            self._rows = self._layout(width - 1, height)
        bar = scrollbar(self.glyphs, y, height, self._top, self._total)
        ground = self.palette["ground"]
        line = (
            Strip(self._rows[y]).apply_style(ground).adjust_cell_length(width - 1, ground)
            if y < len(self._rows)
            else self.blank(width - 1)
        )
        return Strip.join([line, self.strip([bar], 1)])

    @property
    def _owners(self) -> tuple[str, ...]:
        source = self.source
        return tuple(name for name, _ in source.files) if isinstance(source, MergedLog) else ()

    def _layout(self, width: int, height: int) -> list[list[Segment]]:
        """The drawn rows, from `top` down; when following wrapped lines, from the end up."""
        window = self._window
        if window is None:
            return []
        look = Look(
            self.palette,
            self.glyphs,
            self.times,
            self._filter is not None,
            self._pattern,
            self._hit,
            window,
            names_width(window),
            self._owners,
        )
        rows: list[list[Segment]] = []
        if self.wrap and self.follow:
            index = window.total - 1
            while index >= 0 and len(rows) < height:
                line = window.row(index)
                rows[:0] = [[]] if line is None else wrapped(look.line(line, index), width)
                index -= 1
            return rows[-height:]
        index = self._top
        while len(rows) < height and index < window.total:
            line = window.row(index)
            if line is None:
                rows.append([Segment(self.glyphs["dot"], self.palette["faint"])])  # on its way
            elif self.wrap:
                rows += wrapped(look.line(line, index), width)
            else:
                rows.append(shifted(look.line(line, index), self._left))
            index += 1
        return rows[:height]


def _reader(source: Path | MergedLog | None, generation: int) -> Reading | None:
    if source is None:
        return None
    return MergedReader(source, generation) if isinstance(source, MergedLog) else Reader(source, generation)
