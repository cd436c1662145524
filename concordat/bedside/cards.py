"""The one card that a hook is answered with (CDS Hooks 2.0), or none.

There is no card for a probability below the hospital's threshold, and none for a patient about whom nothing was asked.
Whatever else keeps a result from being shown has a card of its own that says so: no answer of ours but a probability
says anything about a risk, and the absence of a card least of all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from concordat import clock
from concordat.bedside.config import Config
from concordat.bedside.items import Item, Standing
from concordat.display import OVERRIDES, RETRACTIONS
from concordat.reasons import REASONS, Reason

TEMPLATE = "cds-card-v1"
REASON_SYSTEM = "urn:concordat:override-reason"
LONGEST_SUMMARY = 139
STRONGEST = 3

Indicator = Literal["info", "warning"]

NOT_A_RISK = "This says nothing about the patient's risk: it is neither low nor high, but unknown here."
NO_INTERVAL = "The model states no interval for the probability itself."
UNRELIABLE = "The factors describe this prediction poorly and are not shown on this card."


@dataclass(frozen=True)
class Card:
    """What is said, in Markdown; `text` is what a display receipt commits to."""

    summary: str
    detail: str
    indicator: Indicator

    @property
    def text(self) -> str:
        return f"{self.summary}\n\n{self.detail}\n"

    def to_json(self, *, source: str, uuid: str = "", link: str = "", suggestion: str = "") -> dict[str, Any]:
        """As CDS Hooks has it. A `suggestion` (its UUID) lets the EHR say that the card was accepted; then it can be
        overridden for a reason, too."""
        card: dict[str, Any] = {
            "summary": self.summary,
            "detail": self.detail,
            "indicator": self.indicator,
            "source": {"label": source},
        }
        if uuid:
            card["uuid"] = uuid
        if link:
            card["links"] = [{"label": "Open the full explanation", "url": link, "type": "absolute"}]
        if suggestion:
            card["suggestions"] = [{"label": "Taken into account", "uuid": suggestion}]
            card["selectionBehavior"] = "any"
            card["overrideReasons"] = [
                {"code": code, "system": REASON_SYSTEM, "display": display} for code, display in OVERRIDES.items()
            ]
        return card


def below(item: Item, config: Config) -> bool:
    """Whether an open result is below the threshold."""
    assert item.result is not None
    return Decimal(item.result["explanation"]["probability"]) < Decimal(config["threshold"])


def card(item: Item, standing: Standing, config: Config) -> Card:
    """The card for an item as it stands, whether or not it is to be shown."""
    return _result(item, config) if standing == "ready" else _status(item, standing, config)


def _result(item: Item, config: Config) -> Card:
    assert item.result is not None
    told = item.result["explanation"]
    reliable = "explanation reliable" if told["reliable"] else "explanation UNRELIABLE"
    factors = [f"- {plain(factor['sentence'])}" for factor in told["factors"][:STRONGEST]]
    lines = [
        f"**Predicted probability: {percent(told['probability'])}** (threshold for this card: "
        f"{percent(config['threshold'])}). {NO_INTERVAL}",
        "",
        *(["Strongest factors:", "", *factors] if told["reliable"] else [f"**EXPLANATION UNRELIABLE.** {UNRELIABLE}"]),
        "",
        f"Fit of the explanation: adjusted R² {Decimal(told['adjusted_r_squared']):.2f} "
        f"({'reliable' if told['reliable'] else 'unreliable'}). {_missing(told)}Inputs: oldest from "
        f"{moment(item.oldest)}. Record {item.result['record']}.",
        "",
        "It describes the model, not the cause of a disease. Decision support: you decide.",
    ]
    return Card(
        summary(f"{config['title']}: {percent(told['probability'])} predicted; {reliable}"), "\n".join(lines), "warning"
    )


def _missing(told: Mapping[str, Any]) -> str:
    imputed = [plain(factor["label"]) for factor in told["factors"] if factor["imputed"]]
    return f"Not measured, reference value used: {', '.join(imputed)}. " if imputed else ""


def words(item: Item, standing: Standing, config: Config) -> tuple[str, str]:
    """Of anything but a ready result: what it is called, and what that means."""
    if standing == "retracted":
        why = RETRACTIONS[item.retraction]
        return (
            "result retracted, do not use it",
            f"{why} ({moment(clock.parse(item.retracted))}). It is not shown any more; ask again.",
        )
    if standing == "failed":
        info = REASONS[Reason(item.reason)]
        return "no result, the computation failed", f"{info.sentence} {info.remedy}"
    hours, minutes = config["stale_after_hours"], config["late_after_minutes"]
    return {
        "pending": ("being computed, no result yet", f"Asked for at {moment(item.asked)}; it takes minutes."),
        "late": (
            "LATE, no result yet",
            f"Asked for at {moment(item.asked)}, more than {minutes} minutes ago. Do not wait for it.",
        ),
        "down": (
            "NOT AVAILABLE, the service is down",
            "The process that computes results is not running, or does not reach the consortium.",
        ),
        "superseded": (
            "of an earlier model, ask again",
            "The last result is of another computation than the one that is in use here now.",
        ),
        "stale": (
            "OUT OF DATE, ask again",
            f"The oldest input of the last result is from {moment(item.oldest)}, and results whose inputs are "
            f"older than {hours} hours are not shown as current.",
        ),
    }[standing]


def unavailable(title: str) -> Card:
    """What is said when nothing can be looked up at all."""
    detail = f"The bedside process failed to look the patient up; its log says why. {NOT_A_RISK}"
    return Card(summary(f"{title}: NOT AVAILABLE, the service failed"), detail, "warning")


def _status(item: Item, standing: Standing, config: Config) -> Card:
    called, means = words(item, standing, config)
    indicator: Indicator = "info" if standing == "pending" else "warning"
    return Card(summary(f"{config['title']}: {called}"), f"{means} {NOT_A_RISK}", indicator)


def summary(text: str) -> str:
    """Less than 140 characters, as the specification asks."""
    return text if len(text) <= LONGEST_SUMMARY else text[: LONGEST_SUMMARY - 1] + "…"


def percent(probability: str) -> str:
    """A decimal as a percentage; what is neither nothing nor everything is never rounded to it."""
    exact = 100 * Decimal(probability)
    if 0 < exact < Decimal("0.1"):
        return "< 0.1 %"
    return "> 99.9 %" if Decimal("99.9") < exact < 100 else f"{exact:.1f} %"


def moment(time: datetime) -> str:
    """A time for people."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def plain(text: str) -> str:
    """Text that Markdown does not take for anything else."""
    return "".join(f"\\{each}" if each in "\\`*_[]<>#|~" else each for each in text)
