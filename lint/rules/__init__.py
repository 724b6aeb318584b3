"""The catalogue of rules: those that read a file's text and tree, and those that ask the model."""

from __future__ import annotations

from lint.records import Check, Rule
from lint.rules.repeats import REPEATED_BLOCK, REPEATS_WHAT_FOLLOWS, repeated_blocks, repeats_of_what_follows
from lint.rules.syntax_errors import SYNTAX_ERROR, new_syntax_errors
from lint.rules.traces import TRACES
from lint.rules.unknown_names import UNKNOWN_NAME, unknown_names
from lint.surprise import SURPRISING_LINE

RULES: tuple[tuple[Rule, Check], ...] = (
    (SYNTAX_ERROR, new_syntax_errors),
    *TRACES,
    (REPEATED_BLOCK, repeated_blocks),
    (REPEATS_WHAT_FOLLOWS, repeats_of_what_follows),
    (UNKNOWN_NAME, unknown_names),
)
"""The rules without the model, each with the function that finds it."""


def all_rules() -> tuple[Rule, ...]:
    """Every rule there is, those of the model included."""
    return (*(rule for rule, _check in RULES), SURPRISING_LINE)
