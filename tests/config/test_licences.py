"""No package is shipped whose licence the project must not carry."""

import pytest

from config import licences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MIT License", False),
        ("Apache-2.0", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("LGPL-3.0-only", False),
        ("GNU General Public License v3 (GPLv3)", True),
        ("GPL-3.0-or-later", True),
        ("AGPL-3.0-only", True),
        ("GNU Affero General Public License v3", True),
        ("MIT OR GPL-2.0", False),
        ("GPL-2.0 AND MIT", True),
    ],
)
def test_gpl_and_agpl_are_recognised(text: str, expected: bool) -> None:
    assert licences.forbidden(text) is expected


def test_the_notice_names_every_package_that_runs_and_none_that_only_tests() -> None:
    shipped = set(licences.closure(licences.runtime_requirements()))
    assert {"django", "crypten", "torch", "web3", "py-evm", "cryptography"} <= shipped
    assert not {"pytest", "playwright", "mypy"} & shipped
    assert not any(
        licences.forbidden(licences.licence(each))
        for each in licences.closure(licences.runtime_requirements()).values()
    )
