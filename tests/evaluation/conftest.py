"""A real, tiny model, and a small corpus."""

from tests.training.conftest import small_corpus
from tests.worker.conftest import tiny_model, tiny_prefix_model

__all__ = ["small_corpus", "tiny_model", "tiny_prefix_model"]
