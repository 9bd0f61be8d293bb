"""docs/metrics.md is the catalogue."""

from pathlib import Path

from newsmill.metricsdoc import page


def test_the_page_is_what_the_catalogue_says() -> None:
    committed = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    assert committed == page(), "make metrics-doc"
