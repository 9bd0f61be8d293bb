"""From what was typed to the files that are read: directories, patterns, links, standard input."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from newsmill.feed import formats
from newsmill.feed.errors import InputError

STDIN: Final = "-"


@dataclass(frozen=True, slots=True)
class Input:
    """One file (or stream) to read. `name` is as given, or the directory as given plus the way down from there.

    `stream` says that it can be read only once: standard input, a pipe. `format` is None where only the content can
    tell.
    """

    name: str
    format: str | None
    stream: bool = False
    size: int = 0

    @property
    def gzip(self) -> bool:
        """Whether the name says that the content is compressed."""
        return formats.is_gzip(self.name)


def expand(arguments: Sequence[str], format: str | None = None) -> list[Input]:
    """Return the inputs that `arguments` name, in order, each file once.

    A directory stands for the files below it whose suffix is known, in the order of their names; hidden files and
    README files are left out, and a directory that links lead to twice is read once. An argument that names no file
    is taken as a pattern (`**` goes down). `-` is standard input.

    Raises InputError for what does not exist, can't be read, or matches nothing.
    """
    found: list[Input] = []
    seen: set[str] = set()
    for argument in arguments:
        for candidate in _expand_one(argument, format):
            identity = STDIN if candidate.name == STDIN else os.path.realpath(candidate.name)
            if identity not in seen:
                seen.add(identity)
                found.append(candidate)
    return found


def scan(directory: str, format: str | None = None) -> list[Input]:
    """Return the files below `directory` whose suffix is known, as `expand` does, be there any or not.

    Files that can't be read are left out. Raises InputError when the directory can't be read.
    """
    if not Path(directory).is_dir():
        raise InputError(f"{directory}: no such directory")
    return list(_directory(directory, format, strict=False))


def _expand_one(argument: str, format: str | None) -> list[Input]:
    if argument == STDIN:
        return [Input(STDIN, format, stream=True)]
    names = [argument]
    if not os.path.lexists(argument):
        if not glob.has_magic(argument):
            raise InputError(f"{argument}: no such file or directory")
        names = sorted(glob.glob(argument, recursive=True), key=os.fsencode)
        if not names:
            raise InputError(f"{argument}: the pattern matches nothing")
    # A pattern such as ** matches directories and what is in them: then the files are enough.
    directories_too = len(names) == 1 or not any(Path(name).is_file() for name in names)
    found: list[Input] = []
    for name in names:
        if Path(name).is_dir():
            if directories_too:
                found.extend(_directory(name, format))
        else:
            found.append(_file(name, format or formats.of_name(name)))
    if not found:
        raise InputError(
            f"{argument}: no documents in there (known suffixes: .ndjson .jsonl .json .txt .md .html .warc .rss .atom "
            ".xml .parquet, .gz)"
        )
    return found


def _file(name: str, format: str | None) -> Input:
    try:
        status = os.stat(name)
    except OSError as error:
        raise InputError(f"{name}: {error.strerror}") from error
    if not os.access(name, os.R_OK):
        raise InputError(f"{name}: no permission to read it")
    regular = stat.S_ISREG(status.st_mode)
    return Input(name, format, stream=not regular, size=status.st_size if regular else 0)


def _directory(name: str, format: str | None, *, strict: bool = True) -> Iterator[Input]:
    visited: set[tuple[int, int]] = set()
    # A stack, not recursion: a deep tree must not end in RecursionError.
    waiting = [name]
    while waiting:
        path = waiting.pop()
        try:
            status = os.stat(path)
            if not stat.S_ISDIR(status.st_mode):
                known = formats.of_name(path)
                if stat.S_ISREG(status.st_mode) and known is not None and (strict or os.access(path, os.R_OK)):
                    yield _file(path, format or known)
                continue
            identity = (status.st_dev, status.st_ino)
            if identity in visited:
                continue
            visited.add(identity)
            names = _visible(os.listdir(path))
        except FileNotFoundError:
            continue  # a link to nowhere, or a file that has just gone
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error
        waiting.extend(os.path.join(path, entry) for entry in reversed(names))


def _visible(names: Iterable[str]) -> list[str]:
    return sorted(
        (name for name in names if not name.startswith(".") and not name.lower().startswith("readme")),
        key=os.fsencode,
    )
