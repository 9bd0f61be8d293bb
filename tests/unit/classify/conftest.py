import os
from pathlib import Path

import pytest


@pytest.fixture
def shared() -> Path:
    """The folder of data that is not part of the project: NEWSMILL_SHARED, else beside the repository."""
    folder = Path(os.environ.get("NEWSMILL_SHARED") or Path(__file__).resolve().parents[4] / "shared")
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}")
    return folder
