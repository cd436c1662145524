"""Models as other libraries have them, turned into a kind and its tensors. Nothing is unpickled or called by name.

scikit-learn estimators are taken as live objects, XGBoost models as the JSON and LightGBM models as the text that they
save, and any model as an archive of its tensors. All of them have to classify two classes, and answer in log-odds;
random forests of scikit-learn answer with a probability, and its networks may tell several classes apart.
"""

import json

import numpy as np

from concordat import model_file
from concordat.importers.boosters import from_lightgbm, from_xgboost
from concordat.importers.ensembles import DEEPEST, Imported, Split, ensemble, unknown
from concordat.importers.estimators import from_sklearn
from concordat.kinds import KINDS
from concordat.kinds.kind import Tensors
from concordat.model import shapes_of
from concordat.reasons import Reason, Refused

__all__ = [
    "DEEPEST",
    "Imported",
    "Split",
    "ensemble",
    "from_file",
    "from_lightgbm",
    "from_sklearn",
    "from_tensors",
    "from_xgboost",
]


def from_file(data: bytes, columns: int) -> Imported:
    """What a file holds, whatever it is called: XGBoost's JSON, LightGBM's text, or an archive (`.npz`) of tensors
    named as in their kind, such as ``numpy.savez("model.npz", **from_sklearn(estimator).tensors)`` writes.

    Raises:
        Refused: FILE_UNREADABLE for anything else, and what :func:`from_xgboost`, :func:`from_lightgbm` and
            :func:`from_tensors` refuse.
    """
    if model_file.is_archive(data):
        return from_tensors(model_file.arrays(data), columns)
    try:
        text = data.decode()
        if text.startswith("tree\n"):
            return from_lightgbm(text, columns)
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        detail = "This is neither XGBoost's JSON, nor LightGBM's text, nor an .npz archive of tensors."
        raise Refused(Reason.FILE_UNREADABLE, detail=detail, field="model")
    return from_xgboost(document, columns)


def from_tensors(tensors: Tensors, columns: int) -> Imported:
    """Tensors of whichever kind has just these names and shapes; classes have no names in them.

    Raises:
        Refused: FIELD_INVALID if there is no such kind for so many columns.
    """
    given = {name: np.shape(tensor) for name, tensor in tensors.items()}
    fitting = [kind for kind in KINDS if dict(shapes_of(kind, given, columns)) == given]
    if len(fitting) != 1:
        there = ", ".join(f"{name} {shape}" for name, shape in given.items())
        raise unknown(f"For {columns} columns no kind of model ({', '.join(KINDS)}) has the tensors: {there}.")
    return Imported(fitting[0], dict(tensors))
