"""What the verified evidence says, as one plain document: the dossier that people read is made of nothing else."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from concordat.canonical import Json, digest
from concordat.clock import rfc3339
from concordat.design import CONFIDENCE, Estimate
from concordat.explanation import decimal, log_odds_of, maybe_decimal, probability_of
from concordat.fields import plain
from concordat.kinds.kind import softmax
from concordat.outputs import Opened
from concordat.verifier import authority, boards, computation, matters, model_card, timeline, timing, witnessing
from concordat.verifier.case import Case
from concordat.verifier.evidence import Entry, NotCheckable


def tell(case: Case) -> dict[str, Json]:
    """The story of a case in which no check failed, in six parts, and the same as a timeline."""
    decision = case.decision
    return {
        "record": decision.number,
        "time": decision.leaf["time"],
        "requester": decision.text("institution"),
        "allowed": _allowed(case),
        "computed": _computed(case),
        "result": _result(case) if case.disclosure else None,
        "shown": [_shown(case, entry) for entry in computation.displays(case)],
        "since": [timeline.row(case, entry) for entry in case.evidence.entries if entry.index > case.explanation.index],
        "ended": timeline.ended(case),
        "timeline": [timeline.row(case, entry) for entry in case.evidence.entries],
        "trust": _trust(case),
        **({"card": card} if (card := model_card.tell(case)) else {}),
        **({"matter": matters.tell(case)} if matters.has(case) else {}),
    }


def _allowed(case: Case) -> dict[str, Json]:
    definition, votes = case.definition, authority.standing_votes(case, case.decision)
    checks = cast(Sequence[Mapping[str, Json]], case.evidence.json(case.verdict, "checks"))
    return {
        "study": definition["study"],
        "protocol": definition["protocol"],
        "reviews": boards.tell(case),
        "definition": digest(plain(definition)),
        "votes": [{"institution": name, "approve": vote.approve} for name, vote in sorted(votes.items())],
        "needed": definition["quorum"]["needed"],
        "of": len(definition["quorum"]["of"]),
        "gives_away": definition["extraction"]["statement"] if definition["extraction"] else None,
        "verdict": case.verdict.number,
        "checks": [{"name": check.get("name"), "sentence": check.get("sentence")} for check in checks],
        "purpose": _opened(lambda: case.request["purpose"]),
        "consent": _opened(lambda: authority.consent(case)),
    }


def _computed(case: Case) -> dict[str, Json]:
    manifest, receipts = case.model, case.receipts.values()
    return {
        "model": manifest["model"],
        "version": manifest["version"],
        "owner": manifest["owner"],
        "kind": manifest["kind"],
        "digest": case.decision.text("model"),
        "target": case.definition["target"],
        "canaries": case.definition["canaries"],
        "job": case.job,
        "nodes": [
            {
                "node": receipt["node"],
                "role": receipt["role"],
                "rounds": receipt["rounds"],
                "bytes_sent": receipt["bytes_sent"],
                "cpu_seconds": receipt["cpu_seconds"],
            }
            for receipt in receipts
        ],
        "started": min(receipt["started"] for receipt in receipts),
        "finished": max(receipt["finished"] for receipt in receipts),
        "explanation": case.explanation.number,
    }


def _result(case: Case) -> dict[str, Json]:
    """What was opened, on the scale `target`; `log_odds` is null where that is probability. How well a surrogate fits
    that depends on the record is null without the record, and so is whether its operator is the design's.

    Of several classes, log-odds are those against the average of all classes; `classes` has each of them, the most
    probable one first, of which the rest is."""
    opened, names = case.result, case.model["classes"]
    if not names:
        (only,) = opened
        return {**_answer(case, only, probability_of(only.prediction, only.target)), "classes": []}
    probabilities = softmax(np.array([each.prediction for each in opened]))
    ranked = sorted(zip(probabilities.tolist(), names, opened, strict=True), key=lambda each: -each[0])
    classes = [(name, _answer(case, each, probability)) for probability, name, each in ranked]
    return {**classes[0][1], "classes": [{"name": name, **each} for name, each in classes]}


def _answer(case: Case, opened: Opened, probability: float) -> dict[str, Json]:
    design, local = case.design, case.local
    log_odds = log_odds_of(opened.prediction, opened.target)
    fit = local.fit(*opened.numbers, target=opened.target) if local else None
    estimates = fit.estimates if fit else [Estimate(float(each), None, None) for each in opened.coefficients]
    labels = {
        group: ", ".join(feature.label for feature in features)
        for group, features in zip(design.groups, design.features(case.schema), strict=True)
    }
    factors = sorted(zip(design.groups, estimates, strict=True), key=lambda each: (-abs(each[1].coefficient), each[0]))
    return {
        "target": opened.target,
        "prediction": decimal(opened.prediction),
        "log_odds": maybe_decimal(log_odds),
        "probability": decimal(probability),
        "intercept": decimal(opened.intercept),
        "adjusted_r_squared": None if fit is None else decimal(fit.adjusted_r_squared),
        "reliable": None if fit is None else fit.reliable,
        "compared": design.wording.caption,
        "intercept_of": design.wording.intercept,
        "confidence": decimal(CONFIDENCE),
        "factors": [
            {
                "label": labels[group],
                "coefficient": decimal(estimate.coefficient),
                "low": maybe_decimal(estimate.low),
                "high": maybe_decimal(estimate.high),
            }
            for group, estimate in factors
        ],
    }


def _shown(case: Case, entry: Entry) -> dict[str, Json]:
    try:
        said = computation.check_display(case, entry)
    except NotCheckable as missing:
        return {"entry": entry.number, "time": entry.leaf["time"], "closed": missing.reason.value}
    kept = {field: said[field] for field in ("time", "viewer", "decision", "template", "language", "rendered")}
    more = {field: said[field] for field in ("reason", "threshold") if said[field]}
    return {"entry": entry.number, **kept, **more}


def _trust(case: Case) -> dict[str, Json]:
    evidence = case.evidence
    return {
        "log": evidence.about["log"],
        "log_key": evidence.key.kid,
        "institutions": {name: list(held) for name, held in sorted(case.identities.items())},
        "witnesses": _witnesses(case),
        "time": _time(case),
        "chain": plain(evidence.about["chain"]),
        "anchors": [
            {field: anchor[field] for field in ("sequence", "size", "root", "block", "transaction", "state")}
            for anchor in evidence.anchors
        ],
    }


def _witnesses(case: Case) -> dict[str, Json] | None:
    found = witnessing.read(case)
    if found is None:
        return None
    return {
        "size": found.head.size,
        "of": found.of,
        "cosigned": found.cosigned,
        "needed": found.needed,
        "all_shown": found.all_shown,
    }


def _time(case: Case) -> dict[str, Json] | None:
    """None: asserted by the operator alone."""
    found = timing.read(case)
    if found is None:
        return None
    said = {"authority": found.authority, "latest": rfc3339(found.latest)}
    return {**said, "size": found.size, "attested": found.attested}


def _opened(question: Callable[[], str]) -> str | None:
    try:
        return question()
    except NotCheckable:
        return None
