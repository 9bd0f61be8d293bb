"""What the article is about: IPTC Media Topics."""
