"""From whatever a scraper sends to one clean article."""
