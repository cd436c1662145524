"""The dossier as one page for people: a pure function from the verifier's answer to HTML.

Self-contained, no script, readable on paper and by screen readers. Everything in it is escaped: what institutions wrote
in their documents is text here, never markup. `body` is the part that other pages show in their own frame, and that
`concordat.verifier.paper` prints; it needs no style of its own.
"""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from concordat.canonical import Json
from concordat.classes import AGAINST, log_odds_of
from concordat.display import say
from concordat.explanation import NO_INTERVALS
from concordat.matters import ASSURANCES, AUTHORITIES
from concordat.verifier.claims import claims
from concordat.verifier.timeline import CLOSED

_MARK = {"passed": "✓", "failed": "✗", "attested, not verified": "○", "not checkable": "–"}

_PARTS = {
    "allowed": "who allowed it",
    "computed": "what was computed",
    "shown": "what was shown",
    "since": "what happened since",
}

_STYLE = """
:root{color-scheme:light;--paper:#fff;--wash:#f6f8fa;--ink:#1b1f24;--quiet:#57606a;--line:#d0d7de}
:root{--good:#116329;--bad:#a40e26}
@media screen and (prefers-color-scheme:dark){
:root{color-scheme:dark;--paper:#121417;--wash:#1c2128;--ink:#e6edf3;--quiet:#a3adb8;--line:#3a424c}
:root{--good:#6fdd8b;--bad:#ff9492}
}
body{font:1rem/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
body{max-width:52rem;margin:0 auto;padding:2rem 1.25rem;overflow-wrap:break-word}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 .75rem}
h2{font-size:1.2rem;margin:2.2rem 0 .5rem;border-top:1px solid var(--line);padding-top:1.1rem}
p{margin:.5rem 0}.quiet{color:var(--quiet)}code{font-size:.86em;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;margin:.75rem 0 1.25rem;font-size:.94rem}
caption{text-align:left;font-weight:600;padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line)}
thead th{color:var(--quiet);font-size:.85rem}td:last-child{padding-right:0;overflow-wrap:anywhere}
td.number{font-variant-numeric:tabular-nums}
.verdict{border-left:.4rem solid var(--good);padding:.6rem 1rem;background:var(--wash)}
.verdict.failed{border-color:var(--bad)}
ol.timeline{list-style:none;margin:.75rem 0;padding:0 0 0 1.1rem;border-left:2px solid var(--line)}
.timeline li{position:relative;padding:.3rem 0;break-inside:avoid}.timeline li p{margin:0}
.timeline li::before{content:"";position:absolute;left:-1.5rem;top:.75rem;width:.6rem;height:.6rem;border-radius:50%}
.timeline li::before{background:var(--paper);border:2px solid var(--quiet)}
.timeline .computed::before,.timeline .shown::before{background:var(--quiet)}.timeline em{color:var(--quiet)}
.passed{color:var(--good)}.failed{color:var(--bad);font-weight:600}
@media (max-width:40rem){
body{padding:1.25rem .9rem}table{font-size:.82rem}th,td{padding-right:.45rem}td{overflow-wrap:anywhere}
}
@media print{body{max-width:none;padding:0}tr{break-inside:avoid}h2{break-after:avoid}}
"""


def title(answer: Mapping[str, Any]) -> str:
    """What the dossier is called."""
    story = answer["story"]
    return f"Decision {story['record']}" if story else f"{_blamed(answer)[0]} that does not {_blamed(answer)[1]}"


def _blamed(answer: Mapping[str, Any]) -> tuple[str, str]:
    """What does not do what it should, where something failed: the dossier, unless only what the reader brought."""
    failed = tuple(check["name"] for check in answer["checks"] if check["status"] == "failed")
    return {("disclosure",): ("A disclosure", "fit"), ("replay",): ("A replay", "agree")}.get(
        failed, ("A dossier", "hold")
    )


def html(answer: Mapping[str, Any]) -> str:
    """The page for `Result.to_json()`."""
    name = _t(title(answer))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style></head><body><main>\n<h1>{name}</h1>\n"
        + body(answer)
        + "\n</main></body></html>\n"
    )


