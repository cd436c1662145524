"""The one card that a hook is answered with (CDS Hooks 2.0), or none.

There is no card for a probability below the hospital's threshold, and none for a patient about whom nothing was asked.
Whatever else keeps a result from being shown has a card of its own that says so: no answer of ours but a probability
says anything about a risk, and the absence of a card least of all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from concordat import clock
from concordat.bedside.authority import LATE
from concordat.bedside.config import Config, ehr_minutes
from concordat.bedside.item import Item
from concordat.bedside.percent import exact, percent
from concordat.bedside.standing import Standing
from concordat.display import ENDINGS, OVERRIDES, RETRACTIONS
from concordat.reasons import REASONS, Reason
from concordat.schema import Feature

TEMPLATE = "cds-card-v2"
REASON_SYSTEM = "urn:concordat:override-reason"
LONGEST_SUMMARY = 139
STRONGEST = 3

Indicator = Literal["info", "warning"]

NOT_A_RISK = "This says nothing about the patient's risk: it is neither low nor high, but unknown here."
STATED = " as whoever asked stated for all values at once; the record itself has no times"
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


def card(
    item: Item,
    standing: Standing,
    config: Config,
    *,
    doubt: str = "",
    advice: str = "",
    outlived: Sequence[Feature] = (),
) -> Card:
    """The card for an item as it stands, whether or not it is to be shown. A `doubt` about whether a result may still
    be used stands on it, and of no result the `advice` of the owner who recalled the model; `outlived` as for
    `words`."""
    if standing == "ready":
        return _result(item, config, doubt)
    called, means = words(item, standing, config, outlived=outlived)
    indicator: Indicator = "info" if standing == "pending" else "warning"
    said = f" The model's owner says: “{plain(advice)}”" if advice else ""
    return Card(summary(f"{config['title']}: {called}"), f"{plain(means)}{said} {NOT_A_RISK}", indicator)


def doubt(looked: datetime | None, now: datetime) -> str:
    """What is said of a result when nobody has found out for some time whether what it rests on still stands; else
    empty. The same words until somebody has looked again: what is shown again is the same text."""
    if looked is not None and now - looked <= LATE:
        return ""
    since = "yet" if looked is None else f"since {moment(looked)}"
    return f"Nobody has found out {since} whether consent, study and approval still stand: one of them may have ended."


def unseen(item: Item, config: Config, now: datetime) -> str:
    """What is said of a result when the FHIR server that its record came from should have been asked a second time what
    became of that, and has not told since the first; else empty. The same words until it tells."""
    if not item.server or now - item.told <= 2 * timedelta(minutes=ehr_minutes(config)):
        return ""
    return (
        f"The health record's server has not said since {moment(item.told)} what became of this record: the patient "
        "may have been merged into another, or a value entered in error."
    )


def _result(item: Item, config: Config, doubt: str) -> Card:
    assert item.result is not None
    told = item.result["explanation"]
    predicted = percent(told["probability"], config["threshold"])
    reliable = "explanation reliable" if told["reliable"] else "explanation UNRELIABLE"
    factors = [f"- {plain(factor['sentence'])}" for factor in told["factors"][:STRONGEST]]
    lines = [
        *([f"**NOT CHECKED.** {doubt}", ""] if doubt else []),
        f"**Predicted probability: {predicted}** (threshold for this card: {exact(config['threshold'])}). "
        f"{NO_INTERVAL}",
        "",
        *(["Strongest factors:", "", *factors] if told["reliable"] else [f"**EXPLANATION UNRELIABLE.** {UNRELIABLE}"]),
        "",
        f"Fit of the explanation: adjusted R² {Decimal(told['adjusted_r_squared']):.2f} "
        f"({'reliable' if told['reliable'] else 'unreliable'}). {_missing(told)}Inputs: oldest from "
        f"{moment(item.oldest)}{STATED if item.stated else ''}. Record {item.result['record']}.",
        "",
        "It describes the model, not the cause of a disease. Decision support: you decide.",
    ]
    return Card(summary(f"{config['title']}: {predicted} predicted; {reliable}"), "\n".join(lines), "warning")


def _missing(told: Mapping[str, Any]) -> str:
    imputed = [plain(factor["label"]) for factor in told["factors"] if factor["imputed"]]
    return f"Not measured, reference value used: {', '.join(imputed)}. " if imputed else ""


def words(item: Item, standing: Standing, config: Config, *, outlived: Sequence[Feature] = ()) -> tuple[str, str]:
    """Of anything but a ready result: what it is called, and what that means. Of a stale one, `outlived` are the
    features whose values are older than the schema allows."""
    if standing == "retracted" and item.retraction in ENDINGS:
        return (
            "no longer to be used",
            f"{ENDINGS[item.retraction]}. The result was taken back ({moment(clock.parse(item.retracted))}) and is not "
            "shown any more.",
        )
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
            " ".join(_outlived(item, each) for each in outlived)
            or f"The oldest input of the last result is from {moment(item.oldest)}, and results whose inputs are "
            f"older than {hours} hours are not shown as current.",
        ),
    }[standing]


def _outlived(item: Item, feature: Feature) -> str:
    """Why a value is too old; never the value."""
    assert feature.oldest is not None
    taken = item.taken.get(feature.name)
    when = f"is from {moment(clock.parse(taken))}" if taken else "does not say when it was taken"
    return (
        f"An input of the last result {when}, and the model reads it for {_long(feature.oldest)} after it was taken at "
        f"most: {feature.label}."
    )


def _long(span: timedelta) -> str:
    """A span of days and hours in words."""
    parts = ((span.days, "day"), (span.seconds // 3600, "hour"))
    return " ".join(f"{number} {name}{'s' if number != 1 else ''}" for number, name in parts if number) or "0 hours"


def unavailable(title: str) -> Card:
    """What is said when nothing can be looked up at all."""
    detail = f"The bedside process failed to look the patient up; its log says why. {NOT_A_RISK}"
    return Card(summary(f"{title}: NOT AVAILABLE, the service failed"), detail, "warning")


def summary(text: str) -> str:
    """Less than 140 characters, as the specification asks."""
    return text if len(text) <= LONGEST_SUMMARY else text[: LONGEST_SUMMARY - 1] + "…"


def moment(time: datetime) -> str:
    """A time for people."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def plain(text: str) -> str:
    """Text that Markdown does not take for anything else."""
    return "".join(f"\\{each}" if each in "\\`*_[]<>#|~" else each for each in text)
