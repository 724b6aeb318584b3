"""What tests of the client share with those of the worker."""

from __future__ import annotations

from tests.model.worker.conftest import runtime_dir, tiny_model, tiny_prefix_model

__all__ = ["runtime_dir", "tiny_model", "tiny_prefix_model"]