def body(answer: Mapping[str, Any]) -> str:
    """Everything below the title."""
    story = answer["story"]
    parts = [
        _verdict(answer),
        *(_tell(story) if story else ()),
        *(_exactly(answer) if story else ()),
        '<h2 id="checks">Every check, with its result</h2>',
        _checks(answer["checks"]),
        *(_timeline(story["timeline"]) if story else ()),
        '<p class="quiet">This page repeats what a program found. Whoever must rely on it runs the program: '
        "<code>python -m ledger.verify BUNDLE --rpc URL</code></p>",
    ]
    if answer["bundle"]:
        parts.append(f'<p class="quiet">Digest of the bundle: <code>{_t(answer["bundle"])}</code></p>')
    return "\n".join(parts)


def _verdict(answer: Mapping[str, Any]) -> str:
    story = answer["story"]
    if not answer["holds"]:
        what, should = _blamed(answer)
        return (
            f'<p class="verdict failed"><strong>This {what.removeprefix("A ")} does not {should}.</strong> '
            "At least one check failed; nothing is concluded from it.</p>"
        )
    when = f"Recorded on {_t(story['time'])} for {_t(story['requester'])}." if story else ""
    verdict = f'<p class="verdict"><strong>No check failed.</strong> {when}</p>'
    if not story or not story["ended"]:
        return verdict
    said = "".join(
        f"<li>{_time(e['time'])}: {_t(e['sentence'])} <code>{_t(e['entry'])}</code></li>" for e in story["ended"]
    )
    return f'{verdict}<p class="verdict failed"><strong>What has ended since</strong></p><ul>{said}</ul>'


def _tell(story: Mapping[str, Any]) -> Iterable[str]:
    yield from _under(story.get("matter"))
    yield from _allowed(story["allowed"])
    yield from _computed(story["computed"])
    yield from _described(story.get("card"))
    yield from _came_out(story["result"])
    yield from _was_shown(story["shown"])
    yield "<h2>What happened since</h2>"
    yield (
        _table(None, ("When", "Record", "What"), ((e["time"], e["entry"], e["sentence"]) for e in story["since"]))
        if story["since"]
        else "<p>Nothing that this dossier knows of.</p>"
    )
    yield from _trust(story["trust"])


def _under(matter: Mapping[str, Any] | None) -> Iterable[str]:
    if matter is None:
        return
    yield "<h2>Under which authority this was read</h2>"
    authority = matter["authority"]
    if authority is None:
        yield f"<p>In the matter <code>{_t(matter['matter'])}</code>; what it was about has been erased.</p>"
        return
    rows: list[tuple[Json, ...]] = [
        ("Matter", f"{matter['title']} ({matter['docket']})"),
        ("Authority", f"{AUTHORITIES[authority['kind']]}, {authority['dated']}: {authority['text']}"),
        *([("Digest of the paper", authority["paper"])] if authority["paper"] else []),
        *([("Assurance", ASSURANCES[authority["assurance"]])] if authority["assurance"] else []),
        ("For", matter["party"]),
        ("Purpose", matter["purpose"]),
        ("Protective order", matter["protective_order"] or "none"),
        ("Held by", authority["holder"]),
        ("Recorded", f"{matter['entry']}, opened {matter['opened']}; it names this decision since {matter['named']}"),
    ]
    yield _table(None, ("What", "As it was opened"), rows)
    yield "<p>That there is such a paper is the word of the institution that opened the matter.</p>"


def _allowed(allowed: Mapping[str, Any]) -> Iterable[str]:
    yield "<h2>Who allowed it</h2>"
    yield f"<p>Study <strong>{_t(allowed['study'])}</strong>, protocol <code>{_t(allowed['protocol'])}</code>.</p>"
    yield _table(
        "Determinations of the reviewing boards",
        ("Board", "For", "Decision", "Signed by", "Signed"),
        (
            (
                r["institution"],
                ", ".join(r["sites"]),
                f"{r['meaning']} ({r['path']})",
                f"{r['name']}, {r['role']}",
                f"{r['time']}, {r['signature']}",
            )
            for r in allowed["reviews"]
        ),
    )
    votes = ((v["institution"], "approves" if v["approve"] else "does not approve") for v in allowed["votes"])
    caption = f"Institutions' votes on the computation ({allowed['needed']} of {allowed['of']} needed)"
    yield _table(caption, ("Institution", "Vote"), votes)
    yield f"<p>Computation <code>{_t(allowed['definition'])}</code>.</p>"
    if allowed["gives_away"]:
        yield f"<p>What the institutions agreed may become known of the model: {_t(allowed['gives_away'])}</p>"
    checks = ((c["name"], c["sentence"]) for c in allowed["checks"])
    yield _table(f"The authority check before the computation ({allowed['verdict']})", ("Check", "Answer"), checks)
    purpose = allowed["purpose"] or "not disclosed to the reader of this dossier"
    consent = allowed["consent"] or "Not disclosed to the reader of this dossier, or erased."
    yield f"<p>Purpose: {_t(purpose)}. Consent: {_t(consent)}</p>"


