"""Real gaps for measurements: places in files of the standard library, drawn with a seed."""

from __future__ import annotations

import random
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from model.api.types import Gap

# Plain Python of moderate size that every Python has.
_FILES = (
    "argparse.py", "bisect.py", "calendar.py", "colorsys.py", "configparser.py", "contextlib.py", "csv.py",
    "dataclasses.py", "difflib.py", "fractions.py", "gettext.py", "heapq.py", "inspect.py", "pathlib.py",
    "posixpath.py", "queue.py", "random.py", "shlex.py", "shutil.py", "statistics.py", "string.py", "tarfile.py",
    "textwrap.py", "threading.py", "tokenize.py", "typing.py", "uuid.py", "zipfile.py",
)  # fmt: skip


@dataclass(frozen=True)
class RealGap:
    """A cursor in a file, and what stands from there to the end of its line."""

    path: str
    text: str  # of the file, without `missing`
    gap: Gap
    missing: str


def real_gaps(count: int, seed: int = 0) -> list[RealGap]:
    """Return `count` cursors in lines of code, the rest of the line taken out."""
    rng = random.Random(seed)
    library = Path(sysconfig.get_path("stdlib"))
    texts = [(name, (library / name).read_text(encoding="utf-8")) for name in _FILES if (library / name).is_file()]
    found: list[RealGap] = []
    while len(found) < count:
        name, text = rng.choice(texts)
        start = rng.randrange(len(text))
        end = text.find("\n", start)
        begin = text.rfind("\n", 0, start) + 1
        if end < 0 or end - start < 2 or text[begin:end].lstrip().startswith("#"):
            continue
        found.append(RealGap(name, text[:start] + text[end:], Gap(start, start), text[start:end]))
    return found
