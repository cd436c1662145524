"""The model owner's cards, signed here and kept here, and what others' cards state.

described/<digest>/<number>   a card (JWS) of a model that we own
"""

from collections.abc import Mapping
from pathlib import Path

from concordat import clock
from concordat import model_card as statements
from concordat.canonical import digest_bytes
from concordat.client.api import Api
from concordat.client.home import ClientHome
from concordat.client.listed import CardAnswer
from concordat.client.recalls import fetch_own
from concordat.fields import plain
from concordat.files import write_private
from concordat.model_card import ModelCard
from concordat.reasons import Reason, Refused


def fetch(home: ClientHome, api: Api, model: str, *, owner: str) -> ModelCard | None:
    """The card of a model that is in force, verified against its owner's pinned keys; None if the coordinator knows of
    none.

    Raises:
        Refused: what `model_card.check_card` refuses.
    """
    return _check(home, api.card(model), model, owner)


def _check(home: ClientHome, answer: CardAnswer, model: str, owner: str) -> ModelCard | None:
    token = answer["statement"]
    return statements.check_card(token, home.pins.lasting_keyring, model=model, owner=owner) if token else None


def check_newer(card: ModelCard | None, known: ModelCard | None) -> None:
    """Raises Refused(CONFLICT) for an older card than the one that was known before, or for another of its number."""
    if known is None or card == known or (card is not None and card["sequence"] > known["sequence"]):
        return
    handed = f"card {card['sequence']}" if card else "none"
    detail = f"The coordinator hands out {handed}, and handed out card {known['sequence']} before."
    raise Refused(Reason.CONFLICT, detail=detail, field="card.sequence")


def describe(home: ClientHome, api: Api, model: str, attributes: Mapping[str, object]) -> ModelCard:
    """State this of a model of ours, in place of what its card stated before. The card is on disk before it is sent;
    given twice, one card is made of it.

    Args:
        attributes: paragraphs by the names of `model_card.ATTRIBUTES`; nothing about a person.

    Raises:
        Refused: WRONG_INSTITUTION for another's model; FIELD_INVALID or FIELD_UNKNOWN, naming the field; and what
            `fetch_own`, :func:`fetch` and the coordinator refuse.
    """
    said = statements.read_attributes(attributes)
    fetch_own(home, api, model)
    answer, kept = api.card(model), last(home, model)
    newest, there = _check(home, answer, model, home.institution), answer["last"]
    if newest is not None and newest["attributes"] == said:
        return newest
    number = here = kept["sequence"] if kept else 0
    if kept is None or here <= there or kept["attributes"] != said:  # or it was signed here, and did not arrive
        number = max(here, there) + 1
        _sign(home, model, number, said)
    token = (own(home.directory, model) / str(number)).read_text()
    api.describe_model(model, token)
    return statements.peek_card(token)


def _sign(home: ClientHome, model: str, number: int, said: statements.Attributes) -> None:
    token = statements.describe(
        model=model,
        institution=home.institution,
        sequence=number,
        attributes=plain(said),
        time=clock.now(),
        key=home.keys.identity,
    )
    file = own(home.directory, model) / str(number)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file, token.encode(), replace=False)


def last(home: ClientHome, model: str) -> ModelCard | None:
    """The card of the highest number that was signed here, handed in or not."""
    folder = own(home.directory, model)
    numbers = [int(each.name) for each in folder.iterdir() if each.name.isdecimal()] if folder.is_dir() else []
    return statements.peek_card((folder / str(max(numbers))).read_text()) if numbers else None


def own(directory: Path, model: str) -> Path:
    """The folder with the institution's own cards of the model of this digest."""
    return directory / "described" / digest_bytes(model).hex()
