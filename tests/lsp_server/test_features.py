"""The list of features: nothing that can be added to a server is left out of it."""

from __future__ import annotations

import importlib
import pkgutil

import lsp_server
from lsp_server import life_cycle
from lsp_server.features import FEATURES


def test_every_module_with_a_feature_is_in_the_list() -> None:
    names = [f"lsp_server.{each.name}" for each in pkgutil.iter_modules(lsp_server.__path__)]
    modules = [importlib.import_module(name) for name in names]
    found = {module.register for module in modules if hasattr(module, "register")} - {life_cycle.register}
    assert found == set(FEATURES)
    assert len(FEATURES) == len(set(FEATURES))
