"""Makes every engine process that is started with this folder on its path a cheat, if it is party 1.

`CHEAT_AT` says on which of a job's records it adds 3 to its share of the prediction.
"""

import sys

if "compute.engine" in sys.orig_argv:
    from dataclasses import replace
    from pathlib import Path

    from compute.engine import execution, lime
    from compute.engine.dealing import Rehearsal

    at = int(Path(__file__).with_name("place").read_text())
    honest, runs = lime.explain, []

    def explain(party, *arguments, **options):
        found = honest(party, *arguments, **options)
        if isinstance(party.supply, Rehearsal):
            return (yield from found)
        place = len(runs)
        runs.append(place)
        explained = yield from found
        if (party.rank, place) == (1, at):
            explained = replace(explained, prediction=explained.prediction + (3 << 24))
        return explained

    execution.explain = explain
