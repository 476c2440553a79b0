"""One directory that is held open, and what lies below it."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader, BufferedWriter
from pathlib import Path

from ..closing import Closing
from ..errors import RunFailed

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: a named pipe in the place of a file must not make us wait for whoever writes to it.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# As many as the kernel follows.
_MAX_LINKS = 40


class LinkRefused(RunFailed):
    """A link leads somewhere that it must not."""

    def __init__(self, path: str, target: str, why: str = "which leads out of there", *, hint: str = "") -> None:
        super().__init__(f"{path!r} is a link to {target!r}, {why}", hint=hint or "write the file itself in its place")


class Directory(Closing):
    """Is a directory that is held open. Close it, or use `with`. `path` is what it was opened by, for messages
    alone."""

    def __init__(self, descriptor: int, path: str) -> None:
        self.descriptor = descriptor
        self.path = path

    @classmethod
    def open(cls, path: Path | str) -> Directory:
        """Opens a directory of our own, by a path that is believed: links in it are followed."""
        return cls(os.open(path, _DIRECTORY), str(path))

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    # -- directories below -----------------------------------------------------------------------------------------

    def below(self, relative: str, *, make: bool = False, links: bool = True, mode: int = 0o777) -> Directory:
        """Opens the directory at `relative`; with `make`, it and those above it are made (`mode`) where they are
        missing. Links on the way are followed where they stay below this directory, or not at all without `links`.
        LinkRefused names one that does not; FileNotFoundError and NotADirectoryError as usual.
        """
        descent = _Descent(self, links=links, mode=mode if make else None)
        try:
            with self._naming(relative):
                descent.go(parts_of(relative))
            return Directory(descent.taken(), f"{self.path}/{relative}" if relative else self.path)
        finally:
            descent.close()

    def parent(self, relative: str, *, make: bool = False, links: bool = True) -> tuple[Directory, str]:
        """Opens the directory that `relative` lies in; the name that it has there comes with it."""
        parts = parts_of(relative)
        if not parts:
            raise ValueError("the directory itself has no parent here")
        if parts[-1] == "..":
            raise LinkRefused(relative, "..", "which is no name")
        return self.below("/".join(parts[:-1]), make=make, links=links), parts[-1]

    # -- what lies in it -------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        return os.listdir(self.descriptor)  # noqa: PTH208 - of a handle

    def status(self, name: str) -> os.stat_result:
        """Returns what `name` itself is: of a link, the link. FileNotFoundError when there is nothing."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def exists(self, name: str) -> bool:
        with suppress(FileNotFoundError):
            self.status(name)
            return True
        return False

    def target(self, name: str) -> str:
        """Returns where the link `name` points to. OSError when it is none."""
        return os.readlink(name, dir_fd=self.descriptor)

    def read(self, name: str) -> BufferedReader:
        """Opens a plain file. LinkRefused for a link; RunFailed for anything else that is no file."""
        try:
            with self._naming(name):
                descriptor = os.open(name, _READ, dir_fd=self.descriptor)
        except OSError:
            self._refuse_link(name)
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise RunFailed(f"{self.path}/{name} is not a file", hint="a socket, pipe or device cannot be read as one")
        return os.fdopen(descriptor, "rb")

    def read_below(self, relative: str, *, links: bool = True) -> BufferedReader:
        """Opens a plain file at a path; links on the way to it as for `below`."""
        parent, name = self.parent(relative, links=links)
        with parent:
            return parent.read(name)

    def read_through(self, relative: str) -> BufferedReader:
        """Opens the plain file that a path leads to, its last name a link or not. LinkRefused for a link that leaves
        this directory."""
        path = relative
        for _ in range(_MAX_LINKS):
            parent, name = self.parent(path)
            with parent:
                if not stat.S_ISLNK(parent.status(name).st_mode):
                    return parent.read(name)
                target = parent.target(name)
            if not target.startswith("/"):
                path = f"{path.rpartition('/')[0]}/{target}".lstrip("/")
                continue
            inside = inside_of(self.path, target)
            if inside is None:
                raise LinkRefused(path, target)
            path = inside
        raise LinkRefused(relative, path, "one of too many")

    def create(self, name: str, mode: int = 0o600) -> BufferedWriter:
        """Makes a new file and opens it for writing. FileExistsError when there is anything of that name."""
        with self._naming(name):
            return os.fdopen(os.open(name, _CREATE, mode, dir_fd=self.descriptor), "wb")

    def make(self, name: str, mode: int = 0o777) -> None:
        """Makes a directory. Nothing happens when there is one."""
        try:
            os.mkdir(name, mode, dir_fd=self.descriptor)
        except FileExistsError:
            if not stat.S_ISDIR(self.status(name).st_mode):
                raise

    def link(self, name: str, target: str) -> None:
        """Makes a symbolic link that says `target`."""
        os.symlink(target, name, dir_fd=self.descriptor)

    def rename(self, name: str, new: str) -> None:
        """Gives `name` a new name in this directory, in the place of what has it."""
        with self._naming(new):
            os.rename(name, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def remove(self, name: str) -> None:
        """Removes whatever has that name, a directory with all that is in it. Nothing is followed; nothing happens
        when there is nothing."""
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(self.status(name).st_mode):
                import shutil  # late, like everything that an unchanged run does not need

                shutil.rmtree(name, dir_fd=self.descriptor)
            else:
                os.unlink(name, dir_fd=self.descriptor)

    def remove_empty(self, name: str) -> bool:
        """Removes a directory that has nothing in it; whether it did."""
        try:
            os.rmdir(name, dir_fd=self.descriptor)
        except OSError:
            return False
        return True

    @contextmanager
    def _naming(self, relative: str) -> Generator[None]:
        """Has an OSError say the whole path: the system was told a handle and a name."""
        try:
            yield
        except OSError as error:
            error.filename = f"{self.path}/{relative}"
            raise

    def _refuse_link(self, name: str) -> None:
        with suppress(OSError):
            raise LinkRefused(f"{self.path}/{name}", self.target(name))


class _Descent:
    """One way down: the handles of all directories that it came through, so that `..` in a link goes back the same
    way."""

    def __init__(self, top: Directory, *, links: bool, mode: int | None) -> None:
        self._top = top
        self._links = links
        self._mode = mode
        self._stack = [os.dup(top.descriptor)]
        self._names: list[str] = []
        self._followed = 0
        self._link = ("..", "..")

    def close(self) -> None:
        for descriptor in self._stack:
            os.close(descriptor)
        self._stack.clear()

    def taken(self) -> int:
        """Returns the handle that was reached; it is the caller's to close."""
        return self._stack.pop()

    def go(self, parts: Sequence[str]) -> None:
        left = deque(parts)
        while left:
            part = left.popleft()
            if part == "..":
                if not self._names:
                    raise LinkRefused(*self._link)
                os.close(self._stack.pop())
                self._names.pop()
            else:
                left.extendleft(reversed(self._enter(part)))

    def _enter(self, part: str) -> list[str]:
        """Goes into `part`. Where that is a link: stays, and returns the names to go by instead."""
        here = self._stack[-1]
        try:
            self._stack.append(os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=here))
        except FileNotFoundError:
            if self._mode is None:
                raise
            with suppress(FileExistsError):
                os.mkdir(part, self._mode, dir_fd=here)
            self._stack.append(os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=here))
        except OSError as error:
            return self._detour(part, error)
        self._names.append(part)
        return []

    def _detour(self, part: str, error: OSError) -> list[str]:
        try:
            target = os.readlink(part, dir_fd=self._stack[-1])
        except OSError:
            raise error from None
        self._followed += 1
        self._link = name, _ = "/".join([*self._names, part]), target
        if not self._links or self._followed > _MAX_LINKS:
            raise LinkRefused(name, target, "and links are not followed here" if not self._links else "one of too many")
        if not target.startswith("/"):
            return parts_of(target)
        inside = inside_of(self._top.path, target)
        if inside is None:
            raise LinkRefused(name, target)
        while self._names:
            os.close(self._stack.pop())
            self._names.pop()
        return parts_of(inside)


def parts_of(relative: str) -> list[str]:
    """Returns the names of a relative path, `..` among them."""
    if relative.startswith("/") or "\0" in relative:
        raise ValueError(f"{relative!r} is not a relative path")
    return [part for part in relative.split("/") if part not in ("", ".")]


def inside_of(top: str, path: str) -> str | None:
    """Returns what an absolute path is below `top`, as both are written or with links in `top` followed; None where
    it lies elsewhere."""
    plain = os.path.normpath(path)
    for each in (os.path.normpath(top), os.path.realpath(top)):
        if plain == each:
            return ""
        if plain.startswith(f"{each.rstrip('/')}/"):
            return path_after(path, each)
    return None


def path_after(path: str, top: str) -> str:
    """Returns the rest of a path that begins with `top`; `..` in it stays, since it means what it means only where
    links are known."""
    written = path.rstrip("/")
    return written[len(top) :].strip("/") if written.startswith(top) else os.path.relpath(os.path.normpath(path), top)
