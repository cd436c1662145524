"""With what an institution's systems sign in: fit keys under their own names, or an address."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from concordat import clock
from concordat.client_keys import MOST_KEYS, ClientKey, check_client_key, client_key_id, read_key_set
from concordat.enrolment import build_enrolment, verify_enrolment
from concordat.fields import read
from concordat.key_change import Ground, KeyHistory, build_change
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused

ADDRESS = "https://hospital.example/jwks.json"


def public(key: Any, alg: str) -> dict[str, Any]:
    return {**key.as_dict(private=False), "alg": alg, "use": "sig", "kid": key.thumbprint()}


@pytest.fixture(scope="module")
def rsa_jwk() -> dict[str, Any]:
    return public(RSAKey.generate_key(2048), "RS384")


@pytest.fixture(scope="module")
def ec_jwk() -> dict[str, Any]:
    return public(ECKey.generate_key("P-384"), "ES384")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keystore:
    return Keystore(tmp_path_factory.mktemp("keys") / "own").create()


@pytest.fixture(scope="module")
def history(keys: Keystore) -> KeyHistory:
    token = build_enrolment(
        keys, institution="zurich", name="Zurich", jurisdiction="CH", roles=["party"], issued=clock.now()
    )
    return KeyHistory.read(verify_enrolment(token), [])


def change(history: KeyHistory, keys: Keystore, key: Any, ground: Ground = "rotation") -> KeyHistory:
    token = build_change(history, kind="client", key=key, ground=ground, issued=clock.now(), offline=keys.offline)
    return history.after(token)


def refusal(call: Any, *arguments: Any, **named: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        call(*arguments, **named)
    return caught.value


class TestSignedKeys:
    def test_an_rsa_key_may_follow(self, history: KeyHistory, keys: Keystore, rsa_jwk: dict[str, Any]) -> None:
        after = change(history, keys, rsa_jwk)
        assert after.need("client").key_id == rsa_jwk["kid"]

    def test_an_address_may_follow_and_a_key_again(
        self, history: KeyHistory, keys: Keystore, ec_jwk: dict[str, Any]
    ) -> None:
        named = change(history, keys, {"jwks_url": ADDRESS})
        assert named.need("client").public == {"jwks_url": ADDRESS}
        assert change(named, keys, ec_jwk).need("client").key_id == ec_jwk["kid"]

    @pytest.mark.parametrize(
        "key",
        [
            {"jwks_url": "http://hospital.example/jwks.json"},
            {"jwks_url": "https://user:secret@hospital.example/"},
            {"jwks_url": "https://hospital.example/#keys"},
            {"jwks_url": "https://"},
            {"jwks_url": "https://hospital.example/" + "x" * 500},
            {"jwks_url": ADDRESS, "kid": "one"},
            {"jwks_url": 1},
            {"kty": "RSA"},
            {"kty": "oct", "k": "c2VjcmV0"},
            {"keys": []},
            {"keys": {}},
            {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]},
            {"keys": [], "jwks_url": ADDRESS},
            "https://hospital.example/jwks.json",
            [],
        ],
    )
    def test_what_is_neither_is_refused(self, history: KeyHistory, keys: Keystore, key: Any) -> None:
        assert refusal(change, history, keys, key).reason is Reason.FIELD_INVALID

    def test_another_ones_name_is_refused(self, rsa_jwk: dict[str, Any]) -> None:
        refused = refusal(check_client_key, rsa_jwk | {"kid": "other"}, field="key")
        assert (refused.reason, refused.field) == (Reason.FIELD_INVALID, "key.kid")

    def test_a_small_rsa_key_is_refused(self) -> None:
        small = RSAKey.import_key(rsa.generate_private_key(65537, 1024))
        assert refusal(check_client_key, public(small, "RS384"), field="key").field == "key"

    def test_a_field_is_named_without_the_form(self, rsa_jwk: dict[str, Any]) -> None:
        assert refusal(read, rsa_jwk | {"d": "AA"}, ClientKey).field == "d"
        assert refusal(read, rsa_jwk | {"alg": "RS256"}, ClientKey).field == "alg"

    def test_an_address_has_a_name_of_its_own(self) -> None:
        first, other = client_key_id({"jwks_url": ADDRESS}), client_key_id({"jwks_url": ADDRESS + "2"})
        assert first != other
        assert len(first) == len("sha256:") + 64


@pytest.fixture(scope="module")
def set_(ec_jwk: dict[str, Any], rsa_jwk: dict[str, Any]) -> dict[str, Any]:
    return {"keys": [ec_jwk | {"kid": "2026-a"}, rsa_jwk | {"kid": "2026-b"}]}


class TestSignedSets:
    """Several keys in the place of one."""

    def test_several_keys_may_follow_under_names_of_their_owners_choice(
        self, history: KeyHistory, keys: Keystore, set_: dict[str, Any]
    ) -> None:
        key = change(history, keys, set_).need("client")
        assert key.public == set_
        assert key.key_id.startswith("sha256:")

    def test_a_set_keeps_what_the_one_before_it_had_and_nothing_comes_back(
        self, history: KeyHistory, keys: Keystore, set_: dict[str, Any], ec_jwk: dict[str, Any]
    ) -> None:
        own = history.need("client").public
        both = change(history, keys, {"keys": [own, *set_["keys"]]})
        less = change(both, keys, set_)
        assert change(less, keys, {"keys": set_["keys"][:1]}).need("client").public["keys"][0]["kid"] == "2026-a"
        for back in ({"keys": [own, *set_["keys"]]}, {"keys": [own | {"kid": "renamed"}]}, own):
            refused = refusal(change, less, keys, back)
            assert (refused.reason, "before" in refused.detail) == (Reason.FIELD_INVALID, True)

    def test_a_compromised_key_goes(self, history: KeyHistory, keys: Keystore, set_: dict[str, Any]) -> None:
        own, (one, other) = history.need("client").public, set_["keys"]
        for kept in ([own], [own | {"kid": "renamed"}], [one, own]):
            assert "leave out" in refusal(change, history, keys, {"keys": kept}, "compromise").detail
        both = change(history, keys, set_, "compromise")
        for kept in ([other, one], [one, other, own], [one | {"kid": "renamed"}, other]):
            assert refusal(change, both, keys, {"keys": kept}, "compromise").field == "key"
        for key in ({"keys": [one]}, {"keys": [other]}, {"jwks_url": ADDRESS}, None):
            assert change(both, keys, key, "compromise").sequence == 2

    def test_what_was_revoked_with_a_set_does_not_come_back(
        self, history: KeyHistory, keys: Keystore, set_: dict[str, Any]
    ) -> None:
        gone = change(change(history, keys, set_), keys, None)
        assert "before" in refusal(change, gone, keys, {"keys": set_["keys"][:1]}).detail

    @pytest.mark.parametrize(
        ("damage", "field"),
        [
            (lambda one, other: [one, other | {"kid": one["kid"]}], "key.keys"),
            (lambda one, other: [one, one | {"kid": "again"}], "key.keys"),
            (lambda one, other: [one | {"kid": ""}], "key.keys"),
            (lambda one, other: [one, other | {"n": "AQAB"}], "key.keys.1"),
            (lambda one, other: [one | {"x": one["y"]}], "key.keys.0"),
        ],
    )
    def test_a_damaged_set_is_refused_whole(self, set_: dict[str, Any], damage: Any, field: str) -> None:
        refused = refusal(check_client_key, {"keys": damage(*set_["keys"])}, field="key")
        assert (refused.reason, refused.field) == (Reason.FIELD_INVALID, field)

    def test_a_set_with_a_private_key_is_refused_by_its_name(self, set_: dict[str, Any]) -> None:
        refused = refusal(read, {"keys": [set_["keys"][0] | {"d": "c2VjcmV0"}]}, ClientKey)
        assert (refused.field, "c2VjcmV0" in refused.detail) == ("keys.0.d", False)

    def test_too_many_keys_are_refused(self, set_: dict[str, Any]) -> None:
        many = {"keys": [set_["keys"][0] | {"kid": str(number)} for number in range(MOST_KEYS + 1)]}
        assert refusal(read, many, ClientKey).field == "keys"


class TestPublishedSets:
    def test_what_may_sign_in_is_kept_with_its_algorithm(self, ec_jwk: dict[str, Any], rsa_jwk: dict[str, Any]) -> None:
        bare = {name: value for name, value in ec_jwk.items() if name not in {"alg", "use"}}
        assert [key["alg"] for key in read_key_set({"keys": [bare, rsa_jwk]})] == ["ES384", "RS384"]

    def test_what_is_for_something_else_is_passed_over(self, ec_jwk: dict[str, Any], rsa_jwk: dict[str, Any]) -> None:
        others = [
            rsa_jwk | {"alg": "RS256"},
            ec_jwk | {"use": "enc"},
            public(ECKey.generate_key("P-256"), "ES256"),
            public(OKPKey.generate_key("Ed25519"), "EdDSA"),
        ]
        assert read_key_set({"keys": others}) == []

    @pytest.mark.parametrize("document", [None, [], {}, {"keys": {}}, {"keys": ["one"]}, {"keys": [None]}])
    def test_what_is_no_set_is_refused(self, document: Any) -> None:
        assert refusal(read_key_set, document).reason is Reason.FIELD_INVALID

    def test_too_many_keys_are_refused(self, ec_jwk: dict[str, Any]) -> None:
        many = [ec_jwk | {"kid": str(number)} for number in range(MOST_KEYS + 1)]
        assert len(read_key_set({"keys": many[:-1]})) == MOST_KEYS
        assert refusal(read_key_set, {"keys": many}).field == "keys"

    @pytest.mark.parametrize("kid", [None, "", 1])
    def test_a_key_without_a_name_is_refused(self, ec_jwk: dict[str, Any], kid: Any) -> None:
        assert refusal(read_key_set, {"keys": [ec_jwk | {"kid": kid}]}).field == "keys"

    def test_two_keys_of_one_name_are_refused(self, ec_jwk: dict[str, Any], rsa_jwk: dict[str, Any]) -> None:
        refused = refusal(read_key_set, {"keys": [ec_jwk, rsa_jwk | {"kid": ec_jwk["kid"]}]})
        assert refused.field == "keys"

    @pytest.mark.parametrize(
        "private", [ECKey.generate_key("P-384"), RSAKey.generate_key(2048), OctKey.generate_key(256)]
    )
    def test_a_set_with_a_private_key_is_refused_whole(self, ec_jwk: dict[str, Any], private: Any) -> None:
        refused = refusal(read_key_set, {"keys": [ec_jwk, {**private.as_dict(private=True), "kid": "x"}]})
        assert "private" in refused.detail

    @pytest.mark.parametrize("damage", [{"x": "AAAA"}, {"x": 1}, {"y": None}])
    def test_a_damaged_key_is_refused(self, ec_jwk: dict[str, Any], damage: dict[str, Any]) -> None:
        assert refusal(read_key_set, {"keys": [ec_jwk | damage]}).field == "keys"

    def test_a_small_rsa_key_is_refused(self) -> None:
        small = RSAKey.import_key(rsa.generate_private_key(65537, 1024))
        assert refusal(read_key_set, {"keys": [public(small, "RS384")]}).field == "keys"
