"""Whoever installs the client alone has everything that any of its modules imports, also where it does so late."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def imported(module: Path) -> Iterator[str]:
    """The first part of every name that a module imports, wherever it stands in it."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name.split(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_the_client_s_package_asks_for_whatever_its_modules_import() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = chain(project["dependencies"], *project["optional-dependencies"].values())
    asked = {canonicalize_name(Requirement(text).name) for text in texts}
    distributions = packages_distributions()
    missing = {
        f"{module.relative_to(ROOT)}: {name}"
        for module in (ROOT / "concordat").rglob("*.py")
        for name in imported(module)
        if name not in sys.stdlib_module_names
        and name != "concordat"
        and not asked & {canonicalize_name(each) for each in distributions.get(name, [])}
    }
    assert missing == set()
