"""Print what `setfill lint --no-model` needs of the requirements in pyproject.toml: not the gigabyte of the model's."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

MODEL_ONLY = frozenset({"torch", "numpy", "tokenizers", "safetensors"})
EDITOR_ONLY = frozenset({"pygls", "websockets"})


def main() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    for requirement in project["project"]["dependencies"]:
        if re.split(r"[^\w.-]", requirement)[0] not in MODEL_ONLY | EDITOR_ONLY:
            print(requirement)


if __name__ == "__main__":
    main()
