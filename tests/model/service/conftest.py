"""Real, tiny models for engines to run."""

from __future__ import annotations

from tests.model.worker.conftest import tiny_model, tiny_prefix_model

__all__ = ["tiny_model", "tiny_prefix_model"]
