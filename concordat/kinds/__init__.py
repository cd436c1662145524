"""The kinds of models, a module each. A new kind is a new module here, and nothing else."""

import pkgutil
from importlib import import_module

from concordat.kinds.kind import Kind

KINDS: dict[str, Kind] = {
    module.name.replace("_", "-"): import_module(f"{__name__}.{module.name}").KIND
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name)
    if module.name != "kind"
}
"""By name."""
