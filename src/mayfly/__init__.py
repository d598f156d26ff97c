"""Mayfly: images that live seven days, and provably no longer."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mayfly.client import Client

__all__ = ["Client", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # On demand: whoever imports mayfly, the command line for one, does not wait for an HTTP library it may not need.
    if name == "Client":
        return importlib.import_module("mayfly.client").Client
    raise AttributeError(f"module 'mayfly' has no attribute {name!r}")
