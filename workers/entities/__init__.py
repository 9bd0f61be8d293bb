"""People, organisations and places: mentions, resolved within the article."""
