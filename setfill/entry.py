"""Where every Setfill program starts: first of all, make sure that the code which runs is ours.

`model`, `grammars` and `lsp_server` are names that users' own trees contain. So
before anything else is imported, what PYTHONPATH and the working directory put
on the import path is dropped, and the packages found are checked to be those
beside this one. Until that is done only modules that Python itself has loaded
at its start may be imported here.
"""

import os
import site
import sys

_OURS = ("model", "grammars", "lsp_server", "lint")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    only_our_packages()
    import logging

    # Commands say themselves what went wrong; without a handler Python would print warnings of ours beside that.
    logging.getLogger("model").addHandler(logging.NullHandler())
    try:
        from setfill.cli import run

        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "setfill", *_OURS):
            raise
        print(
            f"setfill: error: the package {package} is missing: install setfill again, with all it needs",
            file=sys.stderr,
        )
        return 2


def only_our_packages() -> None:
    """Clean sys.path and check that the packages on it are ours. Exits with status 2 when they are not."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:] = _trusted(sys.path, root)
    from importlib.util import find_spec

    for name in _OURS:
        spec = find_spec(name)
        if spec is None:
            continue  # not there; what needs it will say so
        found = next(iter(spec.submodule_search_locations or [spec.origin or name]))
        if not _same(found, os.path.join(root, name)):
            sys.exit(_refuse(name, found))


def _refuse(name: str, found: str) -> int:
    print(
        f"setfill: error: {found} hides setfill's own package `{name}`: "
        "uninstall it, or install setfill in a virtual environment of its own",
        file=sys.stderr,
    )
    return 2


def _trusted(path: list[str], root: str) -> list[str]:
    """Return the entries of an import path that the installation put there, and `root`, which holds our packages."""
    home = os.path.dirname(os.path.abspath(os.__file__))  # the standard library
    installed = [home, root, *site.getsitepackages(), site.getusersitepackages()]
    foreign = [".", *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    kept = [
        entry
        for entry in path
        if entry and (any(_same(entry, ours) for ours in installed) or not any(_same(entry, bad) for bad in foreign))
    ]
    return kept if any(_same(entry, root) for entry in kept) else [root, *kept]


def _same(path: str, other: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


if __name__ == "__main__":
    sys.exit(main())
