"""Evaluation: infilling benchmarks with tests run in a sandbox, losses on held-out packages, sessions after edits."""
