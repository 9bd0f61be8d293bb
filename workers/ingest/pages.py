"""Labelled pages of plain text: those that people have labelled, and those that are put together to train on.

A file of labelled pages holds the pages of one outlet: `# name`, `# language xx, split tune|held-out`, then pages with an
empty line between them, each line `kind<TAB>text`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workers.ingest.furniture import furniture_kind, phrases_of

ARTICLE_KINDS: Final = frozenset(("headline", "standfirst", "body", "subheading"))
"""Kinds of lines that are the article; all others are not."""

Lines = list[tuple[str, bool]]
"""Lines of a page, each with whether it is the article."""


@dataclass(frozen=True, slots=True)
class LabelledPage:
    """A page that a person has labelled: (kind, text) of each line."""

    outlet: str
    language: str
    split: str
    lines: tuple[tuple[str, str], ...]

    def labels(self) -> Lines:
        """Lines with whether they are the article."""
        return [(text, kind in ARTICLE_KINDS) for kind, text in self.lines]


def read_labelled(folder: Path) -> list[LabelledPage]:
    """Return the labelled pages of a folder, by file name. Raises ValueError for a file that is none."""
    pages = []
    for path in sorted(folder.glob("*.txt")):
        blocks = path.read_text(encoding="utf-8").split("\n\n")
        name, about = blocks[0].splitlines()[:2]
        match = re.fullmatch(r"# language (\w+), split ([\w-]+)", about)
        if match is None:
            raise ValueError(f"{path}: the second line names no language and split")
        for block in blocks[1:]:
            lines = [line.partition("\t") for line in block.splitlines()]
            pages.append(
                LabelledPage(name[2:], match[1], match[2], tuple((kind, text) for kind, _tab, text in lines))
            )
    return pages


_SECTIONS: Final = (
    "Home|News|World|Local|Politics|Business|Money|Markets|Opinion|Editorials|Columnists|Letters|Sport|Sports|Football"
    "|Cricket|Tennis|Golf|Rugby|Racing|Culture|Arts|Books|Music|Film|TV|Theatre|Lifestyle|Food|Recipes|Travel|Style"
    "|Fashion|Health|Wellness|Science|Technology|Tech|Environment|Climate|Education|Obituaries|Weather|Video|Videos"
    "|Podcasts|Photos|Galleries|Newsletters|Jobs|Cars|Property|Real Estate|Classifieds|Events|Calendar|Puzzles"
    "|Crossword|Horoscopes|Comics|E-Edition|Archive|About|About Us|Contact|Contact Us|Careers|Advertise|Subscribe"
    "|Sign In|Log In|Register|My Account|Search|Menu|More|Close|Help|FAQ|Terms|Terms of Service|Privacy|Privacy Policy"
    "|Cookie Policy|Accessibility|Sitemap|RSS|Facebook|Twitter|Instagram|YouTube|LinkedIn|Latest|Top Stories|Live|US|UK"
    "|Europe|Asia|Africa|Middle East|Americas|Australia|Elections|Courts|Crime|Investigations|Fact Check|Special Reports"
    "|Magazine|Data|Graphics|Quizzes|Deals|Reviews|Phones|Gaming|Space|Energy|Economy|Companies|Banking|Start-ups"
    "|Personal Finance|Retirement|Family|Parenting|Relationships|Garden|Home & Garden|Pets|Faith|History|Language"
    "|Newsletter|Community|Schools|Traffic|Lottery|Scores|Standings|Schedule|Teams|Players|Odds|Fantasy|Shop|Store|Apps"
).split("|")
_FIRST: Final = "Ada Omar Lena Marcus Priya Jonas Aisha Peter Wanjiru Carlos Mei Tom Sofia Daniel Grace Igor Hannah Yusuf".split()
_LAST: Final = "Green Haddad Okoye Lindqvist Mehta Brandt Diaz Novak Mwangi Chen Fraser Rossi Walker Ivanova Osei Tanaka".split()
_ROLES: Final = (
    "Staff Writer|Reporter|Senior Correspondent|Political editor|Business Reporter|Contributor|Associated Editor"
    "|in Nairobi|Digital Producer|Special to the Post|Staff and agencies|The Canadian Wire|News Editor|Our Correspondent"
).split("|")
_MONTHS: Final = "January February March April May June July August September October November December".split()
_TOOLS: Final = (
    "Share|Tweet|Email|Print|Save|Share this|Share on Facebook|Share on Twitter|Copy link|WhatsApp|Facebook|Twitter|Text size"
    "|A|A+|Listen|Follow|Bookmark|Comments|0 comments|12 Comments|3 min read|5 minute read|Reading time: 4 mins|1.2k Shares|+"
    "|Pin it|Reddit|LinkedIn|Report|Font size|View comments|Like|Related|Advertisement|Image|Photos|1/5|1 of 3"
).split("|")
_CREDITS: Final = (
    "Getty Images|AP|Reuters|AFP|File photo|Staff photo|Supplied|Handout|{name}/AP|{name}/Getty Images|{name} for the Post"
    "|Photo: {name}|Credit: {name}|Photograph: {name}/Shutterstock|Courtesy of {name}|Image: {name}|Provided"
).split("|")
_TEASER_HEADS: Final = (
    "Related|Related Stories|Related Articles|More from {section}|Most Read|Most Popular|Trending|Trending Now|Latest|Latest News"
    "|Recommended|You May Also Like|Editor's Picks|More Stories|Top Stories|Don't Miss|Read Next|Popular|In case you missed it"
    "|Elsewhere|{section}|Our Picks|Also in {section}|Sponsored|Recent Posts|Up Next|Must Reads"
).split("|")
_COMMENT_HEADS: Final = (
    "Comments|{number} Comments|Leave a Reply|Join the conversation|View all comments|{number} responses|Reader comments"
    "|Add a comment|Post a comment|Comments ({number})|Leave a comment"
).split("|")
_COMMENTS: Final = (
    "This is exactly what I have been saying for years.|I disagree with the author on nearly every point here.|Well said!"
    "|Thanks for writing this, it helped me a lot.|Does anyone know if this applies outside the city?|What a waste of money."
    "|My neighbour had the same thing happen to him and nobody did anything about it.|Nobody asked the people who live here."
    "|You can't blame them for everything, they inherited the mess from the last lot.|Great article, keep up the good work."
    "|I would like to see a source for the second claim.|lol|So true.|Typical. They will never learn and we will pay for it."
    "|I read it twice and I still don't see what the fuss is about.|Please fix the typo in the third paragraph."
    "|As somebody who has worked in this trade for twenty years I can tell you that it is far worse than the piece says."
    "|If you think that is bad, wait until you see what they did to our street last winter."
    "|Agreed. The whole committee ought to resign tomorrow.|First!|Nice post. I learn something new every time I visit."
    "|How come this is only being reported now, when everybody knew about it in spring?|Vote them out."
).split("|")
_PROMOTIONS: Final = (
    "We use cookies to improve your experience on our site and to show you relevant advertising. By continuing you accept this."
    "|By clicking Accept you agree to the storing of cookies on your device. You can change your choice at any time."
    "|Sign up for our morning briefing and get the stories that matter before everybody else."
    "|You have reached your limit of free articles. Subscribe for unlimited access to everything we publish."
    "|Already a subscriber? Log in here.|Support independent journalism. Every contribution, however big or small, counts."
    "|This site is protected by a captcha, and its privacy policy and terms of service apply."
    "|Your email address will not be published. Required fields are marked.|Please enable JavaScript to view the comments."
    "|Thank you for signing up. Please check your inbox to confirm your subscription.|Enter your email address"
    "|Offers on this page may come from our partners, who pay us when you follow a link; it does not change what we write."
    "|Market data is delayed by at least 15 minutes and is provided for information only.|Our newsletter is free. No spam, ever."
    "|Have a story to tell? Write to our newsroom or call us on the number below.|Download our app for the latest news."
    "|We want to hear from you. Comments are moderated and may be edited for length.|Something went wrong. Please try again."
    "|Subscribe now and save half for the first year. You can cancel at any time, and we won't ask you why."
    "|An email with an activation link has just been sent to your address. Please follow it to finish your registration."
    "|Your account has been deleted. You can restore it within 30 days by signing in again.|Success! Check your inbox."
    "|I agree to the processing of my personal data so that I can use this site, as the privacy policy says."
    "|Necessary cookies are essential for the website to work. They do not store anything that could be used to name you."
    "|Some cookies are placed by services that appear on our pages. You may refuse them, but parts of the page may then fail."
    "|You must be logged in to post a comment.|You are commenting using your social media account. (Log out / Change)"
    "|Comments that contain insults, advertising or personal data of others will be removed without notice to their author."
    "|Users are asked to be polite, to keep to the subject and to write in the language of the article."
    "|Like this story? Share it with a friend!|Turn on notifications to be the first to know.|Thank you for reading the Post."
    "|This website uses cookies to improve your experience. We'll assume you're ok with this, but you can opt out if you wish."
    "|Get the magazine delivered through your door every month. Twelve issues for the price of ten. Click here for more."
    "|Our journalists work hard to bring you the news. If you can, please help us to carry on by becoming a member today."
    "|Quotes displayed in real-time or delayed by at least 15 minutes.|Stay up to date. Subscribe to our newsletter."
    "|The views expressed here are the author's own.|Follow the Post on Twitter for more.|To view this page, turn on JavaScript."
    "|If you have any questions about this policy, please write to us at privacy@post.example.|All fields are required"
    "|We have updated our privacy policy. Please review it, and let us know whether you agree.|Not now|Enable notifications"
    "|You can read the full terms here. They explain what we collect, how we use it and what choices you have."
    "|Ad choices|The Post and its partners set cookies to measure our audience and show you advertising based on your interests."
).split("|")
_PROSE: Final = tuple(sorted(phrases_of("furniture-prose.txt")))
_AUTHORS: Final = (
    "{name} is a reporter who covers courts and schools. Follow her on Twitter."
    "|{name} has worked for newspapers since 1998 and lives with two dogs by the sea."
    "|{name} is the author of three books and a frequent guest on radio programmes about money."
    "|About the author|{name} covers business and technology. Contact: news@post.example|Reach {name} at 555-0199."
    "|Reporting by {name}; editing by {name}|{name} contributed to this report.|The writer is a lawyer in Lagos."
).split("|")
_RIGHTS: Final = (
    "© 2024 The Post. All rights reserved.|Copyright 2023 Post Media Ltd|© 2022 Post|All Rights Reserved|Powered by Newsdesk"
    "|This material may not be published, broadcast, rewritten or redistributed.|A division of Post Group, a public company."
    "|Registered office: 1 High Street. Registered in England."
).split("|")
_SENTENCE: Final = re.compile(r"(?<=[a-z)\"”][.!?])\s+(?=[A-Z“\"])")


@dataclass(frozen=True, slots=True)
class Source:
    """An article to build a page around: its headline (of its address), its paragraphs and its sentences."""

    headline: str
    paragraphs: tuple[str, ...]
    sentences: tuple[str, ...]


def source(url: str | None, paragraphs: Sequence[str]) -> Source:
    """Return an article as `composed` takes it. The last words of the path of `url` make the headline, else its first."""
    slug = re.sub(r"\.\w{1,5}$", "", (url or "").rstrip("/").rpartition("/")[2])
    words = [word for word in re.split(r"[-_]+", slug) if word.isalpha()]
    sentences = tuple(sentence for text in paragraphs for sentence in _SENTENCE.split(text) if len(sentence) > 20)
    if len(words) < 4:
        words = " ".join(sentences[:1] or paragraphs[:1]).split()[:9]
    headline = " ".join(words[:14])
    return Source(headline[:1].upper() + headline[1:], tuple(paragraphs), sentences or tuple(paragraphs))


class Composer:
    """Puts pages together around real articles, in the manner in which scrapers deliver them."""

    def __init__(self, sources: Sequence[Source], furniture: Sequence[str], seed: int) -> None:
        self._sources, self._furniture = sources, furniture
        self._promotions = (*_PROMOTIONS, *_PROSE)
        self._draw = random.Random(seed)

    def page(self, article: Source) -> Lines:
        """Return one page. How much stands around the article differs from none at all to ten times its lines."""
        draw = self._draw
        bare = draw.random() < 0.25
        lines: Lines = []
        if not bare:
            lines += self._menu(draw.choice((0, 0, 4, 10, 25, 60, 120)))
            if draw.random() < 0.35:
                lines += self._outside(*draw.sample(self._promotions, draw.choice((1, 1, 2, 4))))
            if draw.random() < 0.2:
                lines += self._teasers(draw.choice((2, 4, 8)))
            if draw.random() < 0.25:
                lines += self._outside(self._cased(article.headline))
            if draw.random() < 0.2:
                lines += self._outside(" / ".join((*draw.sample(_SECTIONS, 2), article.headline)))
        title = self._cased(article.headline)
        if draw.random() < 0.3:
            lines += self._outside(*(draw.sample(_SECTIONS, draw.choice((1, 2)))))
        if draw.random() < 0.85:
            lines.append((title, True))
        if draw.random() < 0.2 and len(article.sentences) > 4:
            lines.append((draw.choice(article.sentences[1:5]).rstrip("."), True))
        if draw.random() < (0.3 if bare else 0.9):
            lines += self._about()
        if draw.random() < 0.5:
            lines += self._caption(article)
        lines += self._body(article, bare)
        if not bare:
            lines += self._after(article)
        return lines

    def _body(self, article: Source, bare: bool) -> Lines:
        draw = self._draw
        rate = 0.0 if bare else draw.choice((0.0, 0.05, 0.1, 0.2))
        subheads = draw.random() < 0.25
        blocks = self._split(article)
        listed = draw.randrange(len(blocks)) if draw.random() < 0.15 else -1
        lines: Lines = []
        for at, text in enumerate(blocks):
            if at and subheads and draw.random() < 0.25:
                words = text.split()[: draw.choice((1, 2, 3, 4, 5, 6))]
                lines.append((self._cased(" ".join(words).rstrip(".,:;")), True))
            if at and draw.random() < rate:
                lines += draw.choice((self._inserted, self._inserted, self._box))(article)
            lines.append((text, furniture_kind(text) is None))
            if at == listed:
                lines += self._list(article)
        return lines

    def _list(self, article: Source) -> Lines:
        draw = self._draw
        sign = draw.choice(("", "- ", "• ", "* ", "{number}. "))
        items = draw.choices(article.sentences, k=draw.choice((2, 3, 5)))
        cut = draw.choice((3, 8, 14, 40))
        texts = (" ".join(item.split()[:cut]) for item in items)
        return [
            (sign.format(number=number) + (text.rstrip(".,;:") if cut < 40 else text), True)
            for number, text in enumerate(texts, 1)
        ]

    def _split(self, article: Source) -> list[str]:
        """Its paragraphs; sometimes its sentences, since many outlets make a paragraph of each."""
        if self._draw.random() < 0.3:
            return list(article.sentences)
        return list(article.paragraphs)

    def _inserted(self, article: Source) -> Lines:
        draw = self._draw
        other = draw.choice(self._sources)
        return draw.choice(
            (
                lambda: self._outside("Advertisement"),
                lambda: self._outside("Advertisement", "Story continues below"),
                lambda: self._outside(draw.choice(self._promotions)),
                lambda: self._outside(f"READ MORE: {self._cased(other.headline)}"),
                lambda: self._outside(f"Also read | {other.headline}"),
                lambda: self._outside("Read more", self._cased(other.headline)),
                lambda: self._outside(self._cased(other.headline)),
                lambda: self._outside(draw.choice(article.sentences).split(". ")[0].rstrip(".")[:120]),
                lambda: self._caption(article),
            )
        )()

    def _box(self, article: Source) -> Lines:
        return self._teasers(self._draw.choice((1, 2, 3, 5)))

    def _after(self, article: Source) -> Lines:
        draw = self._draw
        lines: Lines = []
        if draw.random() < 0.3:
            lines += self._outside(*draw.sample(_AUTHORS, draw.choice((1, 2))))
        if draw.random() < 0.4:
            names = [word.strip(".,’'\"") for word in " ".join(article.paragraphs).split() if word[0].isupper()]
            lines += self._outside(draw.choice(("Tags", "Topics", "Filed under:", "Tags:")))
            lines += self._outside(*(name for name in draw.sample(names, min(len(names), draw.choice((2, 4, 7)))) if name))
        if draw.random() < 0.5:
            lines += self._outside(*draw.sample(_TOOLS, draw.choice((2, 4, 8))))
        blocks = [self._comments] if draw.random() < 0.35 else []
        blocks += [lambda: self._teasers(draw.choice((2, 4, 6, 10, 20)))] * draw.choice((0, 1, 1, 2, 3))
        draw.shuffle(blocks)
        for block in blocks:
            lines += block()
            if draw.random() < 0.2:
                lines += self._outside(draw.choice(self._promotions))
        lines += self._menu(draw.choice((0, 5, 15, 40, 90)))
        if draw.random() < 0.35:
            lines += self._outside(*draw.sample(self._promotions, draw.choice((2, 4, 8))))
        if draw.random() < 0.15:
            lines += self._outside(*(f"{draw.choice(_SECTIONS)} ({draw.randint(1, 99)})" for _ in range(12)))
        if self._furniture and draw.random() < 0.5:
            lines += self._outside(*draw.sample(self._furniture, draw.choice((1, 3, 6))))
        if draw.random() < 0.6:
            lines += self._outside(*draw.sample(_RIGHTS, draw.choice((1, 2))))
        return lines

    def _teasers(self, count: int) -> Lines:
        draw = self._draw
        lines: Lines = []
        if draw.random() < 0.75:
            head = draw.choice(_TEASER_HEADS).format(section=draw.choice(_SECTIONS))
            lines += self._outside(head, *(("View All",) if draw.random() < 0.1 else ()))
        style = draw.choice(("title", "title", "title", "summary", "cut", "date", "section", "numbered", "byline"))
        titles_cased = draw.random() < 0.5
        for number in range(1, count + 1):
            other = draw.choice(self._sources)
            title = other.headline.title() if titles_cased else other.headline
            if style == "numbered":
                title = f"{number}. {title}"
            if style == "section":
                lines += self._outside(draw.choice(_SECTIONS))
            lines += self._outside(title)
            if style == "summary":
                lines += self._outside(other.sentences[0])
            elif style == "cut":
                lines += self._outside(other.sentences[0][: draw.choice((60, 90, 120))].rsplit(" ", 1)[0] + draw.choice(("...", "…", " [...]")))
            elif style == "date":
                lines += self._outside(self._date())
            elif style == "byline":
                lines += self._outside(f"By {self._name()}")
        return lines

    def _comments(self) -> Lines:
        draw = self._draw
        lines = self._outside(draw.choice(_COMMENT_HEADS).format(number=draw.randint(1, 400)))
        for _ in range(draw.choice((1, 3, 6, 12))):
            lines += self._outside(draw.choice((self._name(), f"{self._name()} says:", f"{self._name()} on {self._date()} at 10:07 am said:", self._name().replace(" ", "_").lower())))
            if draw.random() < 0.7:
                lines += self._outside(draw.choice((self._date(), "3 hours ago", "2 days ago", "1 year ago")))
            for _ in range(draw.choice((1, 1, 1, 2))):
                said = " ".join(draw.sample(_COMMENTS, draw.choice((1, 1, 2, 3))))
                if draw.random() < 0.2:
                    said += " " + draw.choice(draw.choice(self._sources).sentences)
                lines += self._outside(said)
            if draw.random() < 0.6:
                lines += self._outside(*draw.choice((("Reply",), ("Like", "Reply"), ("0", "0", "Reply"), ("Report", "Reply"))))
        return lines

    def _about(self) -> Lines:
        draw = self._draw
        name = self._name()
        lines = self._outside(draw.choice((f"By {name}", name, f"by {name.upper()}", f"By {name}, {draw.choice(_ROLES)}", f"{name} | {draw.choice(_ROLES)}")))
        if draw.random() < 0.4:
            lines += self._outside(draw.choice(_ROLES))
        lines += self._outside(*(self._date() for _ in range(draw.choice((0, 1, 1, 2)))))
        if draw.random() < 0.4:
            lines += self._outside(*draw.sample(_TOOLS, draw.choice((1, 3, 6))))
        if draw.random() < 0.3:
            draw.shuffle(lines)
        return lines

    def _caption(self, article: Source) -> Lines:
        draw = self._draw
        words = draw.choice(article.sentences).split()[: draw.choice((6, 10, 16, 24))]
        text = " ".join(words).rstrip(".,;:")
        credit = self._named(draw.choice(_CREDITS))
        return draw.choice(
            (
                lambda: self._outside(text),
                lambda: self._outside(text + "."),
                lambda: self._outside(f"{text} ({credit})"),
                lambda: self._outside(f"{text}. {credit}"),
                lambda: self._outside(f"{text}. ({credit})"),
                lambda: self._outside(text, credit),
                lambda: self._outside(f"Image: {text}"),
                lambda: self._outside(credit),
            )
        )()

    def _menu(self, count: int) -> Lines:
        draw = self._draw
        bullet = draw.choice(("", "", "", "- ", "• "))
        if draw.random() < 0.6:
            return self._outside(*(bullet + draw.choice(_SECTIONS) for _ in range(count)))
        # Many sites name their sections in several words.
        words = [word for word in draw.choice(self._sources).sentences[0].split() if word.isalpha()] or ["News"]
        names = (" ".join(draw.choices(words, k=draw.choice((1, 2, 2, 3, 4)))) for _ in range(count))
        titled = draw.random() < 0.5
        return self._outside(*(bullet + (name.title() if titled else name.capitalize()) for name in names))

    def _date(self) -> str:
        draw = self._draw
        day, month, year = draw.randint(1, 28), draw.choice(_MONTHS), draw.randint(2015, 2026)
        hour, minute = draw.randint(1, 12), draw.randint(10, 59)
        return draw.choice(
            (
                f"{month} {day}, {year}",
                f"{day} {month} {year}",
                f"{month[:3]}. {day}, {year}, {hour}:{minute} AM",
                f"Published {hour}:{minute} p.m. ET {month[:3]} {day}, {year}",
                f"Updated: {day} {month[:3]} {year}, {hour}:{minute} IST",
                f"Posted on {month} {day}, {year}",
                f"{day}/{draw.randint(1, 12)}/{year}",
                f"Last updated on {day} {month} {year}",
                f"{month[:3]} {day}",
            )
        )

    def _name(self) -> str:
        return f"{self._draw.choice(_FIRST)} {self._draw.choice(_LAST)}"

    def _named(self, text: str) -> str:
        while "{name}" in text:
            text = text.replace("{name}", self._name(), 1)
        return text

    def _cased(self, title: str) -> str:
        style = self._draw.random()
        return title.title() if style < 0.4 else title.upper() if style < 0.45 else title

    def _outside(self, *texts: str) -> Lines:
        return [(self._named(text), False) for text in texts if text.strip()]


def composed(sources: Sequence[Source], furniture: Sequence[str], count: int, seed: int = 0) -> Iterator[Lines]:
    """Yield `count` pages around `sources`, in turn. The same arguments give the same pages."""
    composer = Composer(sources, furniture, seed)
    for number in range(count):
        yield composer.page(sources[number % len(sources)])
