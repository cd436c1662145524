"""The model owner's part after an alarm: replay the canary's run, and sign who departed from the protocol.

If nobody did, the alarm itself is judged: by the canaries that the owner has sealed to that requester, which cannot get
rid of a genuine result by calling it a canary's.
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from compute.engine.execution import prepare
from compute.engine.replay import Evidence, replay
from compute.engine.session import Seeds
from compute.node.engine_job import party_part
from compute.node.home import NodeHome
from concordat import alarm, canonical, clock, definition, model, outputs, receipt, ring
from concordat.alarm import Alarm, CanaryShares, Departure, Tape, Testimony
from concordat.canaries import Canary, Sheet, came_back_right
from concordat.canonical import unb64
from concordat.client import sheets
from concordat.client.api import Api, Testimonies
from concordat.commitments import INPUT_SHARE, open_share
from concordat.definition import Definition
from concordat.design import check_secret, read_design
from concordat.fields import plain, read
from concordat.model import Manifest
from concordat.reasons import Reason, Refused
from concordat.receipt import Receipt
from concordat.sealing import SealingKey

_DIGEST_BYTES = 32


class _Case(TypedDict):
    said: Alarm
    agreed: Definition
    manifest: Manifest
    receipts: Mapping[str, Receipt]
    shares: CanaryShares
    tapes: Mapping[str, Tape | None]


def find(home: NodeHome, api: Api, job: str) -> list[Departure]:
    """Find out who departed from the protocol in a job with a false canary, and hand the signed finding in.

    None means that the result is what the protocol gives, and not what we sealed: then the canary's known result was
    wrong.

    Raises:
        Refused: WRONG_INSTITUTION unless the alarm is addressed to us; NODE_SILENT while a testimony is missing, naming
            the node; RECEIPTS_DISAGREE for a node that testifies about other input than the requester's, naming it;
            OPENING_MISMATCH for shares that the requester did not commit to; OPERATOR_FALSE if it computed with another
            operator than its design gives for the canary; CANARIES_MISSING if no node is to blame, and what we sealed
            to the requester is not here to compare with; and what is wrong with a signature.
    """
    answer = api.testimonies(job)
    if answer["finding"]:  # handed in before; a finding is for good
        return _found(home, answer)
    case = _read(home, answer)
    departures = _false_tapes(case) or _replayed(case, answer) or _false_alarm(home, case, answer)
    said = case["said"]
    token = alarm.find(
        job=said["job"],
        owner=home.institution,
        alarm=canonical.digest(answer["alarm"].encode()),
        departures=departures,
        time=clock.now(),
        key=home.keys.identity,
    )
    api.finding(job, token)
    return departures


def _found(home: NodeHome, answer: Testimonies) -> list[Departure]:
    finding = alarm.read_finding(answer["finding"], home.pins.lasting_keyring)
    ours = (home.institution, canonical.digest(answer["alarm"].encode()))
    if (finding["owner"], finding["alarm"]) != ours:
        raise Refused(Reason.CONFLICT, detail="The finding is another's, or about another alarm.", field="finding")
    return finding["departures"]


def _read(home: NodeHome, answer: Testimonies) -> _Case:
    known = home.pins.lasting_keyring
    said = alarm.read_alarm(answer["alarm"], known)
    if said["owner"] != home.institution or said["job"] != answer["prediction"]:
        raise Refused(
            Reason.WRONG_INSTITUTION, detail="This alarm is addressed to another owner, or about another job."
        )
    manifest = model.check_manifest(answer["manifest"], known)
    agreed = read(answer["definition"], Definition)
    receipts = receipt.check_receipts(answer["receipts"], known, request=said["request"], definition=agreed)
    named = {"model": agreed["model"], "design": agreed["design"], "schema": agreed["schema"]}
    found = {"model": plain(manifest), "design": answer["design"], "schema": answer["schema"]}
    for field, name in named.items():
        if canonical.digest(found[field]) != name:
            raise Refused(Reason.DIGEST_MISMATCH, field=field)
    testimonies = {each["node"]: each for each in (alarm.read_testimony(one, known) for one in answer["testimonies"])}
    about = canonical.digest(answer["alarm"].encode())
    for node in definition.nodes(agreed):
        if node not in testimonies or testimonies[node]["alarm"] != about:
            raise Refused(Reason.NODE_SILENT, detail=f"There is no testimony of {node} yet.", field=node)
        if testimonies[node]["commitments"] != said["commitments"]:
            detail = f"{node} computed for another input than the requester names: compare both with the request."
            raise Refused(Reason.RECEIPTS_DISAGREE, detail=detail, field=node)
    key = home.keys.sealing
    tapes = {node: _tape(testimonies[node], key) for node in receipts}
    shares = alarm.open_shares(said, key)
    return _Case(said=said, agreed=agreed, manifest=manifest, receipts=receipts, shares=shares, tapes=tapes)


def _tape(testimony: Testimony, key: SealingKey) -> Tape | None:
    """What a node laid open; None for what cannot be opened or read, which is as good as silence."""
    try:
        tape = alarm.open_tape(testimony, key)
        for text in (tape["key"], *(each["key"] for each in tape["drawn"])):
            unb64(text)
        for each in tape["conversations"]:
            unb64(each["sent"]), unb64(each["received"])
    except Refused:
        return None
    return tape


def _false_tapes(case: _Case) -> list[Departure]:
    """Who lays open something else than it signed for."""
    departures: list[Departure] = []
    ranks = definition.nodes(case["agreed"])
    for node, tape in case["tapes"].items():
        if tape is None:
            departures.append({"node": node, "act": "no usable testimony", "round": 0})
            continue
        signed = case["receipts"][node]["transcripts"]
        told = {
            ranks[each["peer"]]: {
                "sent": canonical.digest(unb64(each["sent"])),
                "received": canonical.digest(unb64(each["received"])),
            }
            for each in tape["conversations"]
            if each["peer"] < len(ranks)
        }
        if told != signed:
            departures.append({"node": node, "act": "other conversations", "round": 0})
        elif node in case["agreed"]["parties"] and not _has_weights(case["manifest"], node, tape):
            departures.append({"node": node, "act": "other weights", "round": 0})
    return departures


def _has_weights(manifest: Manifest, node: str, tape: Tape) -> bool:
    try:
        return tape["weights"] is not None and bool(model.read_share(manifest, node, tape["weights"]))
    except Refused:
        return False


def _replayed(case: _Case, answer: Testimonies) -> list[Departure]:
    agreed, said = case["agreed"], case["said"]
    tapes = {node: tape for node, tape in case["tapes"].items() if tape is not None}
    ranks, place = definition.nodes(agreed), said["place"]
    starts, results = [], []
    shared = []
    for index, party in enumerate(agreed["parties"]):
        weights = tapes[party]["weights"]
        assert weights is not None
        record = _record(case, party, index)
        shared.append(ring.from_bytes(record, (len(record) // 8,)))
        starts += prepare(
            party_part(
                case["manifest"],
                agreed,
                design=answer["design"],
                schema=answer["schema"],
                weights=model.read_share(case["manifest"], party, weights),
                records=[record],
            )
        )
        handed_in = case["shares"]["outputs"][party]
        prediction, explanation = (
            outputs.open_output(handed_in, case["receipts"][party], part, place) for part in outputs.PARTS
        )
        results.append((prediction, explanation))
    check_secret(read_design(answer["design"]), ring.combine(shared))
    evidence = Evidence(
        sent={
            (rank, each["peer"]): _digests(each["sent"])
            for rank, node in enumerate(ranks)
            for each in tapes[node]["conversations"]
        },
        seeds=[
            Seeds(unb64(tapes[party]["key"]), {each["peer"]: unb64(each["key"]) for each in tapes[party]["drawn"]})
            for party in agreed["parties"]
        ],
        records=1 + agreed["canaries"],
        place=place,
    )
    return [
        {"node": ranks[fault.rank], "act": fault.act, "round": fault.round}
        for fault in replay(starts, evidence, results)
    ]


def _false_alarm(home: NodeHome, case: _Case, answer: Testimonies) -> list[Departure]:
    """What the requester did, if the record that it names is none of its canaries, or came back as we had sealed it."""
    said, agreed, target = case["said"], case["agreed"], case["agreed"]["target"]
    sheets_here = sheets.kept(
        home.directory,
        owner=home.institution,
        requester=said["requester"],
        model=agreed["model"],
        design=agreed["design"],
        target=target,
        keyring=home.pins.lasting_keyring,
    )
    shares = case["shares"]
    design = read_design(answer["design"])
    shared = [_record(case, party, index) for index, party in enumerate(agreed["parties"])]
    known = _known(sheets_here, shared, design.secrets)
    if known is None:
        return [{"node": said["requester"], "act": "no canary", "round": 0}]
    if came_back_right(
        shares["outputs"],
        case["receipts"],
        known,
        design=design,
        target=target,
        place=said["place"],
        answers=model.answers_of(case["manifest"]),
    ):
        return [{"node": said["requester"], "act": "false alarm", "round": 0}]
    return []


def _record(case: _Case, party: str, index: int) -> bytes:
    """A party's share of the record that the alarm names, as the requester committed to it."""
    said, share = case["said"], case["shares"]["inputs"][party]
    return open_share(said["commitments"][party], INPUT_SHARE, share, said["name"], party, index, said["place"])


def _known(sealed: Sequence[Sheet], shares: Sequence[bytes], secrets: int) -> list[Canary] | None:
    """The canary that these shares are a record of, and those that stand for its what-ifs, all of one sheet; behind
    them are the secrets of its design."""
    numbers = ring.combine([ring.from_bytes(share, (len(share) // 8,)) for share in shares])
    for sheet in sealed:
        columns = len(sheet["canaries"][0]["record"])
        rows = numbers[: len(numbers) - secrets].reshape(-1, columns)
        by_record = {tuple(canary["record"]): canary for canary in sheet["canaries"]}
        known = [by_record[record] for record in map(tuple, rows.tolist()) if record in by_record]
        if len(known) == len(rows):
            return known
    return None


def _digests(text: str) -> list[bytes]:
    data = unb64(text)
    return [data[start : start + _DIGEST_BYTES] for start in range(0, len(data), _DIGEST_BYTES)]
