"""The model owner's part after an alarm: replay the canary's run, and sign who departed from the protocol.

The alarm itself is judged first, by what it holds, the nodes' receipts and the owner's own signature on the sheet that
the canary is on: a requester cannot get rid of a genuine result by calling it a canary's, or by an alarm that nobody
can examine. No testimony is needed for that, and no folder of one's own.
"""

from collections.abc import Mapping
from typing import TypedDict

from compute.engine.execution import prepare
from compute.engine.replay import Evidence, replay
from compute.engine.session import Seeds
from compute.node.engine_job import party_part
from compute.node.home import NodeHome
from concordat import alarm, canonical, clock, definition, model, outputs, receipt, ring
from concordat.alarm import Act, Alarm, CanaryShares, Departure, Tape, Testimony
from concordat.canaries import Canary, Sheet, came_back_right, read_sheet
from concordat.canonical import unb64
from concordat.client.answers import Testimonies
from concordat.client.api import Api
from concordat.commitments import INPUT_SHARE, open_share
from concordat.definition import Definition
from concordat.design import Plan, check_secret, read_design
from concordat.fields import plain, read
from concordat.keystore import Kind
from concordat.model import Manifest
from concordat.outputs import OutputShares
from concordat.reasons import Reason, Refused
from concordat.receipt import Receipt
from concordat.ring import Ring
from concordat.signatures import VerifyKey, keyring, peek

_DIGEST_BYTES = 32


class _Case(TypedDict):
    said: Alarm
    agreed: Definition
    manifest: Manifest
    design: Plan
    receipts: Mapping[str, Receipt]


class _Shown(TypedDict):
    """What an alarm that can be examined holds: by party the record's input share, and the output shares."""

    records: Mapping[str, bytes]
    outputs: Mapping[str, OutputShares]


class _False(Exception):
    """The alarm is the requester's own act."""

    def __init__(self, act: Act) -> None:
        self.act = act


