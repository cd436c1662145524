"""A plugin for a run that repeats another one: of a test's many cases it takes the first.

Cases differ by what goes in; where it goes, and by which queries, is the same.
"""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seen: set[str] = set()
    chosen, others = [], []
    for item in items:
        name = item.nodeid.split("[")[0]
        (others if name in seen and item.path.name != "postgresql.py" else chosen).append(item)
        seen.add(name)
    items[:] = chosen
    config.hook.pytest_deselected(items=others)
