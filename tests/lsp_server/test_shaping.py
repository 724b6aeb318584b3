"""What is made of the model's words before they are shown."""

from __future__ import annotations

import math

import pytest

from lsp_server.shaping import confidence


def test_confidence_is_the_geometric_mean_whatever_the_length() -> None:
    """The product would let no long suggestion pass the floor."""
    for count in (1, 2, 3, 40):
        assert confidence([math.log(0.8)] * count) == pytest.approx(0.8)
    assert confidence([math.log(0.9), math.log(0.4)]) == pytest.approx(0.6)
    assert confidence([]) == 0
