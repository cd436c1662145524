"""What is slow the first time and has nothing to do with a job: a spare engine does it while it waits for one.

It saves each job milliseconds (docs/reference/benchmarks.md). Nothing is kept but compiled schemas and loaded code.
"""

from contextlib import suppress

from compute.engine.certificates import Identity
from compute.engine.job import read_job
from concordat.design import read_design
from concordat.reasons import Refused


def warm_up() -> None:
    """Make a key and throw it away; read empty documents, which compiles the schemas that refuse them."""
    Identity.create()
    for role in ("party", "dealer"):
        with suppress(Refused):
            read_job({}, role=role, rank=0)
    with suppress(Refused):
        read_design({})
