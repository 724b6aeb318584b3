"""Start of the worker process: `python -P PATH/TO/model/worker ARGUMENTS`.

Run by its path, so that whatever folder the user is in cannot offer a `model`
package of its own.
"""

import os
import sys


def _import_path_of_ours() -> None:
    """Make the packages beside this one importable, and no others under their names."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path[:] = [entry for entry in sys.path if entry and os.path.abspath(entry) != os.path.dirname(__file__)]
    if root not in sys.path:
        sys.path.insert(0, root)
    import model

    found = os.path.dirname(os.path.abspath(model.__file__ or ""))
    if found != os.path.join(root, "model"):
        sys.exit(f"setfill: another package named `model` ({found}) hides setfill's own: uninstall it")


if __name__ == "__main__":
    _import_path_of_ours()
    from model.worker.process import run_and_exit

    run_and_exit(sys.argv[1:])