def find(home: NodeHome, api: Api, job: str) -> list[Departure]:
    """Find out who departed from the protocol in a job with a false canary, and hand the signed finding in.

    None means that the result is what the protocol gives, and not what we sealed: then the canary's known result was
    wrong.

    Args:
        home: with pins that know every key that we ever had: what is sealed to another one counts as unusable.

    Raises:
        Refused: WRONG_INSTITUTION unless the alarm is addressed to us; KEY_UNKNOWN if we have lost the sealing key that
            it was sealed to; NODE_SILENT while a testimony is missing, or is about other input than the requester's,
            naming the node; and what is wrong with a signature.
    """
    answer = api.testimonies(job)
    if answer["finding"]:  # handed in before; a finding is for good
        return _found(home, answer)
    case = _read(home, answer)
    said = case["said"]
    shares: CanaryShares | None = None
    shown: _Shown | None = None
    unknown: Refused | None = None
    departures: list[Departure] = []
    try:
        shares = _shares(home, case)
        try:
            departures = _two_receipts(home, case, shares)
        except Refused as refused:
            unknown = refused
        if not departures:
            shown = _shown(home, case, shares)
    except _False as alarms:
        if unknown and alarms.act == "unusable alarm":
            raise unknown from None  # what the requester holds may fit receipts that we cannot verify yet
        departures = [{"node": said["requester"], "act": alarms.act, "round": 0}]
    if shown is not None:
        tapes = _tapes(home, case, answer)
        departures = _false_tapes(case, tapes) or _replayed(case, shown, tapes, answer)
    token = alarm.find(
        job=said["job"],
        owner=home.institution,
        alarm=canonical.digest(answer["alarm"].encode()),
        departures=departures,
        evidence=_evidence(departures, shares, answer),
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
    design = read_design(answer["design"])
    return _Case(said=said, agreed=agreed, manifest=manifest, design=design, receipts=receipts)


def _shares(home: NodeHome, case: _Case) -> CanaryShares:
    """What was sealed to us. Raises _False for what cannot be opened."""
    said = case["said"]
    if not _ever(home, "sealing", said["sealed_to"]):
        raise _False("unusable alarm")
    key = home.keys.sealing_key(said["sealed_to"])
    try:
        return alarm.open_shares(said, key)
    except Refused:
        raise _False("unusable alarm") from None


def _two_receipts(home: NodeHome, case: _Case, shares: CanaryShares) -> list[Departure]:
    """Which nodes signed another receipt for the requester than for us: a request is computed once, so one of the two
    is a lie. Raises _False for receipts that no client takes; Refused(KEY_UNKNOWN) if we do not know all the keys."""
    if "receipts" not in shares:
        return []
    said, agreed = case["said"], case["agreed"]
    # With every key that a node ever had: one that it has disowned since must not make the requester look a liar.
    ever = {node: _keys_of(home, node) for node in definition.nodes(agreed)}
    try:
        given = receipt.check_receipts(shares["receipts"], ever, request=said["request"], definition=agreed)
    except Refused as refused:
        if refused.reason is Reason.KEY_UNKNOWN:
            raise
        raise _False("unusable alarm") from None
    return [
        {"node": node, "act": "two receipts", "round": 0}
        for node, signed in given.items()
        if signed != case["receipts"][node]
    ]


def _evidence(departures: list[Departure], shares: CanaryShares | None, answer: Testimonies) -> list[str]:
    """The receipts (JWS) of the nodes that signed two."""
    twice = {each["node"] for each in departures if each["act"] == "two receipts"}
    if not twice:
        return []
    both = [*(shares["receipts"] if shares and "receipts" in shares else []), *answer["receipts"]]
    return [token for token in both if peek(token)[1]["node"] in twice]


def _keys_of(home: NodeHome, institution: str) -> Mapping[str, VerifyKey]:
    keys = (key for key in home.pins.history(institution).keys if key.kind == "identity")
    return keyring(*(VerifyKey.from_b64(key.public) for key in keys))


def _shown(home: NodeHome, case: _Case, shares: CanaryShares) -> _Shown:
    """What the alarm holds. Raises _False for what no client sends, or if it is not about a canary that came back
    wrong."""
    said, agreed, design = case["said"], case["agreed"], case["design"]
    try:
        if not set(shares["inputs"]) == set(shares["outputs"]) == set(said["commitments"]) == set(agreed["parties"]):
            raise _False("unusable alarm")
        records = {party: _record(said, shares, party, index) for index, party in enumerate(agreed["parties"])}
        for party, handed_in in shares["outputs"].items():
            for part in outputs.PARTS:
                outputs.open_output(handed_in, case["receipts"][party], part, said["place"])
        (length,) = {len(record) for record in records.values()}
        shared = ring.combine([ring.from_bytes(record, (length // 8,)) for record in records.values()])
        variants, rest = divmod(len(shared) - design.secrets, len(design.columns))
        if variants < 1 or rest:
            raise _False("unusable alarm")
        check_secret(design, shared)
    except Refused as refused:
        raise _False("false operator" if refused.reason is Reason.OPERATOR_FALSE else "unusable alarm") from None
    except ValueError:  # shares of several lengths
        raise _False("unusable alarm") from None
    rows = shared[: variants * len(design.columns)].reshape(variants, -1)
    known = _known(_sheet(home, case, shares["sheet"]), rows)
    target = definition.scale_of(agreed)
    handed_in = shares["outputs"]
    if came_back_right(
        handed_in,
        case["receipts"],
        known,
        design=design,
        target=target,
        place=said["place"],
        answers=model.answers_of(case["manifest"]),
    ):
        raise _False("false alarm")
    return _Shown(records=records, outputs=shares["outputs"])


def _sheet(home: NodeHome, case: _Case, token: str) -> Sheet:
    """The sheet that the requester shows, which we once signed for it. Raises _False for any other.

    Any key of ours counts, whatever became of it since: what it was sealed with then is not the requester's fault.
    """
    said, agreed = case["said"], case["agreed"]
    if canonical.digest(token.encode()) != said["sheet"]:
        raise _False("unusable alarm")
    try:
        sheet = read_sheet(token, owner=home.institution, keyring={home.institution: _keys_of(home, home.institution)})
    except Refused:
        raise _False("no canary") from None
    ours = (home.institution, said["requester"], agreed["model"], agreed["design"], agreed["target"])
    if (sheet["owner"], sheet["requester"], sheet["model"], sheet["design"], sheet["target"]) != ours:
        raise _False("no canary")
    return sheet


def _ever(home: NodeHome, kind: Kind, key_id: str) -> bool:
    """Whether we ever had a key of that identifier."""
    return any(key.kind == kind and key.key_id == key_id for key in home.pins.history(home.institution).keys)


def _tapes(home: NodeHome, case: _Case, answer: Testimonies) -> dict[str, Tape | None]:
    """What each node laid open. Raises Refused(NODE_SILENT) naming one that did not."""
    known, about = home.pins.lasting_keyring, canonical.digest(answer["alarm"].encode())
    testimonies = {each["node"]: each for each in (alarm.read_testimony(one, known) for one in answer["testimonies"])}
    for node in definition.nodes(case["agreed"]):
        told = testimonies.get(node)
        if told is None or (told["alarm"], told["commitments"]) != (about, case["said"]["commitments"]):
            raise Refused(Reason.NODE_SILENT, detail=f"There is no testimony of {node} yet.", field=node)
    return {node: _tape(home, testimonies[node]) for node in case["receipts"]}


def _tape(home: NodeHome, testimony: Testimony) -> Tape | None:
    """What a node laid open; None for what cannot be opened or read, which is as good as silence. Raises
    Refused(KEY_UNKNOWN) if it is we who have lost the key."""
    if not _ever(home, "sealing", testimony["sealed_to"]):
        return None
    key = home.keys.sealing_key(testimony["sealed_to"])
    try:
        tape = alarm.open_tape(testimony, key)
        for text in (tape["key"], *(each["key"] for each in tape["drawn"])):
            unb64(text)
        for each in tape["conversations"]:
            unb64(each["sent"]), unb64(each["received"])
    except Refused:
        return None
    return tape


def _false_tapes(case: _Case, laid_open: Mapping[str, Tape | None]) -> list[Departure]:
    """Who lays open something else than it signed for."""
    departures: list[Departure] = []
    ranks = definition.nodes(case["agreed"])
    for node, tape in laid_open.items():
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


def _replayed(case: _Case, shown: _Shown, laid_open: Mapping[str, Tape | None], answer: Testimonies) -> list[Departure]:
    agreed, said = case["agreed"], case["said"]
    tapes = {node: tape for node, tape in laid_open.items() if tape is not None}
    ranks, place = definition.nodes(agreed), said["place"]
    runs = case["receipts"][ranks[0]]["runs"]
    starts, results = [], []
    for party in agreed["parties"]:
        weights = tapes[party]["weights"]
        assert weights is not None
        starts += prepare(
            party_part(
                case["manifest"],
                agreed,
                design=answer["design"],
                schema=answer["schema"],
                weights=model.read_share(case["manifest"], party, weights),
                records=[shown["records"][party]],
            )
        )
        handed_in = shown["outputs"][party]
        prediction, explanation = (
            outputs.open_output(handed_in, case["receipts"][party], part, place) for part in outputs.PARTS
        )
        results.append((prediction, explanation))
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
        runs=runs["of"],
        run=runs["first"] + place,
    )
    return [
        {"node": ranks[fault.rank], "act": fault.act, "round": fault.round}
        for fault in replay(starts, evidence, results)
    ]


def _record(said: Alarm, shares: CanaryShares, party: str, index: int) -> bytes:
    """A party's share of the record that the alarm names, as the requester committed to it."""
    share = shares["inputs"][party]
    return open_share(said["commitments"][party], INPUT_SHARE, share, said["name"], party, index, said["place"])


def _known(sheet: Sheet, rows: Ring) -> list[Canary]:
    """The canary that the first of these rows is, and those that the others, its what-ifs, are. Raises _False if one of
    them is not on the sheet."""
    by_record = {tuple(canary["record"]): canary for canary in sheet["canaries"]}
    try:
        return [by_record[tuple(row)] for row in rows.tolist()]
    except KeyError:
        raise _False("no canary") from None


def _digests(text: str) -> list[bytes]:
    data = unb64(text)
    return [data[start : start + _DIGEST_BYTES] for start in range(0, len(data), _DIGEST_BYTES)]
