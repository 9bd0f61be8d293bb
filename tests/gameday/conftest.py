"""What game days need: Prometheus, and a broker of their own where it is stopped."""

from __future__ import annotations

import pytest

from tests.support import prometheus


@pytest.fixture(scope="session")
def prometheus_ready() -> None:
    """Prometheus is there, or can be had."""
    try:
        prometheus.find("prometheus")
    except prometheus.NoPrometheus as error:
        pytest.skip(str(error))
