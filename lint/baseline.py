"""Findings that are known, so that only new ones are told: a file of them, and how a finding is recognised.

A finding is known by its rule, its file, the text of its line and of the lines
beside it; never by line numbers, so that edits elsewhere change nothing. The file
holds hashes of those texts, not the texts.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from lint.records import ChangedFile, Finding
from model.errors import InputError

_FORMAT = 1
_HASH_CHARACTERS = 32


def fingerprint(finding: Finding, file: ChangedFile, path: str | None = None) -> str:
    """Return what a finding is known by, 32 hexadecimal digits. `path` counts in place of its file's, after a move."""
    line = finding.span.line - 1
    beside = [_beside(file.lines, line, step) for step in (-1, 1)]
    own = file.lines[line].strip() if line < len(file.lines) else ""
    parts = (finding.rule.id, path or finding.path, beside[0], own, beside[1])
    data = "\0".join(parts).encode("utf-8", errors="replace")
    return hashlib.sha256(data).hexdigest()[:_HASH_CHARACTERS]


def _beside(lines: tuple[str, ...], line: int, step: int) -> str:
    """Return the text of the next line in one direction that is not blank, "" at the end of the file."""
    line += step
    while 0 <= line < len(lines):
        if text := lines[line].strip():
            return text
        line += step
    return ""


class Baseline:
    """Known findings. As many are silenced as are known of one fingerprint."""

    def __init__(self, fingerprints: Iterable[str] = ()) -> None:
        self._left = Counter(fingerprints)

    def take(self, finding: Finding, file: ChangedFile) -> bool:
        """Whether the finding is known; it then counts as met, and another like it is not known any more."""
        for path in {finding.path: None, file.old_path or finding.path: None}:
            key = fingerprint(finding, file, path)
            if self._left[key] > 0:
                self._left[key] -= 1
                return True
        return False


def read_baseline(data: bytes, name: str) -> Baseline:
    """Return the findings that a baseline file knows. InputError for what is none."""
    try:
        content: Any = json.loads(data.decode("utf-8-sig"))
        if content["setfill-baseline"] != _FORMAT:
            raise ValueError
        return Baseline([str(each["fingerprint"]) for each in content["findings"]])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(
            f"{name} is no baseline of this version of Setfill: write it again, with --write-baseline"
        ) from None


def baseline_text(found: Iterable[tuple[Finding, ChangedFile]]) -> str:
    """Return the content of a baseline file that knows these findings."""
    entries = sorted((finding.path, finding.rule.id, fingerprint(finding, file)) for finding, file in found)
    findings = [{"path": path, "rule": rule, "fingerprint": key} for path, rule, key in entries]
    return json.dumps({"setfill-baseline": _FORMAT, "findings": findings}, indent=1) + "\n"
