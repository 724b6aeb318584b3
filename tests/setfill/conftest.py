"""A real, tiny model for the command line to run."""

from tests.model.worker.conftest import tiny_model

__all__ = ["tiny_model"]
