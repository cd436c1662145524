"""What a model is for and what it is not for, under the headings of the HTI-1 rule's source attributes for predictive
decision support (45 CFR 170.315(b)(11)(iv)(B)): from what institutions have signed, and otherwise said to be missing.
"""

from concordat.bedside.config import Config
from concordat.bedside.documents import Documents

NOT_STATED = "Not stated."
Attribute = tuple[str, str]

_PERSONAL = ("birthDate", "gender")


def attributes(documents: Documents, config: Config) -> list[tuple[str, list[Attribute]]]:
    """Headings, and under each of them what is stated of its attributes."""
    definition, protocol, manifest = documents.definition, documents.protocol, documents.manifest
    personal = [each.label for each in documents.schema.features if each.patient in _PERSONAL]
    audits = [
        f"{each['kind']} ({each['method']}), at least every {each['every_days']} days" for each in definition["audits"]
    ]
    fairness = [each for each in audits if each.startswith("fairness")]
    urgent = "" if definition["emergent"] else "Not for urgent decisions: the definition does not allow them. "
    return [
        (
            "Details and output",
            [
                ("Developer", f"{manifest['owner']}; model {manifest['model']}, version {manifest['version']}"),
                ("Contact", protocol["contact"]),
                ("Funding", NOT_STATED),
                ("Output", f"A prediction: {protocol['computed']}"),
            ],
        ),
        (
            "Purpose",
            [
                ("Intended use", f"{protocol['title']}; purposes: {', '.join(definition['purposes'])}"),
                ("Intended patients", ", ".join(protocol["population"])),
                ("Intended users", f"As this hospital shows it: {config['viewer']}"),
                ("Role in decisions", "Decision support: every request names the clinician who decides."),
            ],
        ),
        (
            "Cautions",
            [
                ("Out of scope", f"{urgent}Values outside the schema's ranges are refused. Otherwise not stated."),
                ("Known risks", f"{protocol['risks']['misuse']} {protocol['risks']['reidentification']}"),
            ],
        ),
        (
            "Development",
            [
                ("Who was included and excluded", NOT_STATED),
                ("Variables about the person", ", ".join(personal) or "None by the schema."),
                ("All variables", ", ".join(each.label for each in documents.schema.features)),
                ("Representativeness of the training data", NOT_STATED),
                ("Relevance of the training data to this hospital", NOT_STATED),
            ],
        ),
        ("Fairness", [("How it was ensured", NOT_STATED), ("Audits agreed on", "; ".join(fairness) or NOT_STATED)]),
        (
            "Validation and performance",
            [
                ("External validation", NOT_STATED),
                ("Validity in test data", NOT_STATED),
                ("Fairness in test data", NOT_STATED),
                ("Outcomes of use", NOT_STATED),
            ],
        ),
        (
            "Maintenance",
            [
                ("Monitoring", "; ".join(audits) or NOT_STATED),
                ("Review", f"By the boards, at least every {protocol['review_months']} months"),
                ("Valid until", definition["valid_until"]),
                ("Updates", NOT_STATED),
            ],
        ),
    ]
