"""Training text: readers of the two forms that it comes in, and the copies that make the tagger robust."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from workers.entities.sentences import read_sentence
from workers.entities.tokens import ABBREVIATIONS, split_sentences, tokenize
from workers.entities.wordlists import word_list

Sentence = tuple[list[str], list[str]]
"""Tokens and their BIO2 tags."""
Document = list[Sentence]

_SMALL = word_list("small-in-titles")
_MARKED = re.compile(r"\[(PER|ORG|LOC|MISC) ([^\]]+)\]")


def read_conll(path: Path) -> list[Document]:
    """Return the documents of a file of `token<TAB>tag` lines (BIO2): an empty line ends a sentence, a line that
    begins with `-DOCSTART-` starts a document. Raises OSError, UnicodeDecodeError."""
    documents: list[Document] = [[]]
    tokens: list[str] = []
    tags: list[str] = []
    for line in [*path.read_text(encoding="utf-8").split("\n"), ""]:
        start = line.startswith("-DOCSTART-")
        if line.strip() and not start:
            token, _, tag = line.partition("\t")
            tokens.append(token.strip() or "_")
            tags.append(tag.strip() or "O")
            continue
        if tokens:
            documents[-1].append((tokens, tags))
            tokens, tags = [], []
        if start and documents[-1]:
            documents.append([])
    return [document for document in documents if document]


def read_marked(text: str) -> list[Document]:
    """Return the documents of a text in which names are marked (`[PER Nayib Bukele] said`), tokenised as articles are.

    A line is a paragraph, an empty line ends a document, a line that begins with `#` is a comment.
    """
    documents: list[Document] = [[]]
    for line in text.split("\n"):
        if line.startswith("#"):
            continue
        if not line.strip():
            if documents[-1]:
                documents.append([])
            continue
        plain, marks, at = "", [], 0
        for found in _MARKED.finditer(line):
            plain += line[at : found.start()]
            marks.append((len(plain), len(plain) + len(found[2]), found[1]))
            plain += found[2]
            at = found.end()
        plain += line[at:]
        for sentence in split_sentences(plain, tokenize(plain, 1000)):
            tags = []
            for token in sentence:
                kind = next((kind for start, end, kind in marks if start <= token.start and token.end <= end), None)
                opens = any(token.start == start for start, _, _ in marks)
                tags.append("O" if kind is None else f"{'B' if opens else 'I'}-{kind}")
            documents[-1].append(([token.text for token in sentence], tags))
    return [document for document in documents if document]


def as_articles(document: Document) -> Document:
    """Return `document` with what corpora split and our tokeniser keeps together joined: `’ s`, `U . S .`, `Mr .`,
    the `.` of an initial inside a name."""
    return [_joined(tokens, tags) for tokens, tags in document]


_INITIALS = re.compile(r"(?:[A-Z]\.)+")
_INITIALS_OPEN = re.compile(r"(?:[A-Z]\.)+[A-Z]")


def _joined(tokens: list[str], tags: list[str]) -> Sentence:
    words: list[str] = []
    kept: list[str] = []
    for at, (word, tag) in enumerate(zip(tokens, tags, strict=True)):
        before = words[-1] if words else ""
        after = tokens[at + 1] if at + 1 < len(tokens) else ""
        joins = before in ("’", "'") and word in ("s", "re", "ve", "ll", "m", "d")
        if word == "." and after and before:
            initial = len(before) == 1 and before.isupper() and tag != "O"
            shortened = before[0].isupper() and before.lower() in ABBREVIATIONS
            joins = initial or shortened or _INITIALS_OPEN.fullmatch(before) is not None
        elif after == "." and len(word) == 1 and word.isupper():
            joins = _INITIALS.fullmatch(before) is not None
        if joins and (tag.startswith("I-") or kept[-1] == "O" == tag):
            words[-1] = before + word
            continue
        words.append(word)
        kept.append(tag)
    return words, kept


def with_nationalities(document: Document) -> Document:
    """Return `document` with names of peoples and languages as MISC, for corpora that leave them out."""
    out = []
    for tokens, tags in document:
        marks = read_sentence(tokens).marks
        fixed = [
            f"{mark[0]}-MISC" if tag == "O" and mark.endswith("demonym") else tag
            for tag, mark in zip(tags, marks, strict=True)
        ]
        out.append((tokens, fixed))
    return out


def recased(document: Document, every: int) -> Document:
    """Return pieces of `document` (5 to 14 tokens) as headlines are cased: in title case, in capitals, in small
    letters, by turns. One piece for `every` pieces of text that hold a name."""
    styles = (_title, _title, str.upper, _title, str.lower)
    out: Document = []
    for count, (tokens, tags) in enumerate(_pieces(document)):
        if count % every == 0:
            style = styles[count // every % len(styles)]
            words = [style(token) for token in tokens]
            words[0] = words[0] if style is str.lower else words[0][:1].upper() + words[0][1:]
            out.append((words, tags))
    return out


def _title(word: str) -> str:
    return word if word in _SMALL else word[:1].upper() + word[1:]


def _pieces(document: Iterable[Sentence]) -> Iterator[Sentence]:
    for tokens, tags in document:
        start = 0
        for at, token in enumerate(tokens):
            # A piece ends before a sign, or after 14 tokens, never inside a name.
            ends = token in (".", ",", ";", ":", "?", "!") or at - start >= 14
            if ends and not tags[at].startswith("I-"):
                if at - start >= 5 and any(tag != "O" for tag in tags[start:at]):
                    yield tokens[start:at], tags[start:at]
                start = at + 1 if token in (".", ",", ";", ":", "?", "!") else at
