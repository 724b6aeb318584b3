"""Setfill's command line. `setfill.entry` must be the first module of it to run."""
