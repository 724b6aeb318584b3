"""`textDocument/diagnostic`: what the rules without the model find in lines that are not committed.

The editor asks when it wants to know, after a change or when a file is shown. A file that git does not look after has
no diagnostics. The rules are those of `setfill lint --no-model`, and the project's settings for it count.

Knows how findings become diagnostics; what is looked for, and what changed, `lint` knows.
"""

from __future__ import annotations

import asyncio
import time
from copy import deepcopy
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from lsprotocol import types

from lint.flow import known_rules, look
from lint.records import Finding, Level, Patch
from lint.settings import Filter
from lint.uncommitted import Committed, change_to, committed
from lsp_server.protocol import contained
from lsp_server.server import SetfillServer
from lsp_server.snapshot import Snapshot
from model.errors import InputError

_SEVERITIES = {
    Level.ERROR: types.DiagnosticSeverity.Error,
    Level.WARNING: types.DiagnosticSeverity.Warning,
    Level.NOTE: types.DiagnosticSeverity.Information,
}
_MOST_FINDINGS = 100
_FRESH_SECONDS = 5.0  # git is asked once more after that: whoever commits sees the findings go at the next key
_OPTIONS = types.DiagnosticOptions(inter_file_dependencies=False, workspace_diagnostics=False, identifier="setfill")


def register(server: SetfillServer) -> None:
    """Add the feature for a client that asks for diagnostics; the others are not sent any."""
    text_document = server.client_capabilities.text_document
    if not (text_document and text_document.diagnostic):
        return
    state, held = server.state, _Held()

    @server.feature(types.TEXT_DOCUMENT_DIAGNOSTIC, _OPTIONS)
    @contained
    async def diagnose(params: types.DocumentDiagnosticParams) -> types.RelatedFullDocumentDiagnosticReport:
        snapshot = state.snapshot_if_open(params.text_document.uri)
        found: list[types.Diagnostic] = []
        if snapshot and snapshot.settings.lint and snapshot.document.path:
            try:
                found = await _diagnostics(snapshot, await held.committed(snapshot.document.path))
            except InputError as error:  # of the project's settings
                state.editor.warn(str(error))
        return types.RelatedFullDocumentDiagnosticReport(items=found)


class _Held:
    """What git has of the files asked about last, for a little while: asking takes two programs."""

    def __init__(self) -> None:
        self._asked: dict[Path, tuple[float, asyncio.Task[Committed | InputError | None]]] = {}

    async def committed(self, path: Path) -> Committed | None:
        """Return what `lint.uncommitted.committed` does, and raise what it raises, that too for a little while."""
        now = time.monotonic()
        self._asked = {each: kept for each, kept in self._asked.items() if kept[0] > now or not kept[1].done()}
        if path not in self._asked:
            self._asked[path] = now + _FRESH_SECONDS, asyncio.create_task(asyncio.to_thread(_committed, path))
        found = await asyncio.shield(self._asked[path][1])  # the next who asks waits for the same answer
        if isinstance(found, InputError):
            raise found
        return found


def _committed(path: Path) -> Committed | InputError | None:
    try:
        return committed(path, known_rules())
    except InputError as error:  # of the project's settings: it stays until they are mended
        return error


async def _diagnostics(snapshot: Snapshot, before: Committed | None) -> list[types.Diagnostic]:
    return [] if before is None else await asyncio.to_thread(_looked, snapshot, before)


def _looked(snapshot: Snapshot, before: Committed) -> list[types.Diagnostic]:
    file = change_to(before, snapshot.text)
    if file is None:
        return []
    settings = replace(before.settings, filter=Filter.ADDED, max_findings=_MOST_FINDINGS, patch_suppressions=True)
    baseline = deepcopy(before.baseline)  # each finding is struck off once it is met
    report = asyncio.run(look(Patch((file,)), settings, baseline=baseline))  # no client: nothing is waited for
    starts = [0, *accumulate(len(line) + 1 for line in snapshot.text.split("\n"))]
    return [_diagnostic(snapshot, finding, starts) for finding in report.findings]


def _diagnostic(snapshot: Snapshot, finding: Finding, starts: list[int]) -> types.Diagnostic:
    span = finding.span
    return types.Diagnostic(
        range=snapshot.range_at(starts[span.line - 1] + span.column, starts[span.end_line - 1] + span.end_column),
        message=finding.message,
        severity=_SEVERITIES[finding.level],
        code=finding.rule.id,
        source="setfill",
    )
