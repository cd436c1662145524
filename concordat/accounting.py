"""The account of what was disclosed of a person, as 45 CFR 164.528 asks for it: a document, and how it reads on paper.

It covers what the coordinating service handed out for one institution. The sentences say what it leaves out and why, so
that neither the person nor the institution takes it for more.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from html import escape
from typing import Literal

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.fields import STRICT, MaybeSlug, Slug, Text, Time, Uuid, plain
from concordat.verifier import paper

YEARS = 6
DAYS, LONGER = timedelta(days=60), timedelta(days=30)
"""Within which an institution answers, and by how much it may do so later, once (164.528(c)(1))."""

FIELDS: Mapping[str, str] = {
    "subject": "the person's pseudonym",
    "request_statement": "the signed request: what was asked for, when, for which purpose, on which legal ground",
    "consent": "the signed statement of the person's consent",
    "statement": "the signed statements of consent and of its end",
    "display": "what was shown: in which form and language, to which role, when, accepted or overridden",
    "package": "the sealed records package: the request and, once it was opened, the result, with the person's record",
}
"""In words, what an entry of the log keeps private, and what else may leave."""

UNKNOWN = "what was opened was not recorded then; at most all that the log keeps about the decision"


@with_config(STRICT)
class Recipient(TypedDict):
    """Who received something. `institution` is its short name, `jurisdiction` the country whose law it is under; both
    are empty where they are not known."""

    name: Text
    institution: MaybeSlug
    jurisdiction: str


@with_config(STRICT)
class Disclosure(TypedDict):
    """What one recipient was given of one decision for one purpose, once or several times (164.528(b)(2) and (3)).
    `opened` are names of private fields, and `entries` the record numbers under which the log says so."""

    recipient: Recipient
    decision: str
    opened: list[str]
    what: Text
    purpose: Text
    first: Time
    last: Time
    times: int
    entries: list[str]


@with_config(STRICT)
class LeftOut(TypedDict):
    """How often something happened that is no disclosure of which this document has to account."""

    why: Text
    times: int


@with_config(STRICT)
class Erased(TypedDict):
    """When the person's key was destroyed, and on which ground."""

    time: Time
    ground: str


@with_config(STRICT)
class Accounting(TypedDict):
    """`asked` is the day on which the person asked, and `earlier` when accounts were handed out in the year before."""

    v: Literal[1]
    institution: Slug
    name: Text
    subject: Uuid
    asked: str
    made: Time
    since: Time
    until: Time
    due: str
    extended: str
    earlier: list[Time]
    erased: Erased | None
    disclosures: list[Disclosure]
    left_out: list[LeftOut]
    statements: list[Text]


def years_before(day: datetime) -> datetime:
    """The same day six years before; the 28th for a 29th of February that is not there."""
    try:
        return day.replace(year=day.year - YEARS)
    except ValueError:
        return day.replace(year=day.year - YEARS, day=28)


def described(fields: Iterable[str]) -> str:
    """What was disclosed, in words."""
    return "; ".join(FIELDS.get(field, field) for field in fields)


