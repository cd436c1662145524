"""What the demonstration measured, as `report.json`, and the values that nobody but their owners may ever hold."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from concordat import signatures
from concordat.client.governance import CheckedDefinition
from concordat.client.work import Work
from concordat.explanation import Explanation
from concordat.schema import FeatureSchema
from config.demo.reference import Reference


@dataclass
class Report:
    """The figures, in the order in which the stages give them."""

    parties: list[str] = field(default_factory=list)
    dealer: str = ""
    model: dict[str, Any] = field(default_factory=dict)
    n_perturbations: int = 0
    prediction: dict[str, float] = field(default_factory=dict)
    explanation: list[dict[str, Any]] = field(default_factory=list)
    max_abs_error: float = 0.0
    surrogate_r2: float = 0.0
    surrogate_r2_plaintext: float = 0.0
    surrogate_r2_error: float = 0.0
    rounds: int = 0
    bytes_total: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    record: str = ""
    ledger: dict[str, Any] = field(default_factory=dict)
    dossier: dict[str, Any] = field(default_factory=dict)
    tamper: dict[str, Any] = field(default_factory=dict)
    refusals: list[dict[str, str]] = field(default_factory=list)

    def compare(
        self, secure: Explanation, plain: Reference, definition: CheckedDefinition, result: Mapping[str, Any]
    ) -> None:
        """Holds the secure result against the plaintext one; errors in probability and on the target's scale."""
        by_group = {factor.group: factor for factor in secure.factors}
        self.parties, self.dealer = list(definition.content["parties"]), definition.content["dealer"]
        self.model = {"kind": definition.manifest["kind"], "parameters": definition.manifest["parameters"]}
        self.n_perturbations = definition.design.n
        self.prediction = {"secure": secure.probability, "plaintext": plain.probability}
        self.explanation = [
            {
                "feature": group,
                "coefficient": by_group[group].coefficient,
                "plaintext_coefficient": float(reference),
                "imputed": by_group[group].imputed,
            }
            for group, reference in zip(definition.design.groups, plain.coefficients, strict=True)
        ]
        errors = [abs(row["coefficient"] - row["plaintext_coefficient"]) for row in self.explanation]
        self.max_abs_error = max(
            *errors, abs(secure.probability - plain.probability), abs(secure.intercept - plain.intercept)
        )
        self.surrogate_r2, self.surrogate_r2_plaintext = secure.r_squared, plain.r_squared
        self.surrogate_r2_error = abs(secure.r_squared - plain.r_squared)
        receipts = [signatures.peek(each["receipt"])[1] for each in result["results"]]
        self.rounds = max(receipt["rounds"] for receipt in receipts if receipt["role"] == "party")
        self.bytes_total = sum(receipt["bytes_sent"] for receipt in receipts)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


@dataclass
class Secrets:
    """Vectors that nobody but their owners may ever hold, for the search that must not find them anywhere."""

    weights: list[list[float]] = field(default_factory=list)
    record: list[float] = field(default_factory=list)
    result: list[float] = field(default_factory=list)

    def add_weights(self, tensors: Mapping[str, NDArray[np.float64]]) -> None:
        self.weights += [[float(value) for value in np.ravel(tensor)] for tensor in tensors.values()]

    def add_record(self, schema: FeatureSchema, work: Work) -> None:
        self.record = [float(value) for value in schema.encode_row(work.content["values"]).vector]

    def add_result(self, explanation: Explanation) -> None:
        log_odds = [] if explanation.log_odds is None else [explanation.log_odds]
        self.result = [*log_odds, explanation.probability, explanation.intercept]
        self.result += [factor.coefficient for factor in explanation.factors]
        self.result += [end for factor in explanation.factors for end in (factor.low, factor.high) if end is not None]
