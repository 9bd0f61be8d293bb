"""Mentions to entities: which names of an article are one and the same.

- People: a surname, a first name or a name with an initial joins the fullest name that it fits; where several fit, the
  one named last before it. A surname that stands alone all through the article is looked up in a table of prominent
  people.
- Organisations: an acronym joins the name that it abbreviates, in the article or in our table; a short form joins the
  only longer name that begins or ends with it.
- Places and other names: forms of one country are one place, forms of one demonym one name; else equal forms.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from schemas.messages import Entity, EntityLink, Mention
from workers.entities.gazetteer import organisation_ids, organisations
from workers.entities.limits import MAX_CANDIDATES
from workers.entities.locate import PlaceLinker
from workers.entities.mentions import Found
from workers.entities.names import (
    Parts,
    acronyms_of,
    is_acronym,
    organisation_parts,
    parts_of,
    person_match,
    person_parts,
    surname_of,
)
from workers.entities.people import ALIAS_CONFIDENCE, FULL_NAME_CONFIDENCE, by_full_name, by_surname
from workers.entities.places import CountryForm
from workers.entities.team import CONFIDENCE as TEAM_CONFIDENCE
from workers.entities.tokens import tokenize

ORGANISATION_CONFIDENCE = 0.93
"""That a name of an organisation of our table means that organisation."""

LEAD_CHARS = 300
"""The lead of a body: its first paragraph, or this many characters where that is shorter."""


@dataclass(slots=True)
class _Group:
    """Mentions of one entity, as indexes into the article's mentions; `parts` is its fullest name."""

    kind: str
    parts: Parts
    at: list[int] = field(default_factory=list)
    links: list[EntityLink] = field(default_factory=list)
    name: str | None = None
    factor: float = 1.0


def resolve(headline: str, body: str, mentions: Sequence[Found]) -> tuple[Entity, ...]:
    """Return the entities that `mentions` name, most salient first, then by place of first mention.

    Salience is 0.4 if the headline names it, plus 0.2 if the lead does, plus 0.4 times its number of mentions over
    that of the most mentioned entity. Confidence is that of its surest mention (times 0.8 where the full name comes
    from the table of people).
    """
    texts = {"headline": headline, "body": body}
    groups = _with_team_ids(_people(mentions) + _organisations(mentions) + _others(texts, mentions), mentions)
    if not groups:
        return ()
    lead = max(LEAD_CHARS, body.find("\n")) if "\n" in body else LEAD_CHARS
    most = max(len(group.at) for group in groups)
    entities = []
    for group in groups:
        group.at.sort()
        found = [mentions[at] for at in group.at]
        salience = 0.4 * len(found) / most
        salience += 0.4 if found[0].field == "headline" else 0.0
        salience += 0.2 if any(one.field == "body" and one.start < lead for one in found) else 0.0
        confidence = max(one.confidence for one in found) * group.factor
        entity = Entity(
            name=group.name or _best_name(group, found, texts),
            type=group.kind,  # type: ignore[arg-type]
            salience=round(min(1.0, salience), 4),
            confidence=round(confidence, 3),
            mentions=tuple(Mention(field=one.field, start=one.start, end=one.end) for one in found),
            links=tuple(group.links),
        )
        entities.append((-entity.salience, group.at[0], entity))
    entities.sort(key=lambda item: item[:2])
    return tuple(entity for *_, entity in entities)


def _with_team_ids(groups: list[_Group], mentions: Sequence[Found]) -> list[_Group]:
    """Return `groups` with the ids of a team's gazetteer as their first links; groups of one id and type are one."""
    merged: list[_Group] = []
    by_id: dict[tuple[str, str], _Group] = {}
    for group in groups:
        ids = Counter(mentions[at].id for at in sorted(group.at) if mentions[at].id is not None)
        if not ids:
            merged.append(group)
            continue
        identity = ids.most_common(1)[0][0] or ""
        first = by_id.setdefault((group.kind, identity), group)
        if first is not group:
            first.at += group.at
            continue
        others = [link for link in group.links if link.id != identity]
        group.links = [EntityLink(id=identity, confidence=TEAM_CONFIDENCE), *others]
        merged.append(group)
    return merged


def _best_name(group: _Group, found: Iterable[Found], texts: dict[str, str]) -> str:
    """Return the form to call an entity by: for people and organisations the fullest, else the most frequent; a form
    in capitals only if there is no other."""
    counts: dict[str, int] = {}
    for one in found:
        text = " ".join(texts[one.field][one.start : one.end].split())
        if group.kind == "ORG" and text[:4].lower() == "the " and len(text) > 4:
            text = text[4:]
        counts[text] = counts.get(text, 0) + 1
    fullest = group.kind in ("PER", "ORG")

    def rank(item: tuple[int, str]) -> tuple[bool, int, int, int]:
        order, text = item
        shouted = text.isupper() and len(text) > 5
        size = len(text.split())
        return (not shouted, size if fullest else counts[text], counts[text] if fullest else size, -order)

    return max(enumerate(counts), key=rank)[1]


def _by_form(mentions: Sequence[Found], kind: str, parts: dict[int, Parts]) -> list[tuple[Parts, list[int]]]:
    """Return the forms of one type and where they stand, longest forms first, then by first place."""
    forms: dict[Parts, list[int]] = {}
    for at, mention in enumerate(mentions):
        if mention.type == kind:
            forms.setdefault(parts[at], []).append(at)
    return sorted(forms.items(), key=lambda item: (-len(item[0]), item[1][0]))


