"""How much is kept of a text. Other sizes make another fingerprint version; docs/decisions/0007 has the curve."""

PAIRS = 128
"""Most hashes of word pairs kept, 3 bytes each with their places. A text of 500 words has about 290 pairs."""

KEYS = 16
"""Most hashes of word triples under which an article is indexed, and candidates for it are looked up: the same, so that
of two articles each finds the other. 4 bytes each, and about 10 more in the index."""

NAMES = 32
"""Most hashes of names kept, 2 bytes each. A text of 500 words has about 30."""

NUMBERS = 32
"""Most numbers kept, each with the word beside it, 3 bytes each."""

PARAGRAPHS = 24
"""Most paragraphs of which a hash is kept, 2 bytes each, to say what a revision changed. News has 15 or so."""
