"""Which open files the settings let the model see, and in which of them there are suggestions.

Knows the names of files and their languages; reads none. What the model sees of files that are not open is
`privacy`'s to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lsp_server.open_document import OpenDocument
from lsp_server.patterns import Patterns, matches
from lsp_server.settings import Settings
from lsp_server.silence import Reason


class Admission:
    """What settings say of files in a workspace with these folders. Made anew when either changes."""

    def __init__(self, settings: Settings, roots: Sequence[Path]) -> None:
        self.roots = tuple(roots)
        self._settings = settings
        self._excluded = Patterns(settings.exclude)
        self._disabled_paths = Patterns(settings.disabled_paths)

    def is_excluded(self, document: OpenDocument) -> bool:
        """Whether the model must never see this file."""
        return self._matches(document, self._excluded)

    def is_disabled(self, document: OpenDocument) -> bool:
        """Whether there are to be no suggestions in this file."""
        return self.why_disabled(document) is not None

    def why_disabled(self, document: OpenDocument) -> Reason | None:
        """Return why there are to be no suggestions in this file, None where there may be."""
        languages = {name.lower() for name in self._settings.disabled_languages}
        if not self._settings.enabled:
            return Reason.OFF
        if not document.is_known_to_worker:
            return Reason.EXCLUDED
        if not languages.isdisjoint((document.language_id.lower(), document.language.name)):
            return Reason.LANGUAGE_OFF
        return Reason.PATH_OFF if self._matches(document, self._disabled_paths) else None

    def _matches(self, document: OpenDocument, patterns: Patterns) -> bool:
        return any(matches(name, patterns, self.roots) for name in document.names)
