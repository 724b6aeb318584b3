"""Where a line ends: at LF, CR LF or CR, as in the language server protocol, and at nothing else.

Python's own `splitlines` ends lines at form feeds and a dozen other characters too. `grammars.offsets` and
`lsp_server.retrieval.chunks` say the same for themselves, since they import nothing of ours; a test compares.
"""

from __future__ import annotations

import re

LINE_BREAK = re.compile(r"\r\n|\n|\r")
