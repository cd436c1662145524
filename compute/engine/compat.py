"""CrypTen 0.4.1 on torch 2.13, with the one provider of correlated randomness that is safe here.

Import CrypTen's parts from this module, never directly: it needs a module that torch has moved, and its own default
provider ("TFP") lets party 0 see every Beaver triple, hence every secret.
"""

import importlib
import importlib.util
import sys

import torch

if importlib.util.find_spec("torch.onnx._internal.registration") is None:
    # CrypTen's ONNX importer is loaded with the package, though nothing here imports ONNX graphs.
    sys.modules["torch.onnx._internal.registration"] = importlib.import_module(
        "torch.onnx._internal.torchscript_exporter.registration"
    )

import crypten
import crypten.communicator
from crypten.config import cfg
from crypten.mpc import MPCTensor
from crypten.mpc.primitives import ArithmeticSharedTensor, beaver
from crypten.mpc.provider.ttp_provider import TrustedThirdParty, TTPClient, TTPServer

cfg.mpc.provider = "TTP"
cfg.mpc.protocol = "beaver"
cfg.encoder.precision_bits = 16

torch.set_num_threads(1)

__all__ = [
    "ArithmeticSharedTensor",
    "MPCTensor",
    "TTPClient",
    "TTPServer",
    "TrustedThirdParty",
    "beaver",
    "cfg",
    "crypten",
]
