"""Readers: files, directories, patterns and standard input become raw documents.

    inputs = expand(["scraped/", "today.ndjson.gz", "-"])
    for document in FileSource(inputs, ingested_ms=1_700_000_000_000):
        ...

Used by the embedded engine and by whatever produces news.raw from files.
"""

from newsmill.feed.document import Document, FileId, Position
from newsmill.feed.errors import ChangedInputError, InputError
from newsmill.feed.formats import FORMATS
from newsmill.feed.inputs import Input, expand
from newsmill.feed.live import live
from newsmill.feed.source import FileSource, ListSource, Source

__all__ = [
    "FORMATS",
    "ChangedInputError",
    "Document",
    "FileId",
    "FileSource",
    "Input",
    "InputError",
    "ListSource",
    "Position",
    "Source",
    "expand",
    "live",
]
