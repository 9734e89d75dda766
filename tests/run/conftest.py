from __future__ import annotations

import numpy as np
import pytest

from ebdsl.run.program import Program
from tests.run.toy import toy


@pytest.fixture
def program() -> Program:
    return toy()


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    return {"y": np.random.default_rng(0).normal(size=(70, 6)).astype(np.float32)}
