"""The console: a page that shows what is going on, what has come out, and what was refused. It only reads.

GET /                          the page
GET /api/events                server-sent events: a snapshot, then what has changed
GET /api/articles/PLACE        one of the newest articles with its text; PLACE is PARTITION-OFFSET
GET /api/dead-letters/PLACE    one of the newest dead letters with its bytes
GET /api/trace?q=ID|URL        what happened to an article: progress and stories, one JSON object a line
GET /healthz
"""
