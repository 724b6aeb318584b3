"""Start of a server whose worker is the stand-in: `python -P tests/lsp_server/serve.py ARGUMENTS of setfill serve`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from lsp_server import run  # noqa: E402
from lsp_server.life_cycle import default_worker_options  # noqa: E402
from lsp_server.pacing import PowerSupply  # noqa: E402
from lsp_server.settings import Settings  # noqa: E402
from model.api.client import WorkerOptions  # noqa: E402

STAND_IN = Path(__file__).with_name("stand_in.py")


def stand_in_options(settings: Settings) -> WorkerOptions:
    return dataclasses.replace(default_worker_options(settings), program=(sys.executable, "-P", str(STAND_IN)))


if __name__ == "__main__":
    level = sys.argv[sys.argv.index("--log-level") + 1] if "--log-level" in sys.argv else "warning"
    run.set_up_logging(level)
    for power in ("--on-battery", "--on-mains"):  # whatever this machine runs on
        if power in sys.argv:
            PowerSupply.on_battery = lambda self, power=power: power == "--on-battery"  # type: ignore[method-assign]
    if "--socket" in sys.argv:
        sys.exit(run.run_on_socket(0, stand_in_options, token="the token"))
    sys.exit(run.run_on_standard_streams(stand_in_options))
