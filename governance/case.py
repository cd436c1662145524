"""What is known about one request: the facts that the verdict's questions are asked of."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from concordat import votes
from concordat.reasons import Reason, Refused
from concordat.request import Request, named_consent, peek_request
from concordat.signatures import VerifyKey
from governance import selectors
from governance.models import Consent, Definition, Institution, InstitutionKey, ModelRecall, ProtocolVersion
from governance.services import attachments
from ledger.chain.types import Authorisation
from ledger.services.anchoring import chain_client, registry_domain


class ChainReader(Protocol):
    """What is asked of the chain: who approves a definition there. `ledger.chain.client.ChainClient` is one."""

    def authorisation(self, definition: str) -> Authorisation: ...


class Case:
    """One request; each fact is looked up once, when it is first needed."""

    def __init__(self, token: str, now: datetime, chain: ChainReader | None) -> None:
        self.token = token
        self.now = now
        self.request: Request = peek_request(token)
        self._chain = chain

    @cached_property
    def _found(self) -> Definition | Refused:
        try:
            return selectors.definition(self.request["definition"])
        except Refused as refused:
            return refused

    @property
    def definition(self) -> Definition:
        """Raises Refused(DEFINITION_UNKNOWN): a question that needs the definition then has that for an answer."""
        if isinstance(self._found, Refused):
            raise self._found
        return self._found

    @cached_property
    def version(self) -> ProtocolVersion:
        """The version that the definition names. Raises Refused: DEFINITION_UNKNOWN, DIGEST_MISMATCH."""
        return selectors.protocol_of(self.definition)

    @property
    def protocol(self) -> Mapping[str, Any]:
        """The content of that version. Raises Refused: DEFINITION_UNKNOWN, DIGEST_MISMATCH."""
        content: Mapping[str, Any] = self.version.content
        return content

    @cached_property
    def consent(self) -> Consent | None:
        try:
            named = named_consent(self.request)
        except Refused:
            return None
        return Consent.objects.filter(uuid=named).first() if named else None

    @cached_property
    def recall(self) -> ModelRecall | None:
        """The recall of the definition's model, if there is one. Raises Refused(DEFINITION_UNKNOWN)."""
        return selectors.recall(self.definition.content["model"])

    @property
    def epoch(self) -> int:
        """A sum of counters that only grow, and of the bounds in time that have passed by now. A job is authorised
        while none has, so its epoch stays the same only while no counter has moved and no bound has passed."""
        if isinstance(self._found, Refused):
            return 0
        own = [vote for vote in self._found.votes.all() if vote.institution.slug == self.request["requester"]]
        revoked = sum(not vote.approve for vote in own)
        counted = self._found.epoch + self._found.study.epoch + (self.consent.epoch if self.consent else 0) + revoked
        return counted + (self.recall is not None) + self._passed(self._found)

    def _passed(self, definition: Definition) -> int:
        bounds = [definition.study.expires, definition.valid_until]
        if self.consent is not None:
            bounds += [self.consent.until, self.consent.reconsent]
        passed = sum(bound is not None and self.now >= bound for bound in bounds)
        return passed + attachments.lapsed_attachments(definition.study, self.protocol, self.now)

    @property
    def requester(self) -> Institution:
        """Who asks. Raises Refused(NOT_FOUND) for who is not enrolled."""
        found = self.institutions.get(self.request["requester"])
        if found is None:
            raise Refused(Reason.NOT_FOUND, detail="The requester is not enrolled.", field="requester")
        return found

    @cached_property
    def institutions(self) -> Mapping[str, Institution]:
        """Everyone whose keys or law are asked about."""
        named = {self.request["requester"]}
        if isinstance(self._found, Definition):
            named |= selectors.voters(self._found)
        return {each.slug: each for each in Institution.objects.filter(slug__in=named).prefetch_related("keys")}

    def key(self, slug: str, kind: InstitutionKey.Kind) -> InstitutionKey:
        """The live key of that kind. Raises Refused(KEY_UNKNOWN)."""
        owner = self.institutions.get(slug)
        for key in owner.keys.all() if owner else ():
            if key.kind == kind and key.revoked is None:
                return key
        raise Refused(Reason.KEY_UNKNOWN, detail=f"No {kind} key of “{slug}” is enrolled.")

    @property
    def keyring(self) -> Mapping[str, Mapping[str, VerifyKey]]:
        """The requester's identity key, and no other."""
        key = self.key(self.request["requester"], InstitutionKey.Kind.IDENTITY)
        return {self.request["requester"]: {key.key_id: VerifyKey.from_b64(key.public)}}

    @property
    def lasting_keyring(self) -> Mapping[str, Mapping[str, VerifyKey]]:
        """The requester's identity keys that were never under suspicion: one of them signed the consent, then."""
        requester = self.institutions.get(self.request["requester"])
        own = [key for key in (requester.keys.all() if requester else ()) if key.kind == InstitutionKey.Kind.IDENTITY]
        believed = {key.key_id: VerifyKey.from_b64(key.public) for key in own if key.ground != "compromise"}
        return {self.request["requester"]: believed}

    @cached_property
    def on_chain(self) -> Authorisation | Refused:
        try:
            registry_domain()
            return (self._chain or chain_client()).authorisation(self.definition.digest)
        except Refused as refused:
            return refused

    @property
    def standing(self) -> str:
        """Where the approvals were read, as a sentence."""
        if isinstance(self.on_chain, Authorisation):
            return f"Read from the chain at block {self.on_chain.block}."
        return "The chain cannot be reached: only votes that were seen in a block before count."

    @cached_property
    def approving(self) -> frozenset[str]:
        """Whoever signed an approval that the chain holds, and no revocation since.

        Raises Refused for a chain that answers, but is not the configured one.
        """
        if isinstance(self.on_chain, Refused) and self.on_chain.reason is not Reason.CHAIN_UNAVAILABLE:
            raise self.on_chain
        domain = registry_domain()
        seen = frozenset() if isinstance(self.on_chain, Authorisation) else selectors.approving(self.definition)
        counted = set()
        for slug, last in selectors.last_votes(self.definition).items():
            vote = votes.Vote(self.definition.digest, last.approve, last.address, last.nonce, last.deadline)
            try:
                votes.check(vote, last.signature, domain=domain)
                own = self.key(slug, InstitutionKey.Kind.CHAIN).public == last.address
            except Refused:
                continue
            if isinstance(self.on_chain, Authorisation):
                mined = self.on_chain.approvals.get(last.address, False)
            else:
                mined = slug in seen
            if last.approve and own and mined:
                counted.add(slug)
        return frozenset(counted)
