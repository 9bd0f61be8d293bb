"""What happened to an article, and why: its path through all topics.

`search()` finds its records, `stories()` puts them in order, one story for each time that it was brought in.
"""

from newsmill.trace.find import Found, Wanted, search
from newsmill.trace.story import Step, Story, stories

__all__ = ["Found", "Step", "Story", "Wanted", "search", "stories"]
