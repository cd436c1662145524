"""Importing accounts leaves the process as hard to crash as it was."""

import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
{imports}
try:
    json.loads("[" * 200_000)
except RecursionError:
    print("refused", sys.getrecursionlimit())
"""


@pytest.mark.parametrize(
    "imports",
    [
        "from concordat.accounts import Account",
        "from concordat.accounts import Account; import eth_account",
        "import eth_account; from concordat.accounts import Account",
        "import concordat.keystore, concordat.votes, concordat.enrolment",
    ],
)
def test_deeply_nested_json_is_an_error_and_no_crash(imports):
    # In a process of its own: this is about an import, and its failure is a crash.
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(imports=imports)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "refused 1000\n")