def statements(name: str, *, asked: date, erased: Erased | None) -> list[str]:
    """What has to be said beside the list."""
    key = (
        [
            f"The key under which this service kept what is private of the person was destroyed on {erased['time']} "
            f"(ground: {erased['ground']}). Since then nothing here leads back to the person, and nothing is listed."
        ]
        if erased
        else []
    )
    return [
        *key,
        f"This covers what the service handed out for {name}. What {name} disclosed in other ways it adds itself.",
        "By 45 CFR 164.528(a)(1) it leaves out what was given to the person, and what served treatment, payment or "
        "health care operations. Disclosures under an authorisation need not be listed either; the log does not say "
        "which those were, so none is left out for that.",
        "Where a health oversight agency or a law enforcement official has had the account suspended (45 CFR "
        "164.528(a)(2)), disclosures to it are left out until the suspension ends.",
        "A computation sends secret shares to the nodes of several institutions. A share by itself says nothing about "
        "the record: it is no disclosure of readable data, and none is listed. The signed request that goes with it "
        "names the study, the purpose and the legal ground, and the person by a pseudonym only.",
        "A sealed package can be read by whoever holds the institution's records key, or enough officers' shares. When "
        "they open one, no log hears of it.",
        "Several disclosures to one recipient for one purpose stand together, with the first, the last and their "
        "number (45 CFR 164.528(b)(3)).",
        f"{name} answers within 60 days of being asked, by {(asked + DAYS).isoformat()}. It may take 30 days more, "
        f"until {(asked + DAYS + LONGER).isoformat()}, once, if it tells the person in writing why, and by when (45 "
        "CFR 164.528(c)(1)).",
        "The first account in any twelve months is free of charge. For a further one a reasonable fee that covers its "
        "cost may be asked, if the person was told before and could withdraw or change the request (45 CFR "
        "164.528(c)(2)).",
        f"That this account was handed out, and its digest, stand in the log. {name} keeps a copy of it for six years "
        "(45 CFR 164.528(d), 164.530(j)).",
    ]


def title(of: Accounting) -> str:
    return f"Account of disclosures by {of['name']}"


def pdf(of: Accounting) -> bytes:
    """The document on paper; equal documents give equal bytes."""
    foot = canonical.digest(canonical.encode(plain(of)))
    return paper.document(title(of), body(of), subject="45 CFR 164.528", author=of["name"], foot=foot)


def body(of: Accounting) -> str:
    """The document as a page without its title, in the tags that `paper` sets."""
    return "\n".join(
        [
            f"<p>Of the person whom {_t(of['name'])} knows as <code>{_t(of['subject'])}</code>.</p>",
            f"<p>Asked for on {_t(of['asked'])}, made at {_t(of['made'])}. It covers {_t(of['since'])} to "
            f"{_t(of['until'])}. All times are UTC.</p>",
            f"<p>{_t(_earlier(of['earlier']))}</p>",
            "<h2>What was disclosed</h2>",
            *([_disclosed(each) for each in of["disclosures"]] or ["<p>Nothing that has to be listed.</p>"]),
            *_left_out(of["left_out"]),
            "<h2>What this account says, and what it does not</h2>",
            *(f"<p>{_t(each)}</p>" for each in of["statements"]),
        ]
    )


def _disclosed(each: Disclosure) -> str:
    recipient = each["recipient"]
    law = f", under the law of {recipient['jurisdiction']}" if recipient["jurisdiction"] else ""
    times = f"{each['first']}" if each["times"] == 1 else f"{each['times']} times, {each['first']} to {each['last']}"
    rows = {
        "When": times,
        "What": f"{each['what']}; of decision {each['decision']}" if each["decision"] else each["what"],
        "Why": each["purpose"],
        "In the log": ", ".join(each["entries"]),
    }
    cells = "".join(f'<tr><th scope="row">{_t(name)}</th><td>{_t(text)}</td></tr>' for name, text in rows.items())
    head = "<thead><tr><th></th><th></th></tr></thead>"
    return f"<h3>To {_t(recipient['name'])}{_t(law)}</h3><table>{head}<tbody>{cells}</tbody></table>"


def _left_out(found: Iterable[LeftOut]) -> Iterable[str]:
    lines = [f"<li>{_t(each['why'])}: {each['times']}</li>" for each in found]
    return ["<h2>What is not listed</h2>", f"<ul>{''.join(lines)}</ul>"] if lines else []


def _earlier(times: Iterable[str]) -> str:
    found = ", ".join(times)
    if not found:
        return "No other account was handed out in the twelve months before: this one is free of charge."
    return f"Other accounts were handed out in the twelve months before: {found}."


def _t(text: str) -> str:
    return escape(text)