def _computed(computed: Mapping[str, Any]) -> Iterable[str]:
    yield "<h2>What was computed</h2>"
    yield (
        f"<p>The model <strong>{_t(computed['model'])}</strong>, version {_t(computed['version'])} of "
        f"{_t(computed['owner'])} (<code>{_t(computed['digest'])}</code>), on secret shares: a prediction and its "
        f"explanation ({_t(computed['explanation'])}), in {_t(computed['target'])}, from {_t(computed['started'])} to "
        f"{_t(computed['finished'])}.</p>"
    )
    nodes = ((n["node"], n["role"], n["rounds"], n["bytes_sent"], n["cpu_seconds"]) for n in computed["nodes"])
    yield _table("The nodes that signed for it", ("Node", "Role", "Rounds", "Bytes sent", "CPU seconds"), nodes)


def _described(card: Mapping[str, Any] | None) -> Iterable[str]:
    if card is None:
        return
    rows = ((each["title"], " ".join(each["paragraphs"])) for each in card["stated"])
    caption = f"What the model's owner stated of it then: card {card['sequence']} of {card['time']} ({card['entry']})"
    yield _table(caption, ("Attribute", "In the owner's words"), rows)
    yield "<p>It is the owner's word; nobody checked it.</p>"


def _came_out(result: Mapping[str, Any] | None) -> Iterable[str]:
    yield "<h2>What came out</h2>"
    if result is None:
        yield (
            "<p>The result is known to the requester alone, who has not disclosed it here. The nodes' commitments to "
            "it are part of this dossier, so a later disclosure can be checked against them.</p>"
        )
        return
    if not result["classes"]:
        yield from _one_answer(result, result["target"])
        return
    classes = ((each["name"], each["probability"], each["log_odds"]) for each in result["classes"])
    yield _table("Predicted", ("Class", "Probability", f"Log-odds against {AGAINST}"), classes)
    for each in result["classes"]:
        yield f"<h3>{_t(each['name'])}</h3>"
        yield from _one_answer(each, log_odds_of(each["name"]))


def _one_answer(result: Mapping[str, Any], scale: str) -> Iterable[str]:
    also = "" if result["log_odds"] is None else f", as log-odds {_t(result['log_odds'])}"
    yield (
        f"<p>Predicted probability <strong>{_t(result['probability'])}</strong>{also}; "
        f"{_t(scale)} of {_t(result['intercept_of'])}, by the surrogate, {_t(result['intercept'])}.</p>"
    )
    unit = " (0.01 is a percentage point)" if result["target"] == "probability" else ""
    yield _table(
        f"Factors, in {scale}{unit} {result['compared']}",
        ("Factor", "Coefficient", f"{float(result['confidence']):.0%} interval"),
        ((factor["label"], factor["coefficient"], _interval(factor)) for factor in result["factors"]),
    )
    if any(factor["low"] is not None for factor in result["factors"]):
        yield (
            "<p>An interval says how far another choice of perturbed records would have moved the coefficient; where "
            "zero is in it, the direction is not certain. It does not say whether the model is right.</p>"
        )
    else:
        yield f"<p>{NO_INTERVALS}</p>"
    if result["adjusted_r_squared"] is None:
        yield (
            "<p>Fit of the explanation: it depends on the record, which is not disclosed here. Nor is it known without "
            "the record whether the requester computed with the operator that the design gives for it.</p>"
        )
        return
    fit = "reliable" if result["reliable"] else "UNRELIABLE"
    yield f"<p>Fit of the explanation: adjusted R² {_t(result['adjusted_r_squared'])} ({fit}).</p>"


def _interval(factor: Mapping[str, Any]) -> str:
    return "none" if factor["low"] is None else f"{factor['low']} to {factor['high']}"


