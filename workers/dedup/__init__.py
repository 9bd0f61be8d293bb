"""Which article is new, which a copy, a revision or a recrawl."""
