"""Draws which subjects are named in place of which: a table as SVG, written without a library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from schemas.messages import Subject
from workers.classify.articles import Labelled

_CELL, _LEFT, _TOP = 34, 250, 200


def confusion(
    ids: Sequence[str], articles: Sequence[Labelled], found: Sequence[Sequence[Subject]]
) -> list[list[float]]:
    """Return rows of true subjects against columns of named ones, the last column for "not named".

    A true subject that is named counts one on the diagonal. One that is missed counts one in all, shared out among
    the wrongly named subjects of the article; where there are none, it goes to the last column.
    """
    place = {id: number for number, id in enumerate(ids)}
    table = [[0.0] * (len(ids) + 1) for _ in ids]
    for article, items in zip(articles, found, strict=True):
        named = [item.id for item in items if item.id in place]
        wrong = [id for id in named if id not in article.subjects]
        for id in sorted(article.subjects & place.keys()):
            if id in named:
                table[place[id]][place[id]] += 1
            elif wrong:
                for other in wrong:
                    table[place[id]][place[other]] += 1 / len(wrong)
            else:
                table[place[id]][-1] += 1
    return table


def write_confusion(
    path: Path, concepts: Sequence[tuple[str, str]], articles: Sequence[Labelled], found: Sequence[Sequence[Subject]]
) -> None:
    """Write the table as SVG to `path`. `concepts`: id and name of each subject, in the order of rows and columns."""
    table = confusion([id for id, _ in concepts], articles, found)
    names = [name for _, name in concepts]
    width, height = _LEFT + _CELL * (len(names) + 1) + 20, _TOP + _CELL * len(names) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="12" y="24" font-size="14">True subject (row) against named one (column), {len(articles)}'
        " articles</text>",
    ]
    for column, name in enumerate([*names, "not named"]):
        x = _LEFT + _CELL * column + _CELL // 2
        parts.append(f'<text transform="translate({x + 4},{_TOP - 8}) rotate(-55)">{escape(_short(name))}</text>')
    for row, name in enumerate(names):
        total = sum(table[row]) or 1
        y = _TOP + _CELL * row
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 21}" text-anchor="end">{escape(_short(name))} ({total:.0f})</text>'
        )
        for column, value in enumerate(table[row]):
            share, x = value / total, _LEFT + _CELL * column
            shade = round(255 - 190 * share)
            fill = f"rgb({shade},{round(255 - 120 * share)},255)" if column == row else f"rgb(255,{shade},{shade})"
            parts.append(f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" fill="{fill}" stroke="#ddd"/>')
            if value >= 0.5:
                parts.append(f'<text x="{x + _CELL // 2}" y="{y + 21}" text-anchor="middle">{value:.0f}</text>')
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", "utf-8")


def _short(name: str) -> str:
    return name if len(name) <= 26 else name[:25].rstrip(" ,") + "…"