def _was_shown(shown: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    yield "<h2>What was shown</h2>"
    rows = [(s["time"], s["entry"], _display(s) if "viewer" in s else CLOSED[s["closed"]]) for s in shown]
    yield _table(None, ("When", "Record", "What"), rows) if rows else "<p>Nobody says that it was shown.</p>"


def _display(shown: Mapping[str, str]) -> str:
    return say(shown["decision"], shown["viewer"], shown.get("reason", ""), shown.get("threshold", ""))


def _trust(trust: Mapping[str, Any]) -> Iterable[str]:
    chain = trust["chain"]
    yield "<h2>Why believe it</h2>"
    yield (
        f"<p>Every entry named here is in the log <strong>{_t(trust['log'])}</strong>, whose head is signed "
        f"with the key <code>{_t(trust['log_key'])}</code>. Compare this key, and those below, "
        "with what the institutions tell you themselves.</p>"
    )
    yield _witnesses(trust["witnesses"])
    anchors = ((a["sequence"], a["size"], a["block"], a["state"], a["root"]) for a in trust["anchors"])
    caption = f"Heads of the log on chain {chain['id']}, contract {chain['anchor_log'] or 'none'}"
    if trust["anchors"]:
        yield _table(caption, ("Anchor", "Entries", "Block", "State", "Root"), anchors)
    else:
        yield "<p>No head that covers this decision is on a chain yet.</p>"
    keys = ((name, ", ".join(kids)) for name, kids in trust["institutions"].items())
    yield _table("Identity keys of the institutions", ("Institution", "Key id"), keys)


def _witnesses(found: Mapping[str, Any] | None) -> str:
    if found is None or not found["cosigned"]:
        return (
            "<p><strong>Not witnessed:</strong> no institution's node has cosigned a head that covers this decision. "
            "Nothing here shows that others were given the same log.</p>"
        )
    if not found["all_shown"]:
        return (
            f"<p>{_t(', '.join(found['cosigned']))} cosigned the head of {found['size']} entries, which covers this "
            "decision. <strong>Whether that is enough is not shown:</strong> this dossier does not carry the log, so "
            "there may be witnesses that it does not name.</p>"
        )
    few = "" if len(found["cosigned"]) >= found["needed"] else " <strong>That is too few.</strong>"
    return (
        f"<p>{len(found['cosigned'])} of {len(found['of'])} witnesses ({_t(', '.join(found['cosigned']))}) cosigned "
        f"the head of {found['size']} entries, which covers this decision; {found['needed']} are needed, so that no "
        f"two histories can have enough of them.{few}</p>"
    )


def _exactly(answer: Mapping[str, Any]) -> Iterable[str]:
    yield "<h2>What is proven, and what is not</h2>"
    for term, meaning in claims(answer):
        yield f"<p><strong>{_t(term)}:</strong> {_t(meaning)}</p>"


def _timeline(rows: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    yield '<h2 id="timeline">Timeline</h2>'
    items = "".join(
        f'<li class="{_t(row["part"])}"><p>{_time(row["time"])} <code>{_t(row["entry"])}</code> '
        f"<em>{_t(_PARTS[row['part']])}</em></p><p>{f'<strong>{_t(who)}</strong>: ' if (who := row['who']) else ''}"
        f"{_t(row['sentence'])}</p></li>"
        for row in rows
    )
    yield f'<ol class="timeline">{items}</ol>'


def _checks(checks: Iterable[Mapping[str, Any]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_t(check["name"])}</th><td class="{_t(str(check["status"]).split()[0].rstrip(","))}">'
        f"{_MARK[check['status']]} {_t(check['status'])}{_reason(check['reason'])}</td>"
        f"<td>{_t(check['sentence'])}</td></tr>"
        for check in checks
    )
    head = '<tr><th scope="col">Check</th><th scope="col">Result</th><th scope="col">In words</th></tr>'
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _reason(code: str | None) -> str:
    return f" <code>{_t(code)}</code>" if code else ""


def _table(caption: str | None, heads: tuple[str, ...], rows: Iterable[tuple[Json, ...]]) -> str:
    head = "".join(f'<th scope="col">{_t(name)}</th>' for name in heads)
    body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
    named = f"<caption>{_t(caption)}</caption>" if caption else ""
    return f"<table>{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Json) -> str:
    text = str(value)
    if isinstance(value, int):
        return f'<td class="number">{_t(text)}</td>'
    return f"<td><code>{_t(text)}</code></td>" if text.startswith("sha256:") else f"<td>{_t(text)}</td>"


def _time(text: str) -> str:
    return f'<time datetime="{_t(text)}">{_t(text)}</time>'


def _t(text: object) -> str:
    return escape(str(text))
