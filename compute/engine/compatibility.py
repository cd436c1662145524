"""What CrypTen 0.4.1 needs before it can be imported beside torch 2.13. Import this module first; it replaces nothing.

CrypTen's ONNX importer is loaded with the package, though nothing here imports ONNX graphs, and looks for a module of
torch under the name that it had once.
"""

import importlib
import importlib.util
import sys

_FORMER, _PRESENT = "torch.onnx._internal.registration", "torch.onnx._internal.torchscript_exporter.registration"

if importlib.util.find_spec(_FORMER) is None:
    sys.modules[_FORMER] = importlib.import_module(_PRESENT)