def _nearest(groups: Sequence[_Group], at: int) -> _Group:
    """Return the group that was mentioned last before mention `at`, else the first of them. Groups' mentions of their
    own full forms are in order."""

    def last(group: _Group) -> int:
        place = bisect_right(group.at, at)
        return group.at[place - 1] if place else -1

    return max(groups, key=last)


def _people(mentions: Sequence[Found]) -> list[_Group]:
    parts = {at: person_parts(one.words) for at, one in enumerate(mentions) if one.type == "PER"}
    groups: list[_Group] = []
    by_part: dict[str, list[int]] = {}
    joining: list[tuple[_Group, int]] = []
    for form, places in _by_form(mentions, "PER", parts):
        near = sorted({number for part in (form[0], surname_of(form)) for number in by_part.get(part, ())})
        ranked = [(person_match(form, groups[number].parts), groups[number]) for number in near]
        best = max((rank for rank, _ in ranked), default=0)
        if best:
            fits = [group for rank, group in ranked if rank == best]
            person = by_surname(form) if len(fits) > 1 else None
            known = [group for group in fits if person and group.parts == person.parts]
            joining += [(known[0] if known else _nearest(fits, at), at) for at in places]
            continue
        for part in dict.fromkeys(form):
            listed = by_part.setdefault(part, [])
            if len(listed) < MAX_CANDIDATES:
                listed.append(len(groups))
        groups.append(_Group("PER", form, list(places)))
    for group, at in joining:
        group.at.append(at)
    _look_up(groups, mentions)
    return groups


def _look_up(groups: Sequence[_Group], mentions: Sequence[Found]) -> None:
    """Name and link the people of our table: by full name, or by a surname that nobody else in the article has."""
    bearers = Counter(surname_of(group.parts) for group in groups)
    for group in groups:
        person, certainty = by_full_name(group.parts), FULL_NAME_CONFIDENCE
        if person is None:
            person, certainty = by_surname(group.parts), ALIAS_CONFIDENCE
            if (
                person is None
                or bearers[surname_of(group.parts)] > 1
                or any(mentions[at].other_person for at in group.at)
            ):
                continue
            group.name, group.factor = person.name, ALIAS_CONFIDENCE
        if person.wikidata:
            group.links.append(EntityLink(id="wikidata:" + person.wikidata, confidence=certainty))


@cache
def _known_organisations() -> dict[Parts, int]:
    known: dict[Parts, int] = {}
    for number, names in enumerate(organisations()):
        for name in names:
            known.setdefault(organisation_parts([token.text for token in tokenize(name, 20)]), number)
    return known


def _organisations(mentions: Sequence[Found]) -> list[_Group]:
    parts = {at: organisation_parts(one.words) for at, one in enumerate(mentions) if one.type == "ORG"}
    groups: list[_Group] = []
    by_number: dict[int, _Group] = {}
    by_acronym: dict[str, _Group] = {}
    by_end: dict[str, list[_Group]] = {}
    late: list[tuple[_Group, list[int]]] = []
    for form, places in _by_form(mentions, "ORG", parts):
        number = _known_organisations().get(form)
        short = form[0].replace(".", "") if is_acronym(mentions[places[0]].words) else ""
        match = by_acronym.get(short) if short else None
        if match is None and number is not None:
            match = by_number.get(number)
        if match is None and len(form) == 1 and not short and number is None:
            near = by_end.get(form[0], ())
            match = near[0] if len(near) == 1 else None
        if match is not None:
            late.append((match, places))
            continue
        group = _Group("ORG", form, list(places))
        groups.append(group)
        if number is not None:
            by_number[number] = group
            if (known := organisation_ids()[number]) is not None:
                group.links.append(EntityLink(id="wikidata:" + known, confidence=ORGANISATION_CONFIDENCE))
        if len(form) > 1:
            for acronym in acronyms_of(form):
                by_acronym.setdefault(acronym, group)
            for part in dict.fromkeys((form[0], form[-1])):
                by_end.setdefault(part, []).append(group)
    for group, places in late:
        group.at += places
    return groups


def _others(texts: dict[str, str], mentions: Sequence[Found]) -> list[_Group]:
    groups: dict[tuple[str, ...], _Group] = {}
    linker = PlaceLinker(texts, mentions)
    made: dict[tuple[str, tuple[str, ...]], _Group] = {}
    for at, mention in enumerate(mentions):
        if mention.type in ("PER", "ORG"):
            continue
        group = made.get((mention.type, mention.words))
        if group is None:
            country = linker.country(mention)
            links = _country_links(*country) if country else linker.links(mention) if mention.type == "LOC" else []
            parts = parts_of(mention.words)
            if parts[0] == "the" and len(parts) > 1:
                parts = parts[1:]
            key = (mention.type, links[0].id) if links else (mention.type, "", *parts)
            group = groups.get(key)
            if group is None:
                group = groups[key] = _Group(mention.type, parts, links=links)
            made[mention.type, mention.words] = group
        group.at.append(at)
    return list(groups.values())


def _country_links(form: CountryForm, confidence: float) -> list[EntityLink]:
    """Return the links of a country, or of a demonym to its country."""
    links = [EntityLink(id="iso3166:" + form.country.code, confidence=confidence)]
    if form.country.wikidata is not None and not form.demonym:
        links.append(EntityLink(id="wikidata:" + form.country.wikidata, confidence=confidence))
    return links
