"""What a model is for and what it is not for, under the headings of the HTI-1 rule's source attributes for predictive
decision support (45 CFR 170.315(b)(11)(iv)(B)): first from what institutions have agreed on and signed, then from the
owner's model card, and otherwise said to be missing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from concordat import clock
from concordat.bedside.cards import moment
from concordat.bedside.config import Config
from concordat.bedside.documents import Documents
from concordat.model_card import ATTRIBUTES, stated

NOT_STATED = "Not stated."
OTHERWISE = "Otherwise not stated."
NOT_KNOWN = "Not known: the owner's model card could not be verified."
_PERSONAL = ("birthDate", "gender")


@dataclass(frozen=True)
class Attribute:
    """`agreed` is in documents that institutions agreed on, `owner` in paragraphs of the owner's card, and `missing` is
    what is said where one of them should say something and does not."""

    name: str
    agreed: str
    owner: tuple[str, ...]
    missing: str


def attributes(documents: Documents, config: Config) -> list[tuple[str, list[Attribute]]]:
    """The rule's nine headings, and under each of them what is stated of its attributes."""
    definition, protocol, manifest = documents.definition, documents.protocol, documents.manifest
    card = {each.title: said for each, said in stated(documents.card["attributes"]).items()} if documents.card else {}
    unknown = documents.card is None and bool(documents.card_doubt)

    def agreed(name: str, text: str) -> Attribute:
        return Attribute(name, text, (), "" if text else NOT_STATED)

    def owner(name: str, text: str = "") -> Attribute:
        """As a card can state it, with what is agreed on besides."""
        title = ATTRIBUTES[name].title
        said = tuple(card.get(title, ()))
        if said:
            return Attribute(title, text, said, "")
        return Attribute(title, text, (), NOT_KNOWN if unknown else OTHERWISE if text else NOT_STATED)

    personal = [each.label for each in documents.schema.features if each.patient in _PERSONAL]
    urgent = "" if definition["emergent"] else "Not for urgent decisions: the definition does not allow them. "
    audits = {kind: _audits(documents, [kind]) for kind in ("calibration", "fairness")}
    return [
        (
            "Details and output",
            [
                agreed("Developer", f"{documents.owner}; model {manifest['model']}, version {manifest['version']}"),
                agreed("Contact", protocol["contact"]),
                owner("funding"),
                agreed("Output", f"A prediction: {protocol['computed']}"),
            ],
        ),
        (
            "Purpose",
            [
                agreed("Intended use", f"{protocol['title']}; purposes: {', '.join(definition['purposes'])}"),
                agreed("Intended patients", ", ".join(protocol["population"])),
                owner("intended_users", f"As this hospital shows it: {config['viewer']}"),
                agreed("Role in decisions", "Decision support: every request names the clinician who decides."),
            ],
        ),
        (
            "Cautions",
            [
                owner("out_of_scope", f"{urgent}Values outside the schema's ranges are refused."),
                owner("known_risks", f"{protocol['risks']['misuse']} {protocol['risks']['reidentification']}"),
            ],
        ),
        (
            "Development",
            [
                owner("training_criteria"),
                agreed("Variables about the person", ", ".join(personal) or "None by the schema."),
                agreed("All variables", ", ".join(each.label for each in documents.schema.features)),
                owner("training_representativeness"),
                owner("training_relevance"),
            ],
        ),
        ("Fairness", [owner("fairness_approach"), owner("bias_handling")]),
        (
            "External validation",
            [
                owner("external_data"),
                owner("external_party"),
                owner("external_representativeness"),
                owner("external_process"),
            ],
        ),
        (
            "Performance",
            [
                owner("validity_test"),
                owner("fairness_test"),
                owner("validity_external"),
                owner("fairness_external"),
                owner("outcomes"),
            ],
        ),
        (
            "Maintenance",
            [
                owner("validity_monitoring", audits["calibration"]),
                owner("validity_local"),
                owner("fairness_monitoring", audits["fairness"]),
                owner("fairness_local"),
                agreed("All audits agreed on", _audits(documents)),
            ],
        ),
        (
            "Updates and review",
            [
                owner("updates"),
                owner("corrections"),
                agreed("Review", f"By the boards, at least every {protocol['review_months']} months"),
                agreed("Valid until", moment(clock.parse(definition["valid_until"]))),
            ],
        ),
    ]


def card_words(documents: Documents) -> str:
    """Whose card it is and of when, or that there is none."""
    owner, card = f"{documents.owner}, the model's owner,", documents.card
    if card is None:
        return "" if documents.card_doubt else f"{owner} signed no model card."
    return f"{owner} signed its model card {card['sequence']} on {card['time'][:10]}."


def _audits(documents: Documents, kinds: Iterable[str] | None = None) -> str:
    """What the definition says of audits, or of those of some kinds."""
    return "; ".join(
        f"{each['kind']} ({each['method']}), at least every {each['every_days']} days"
        for each in documents.definition["audits"]
        if kinds is None or each["kind"] in kinds
    )
