"""Encrypted bodies against the published vectors, and against everything else."""

from base64 import urlsafe_b64decode

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from heliograph.wire import ece


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


# RFC 8291 Appendix A, https://www.rfc-editor.org/rfc/rfc8291#appendix-A
PLAINTEXT = b"When I grow up, I want to be a watermelon"
SENDER_SCALAR = decoded("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
SENDER_POINT = decoded(
    "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
)
BROWSER_SCALAR = decoded("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")
BROWSER_POINT = decoded(
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
)
AUTH = decoded("BTBZMqHH6r4Tts7J_aSIgg")
SALT = decoded("DGv6ra1nlYgDCS1FRnbzlw")
BODY = decoded(
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6T"
    "lzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4"
    "a-fN"
)

# RFC 8188 §3.1 and §3.2, https://www.rfc-editor.org/rfc/rfc8188#section-3
WALRUS = b"I am the walrus"
ONE_RECORD_KEY = decoded("yqdlZ-tYemfogSmv7Ws5PQ")
ONE_RECORD = decoded("I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg")
TWO_RECORDS_KEY = decoded("BO3ZVPxUlnLORbVGMpbT1Q")
TWO_RECORDS = decoded(
    "uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_"
    "uA"
)

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def encrypted(plaintext: bytes, *, auth: bytes = AUTH, salt: bytes = SALT) -> bytes:
    return ece.encrypt(
        plaintext,
        p256dh=BROWSER_POINT,
        auth=auth,
        private_key=ece.private_key_of(SENDER_SCALAR),
        salt=salt,
    )


def records(*texts: bytes, size: int) -> bytes:
    """A body of these padded texts, written with other means than the code under test."""
    salt, key = bytes(16), ONE_RECORD_KEY

    def derived(info: bytes, length: int) -> bytes:
        return HKDF(SHA256(), length=length, salt=salt, info=info).derive(key)

    cipher = AESGCM(derived(b"Content-Encoding: aes128gcm\x00", 16))
    nonce = int.from_bytes(derived(b"Content-Encoding: nonce\x00", 12), "big")
    sealed = [
        cipher.encrypt((nonce ^ sequence).to_bytes(12, "big"), text, None)
        for sequence, text in enumerate(texts)
    ]
    return salt + size.to_bytes(4, "big") + b"\x00" + b"".join(sealed)


def test_rfc_8291_example_is_written() -> None:
    """The RFC's keys, salt and text give the RFC's body byte for byte."""
    assert BODY == encrypted(PLAINTEXT)


def test_rfc_8291_example_is_read() -> None:
    """The RFC's body opens with the browser's scalar."""
    assert PLAINTEXT == ece.decrypt(BODY, private_key=BROWSER_SCALAR, auth=AUTH)


def test_rfc_8188_one_record_is_written() -> None:
    """A body under a shared key is the one of RFC 8188 §3.1."""
    assert ONE_RECORD == ece.encrypt_content(WALRUS, key=ONE_RECORD_KEY, salt=ONE_RECORD[:16])


@pytest.mark.parametrize(
    "body, key",
    [
        pytest.param(ONE_RECORD, ONE_RECORD_KEY, id="§3.1 one record"),
        pytest.param(TWO_RECORDS, TWO_RECORDS_KEY, id="§3.2 two records, padding and a key id"),
    ],
)
def test_rfc_8188_examples_are_read(body: bytes, key: bytes) -> None:
    """Both of the RFC's bodies give its text."""
    assert WALRUS == ece.decrypt_content(body, key=key)


@pytest.mark.parametrize(
    "scalar, point",
    [
        pytest.param(SENDER_SCALAR, SENDER_POINT, id="sender"),
        pytest.param(BROWSER_SCALAR, BROWSER_POINT, id="browser"),
    ],
)
def test_a_scalar_makes_its_public_key(scalar: bytes, point: bytes) -> None:
    """The RFC's private keys give the RFC's public keys."""
    assert point == ece.public_key_bytes(ece.private_key_of(scalar))


@given(st.binary(max_size=ece.MAX_PLAINTEXT_BYTES), st.binary(min_size=16, max_size=16))
def test_what_is_encrypted_can_be_read(plaintext: bytes, salt: bytes) -> None:
    """Any text that fits comes back unchanged, trailing zeros included."""
    body = encrypted(plaintext, salt=salt)

    assert plaintext == ece.decrypt(body, private_key=BROWSER_SCALAR, auth=AUTH)


def test_a_sender_may_serve_many_browsers() -> None:
    """
    One key pair encrypts for any number of browsers, and each reads its own.

    The messages have nothing in common but the sender's point and the record size.
    """
    sender = ece.Sender(ece.private_key_of(SENDER_SCALAR))
    bodies = [
        sender.encrypt(PLAINTEXT, p256dh=point, auth=AUTH, salt=salt)
        for point, salt in [(BROWSER_POINT, SALT), (SENDER_POINT, bytes(16))]
    ]

    assert [BODY, PLAINTEXT, PLAINTEXT, True] == [
        bodies[0],
        ece.decrypt(bodies[0], private_key=BROWSER_SCALAR, auth=AUTH),
        ece.decrypt(bodies[1], private_key=SENDER_SCALAR, auth=AUTH),
        bodies[0][16:86] == bodies[1][16:86],
    ]


@given(st.binary(min_size=1, max_size=50))
def test_a_salt_alone_changes_the_whole_record(plaintext: bytes) -> None:
    """The same text from the same sender for the same browser is another record each time."""
    one, other = encrypted(plaintext, salt=SALT), encrypted(plaintext, salt=bytes(16))

    assert one[86:] != other[86:]


def test_a_browser_that_is_known_is_told_apart_from_a_bad_key() -> None:
    """A key that has been refused is refused again, and one that was good stays good."""
    answers = [ece.is_public_key(key) for key in (BROWSER_POINT, b"\x04" + bytes(64)) * 3]

    assert [True, False] * 3 == answers


def test_the_longest_text_makes_the_longest_body() -> None:
    """3,993 bytes of text are 4,096 bytes of body, all that a service must take."""
    assert 4096 == len(encrypted(bytes(ece.MAX_PLAINTEXT_BYTES)))


def test_a_longer_text_is_refused() -> None:
    """One byte more than the maximum is not sent out."""
    with pytest.raises(ValueError, match="more than 3993"):
        encrypted(bytes(ece.MAX_PLAINTEXT_BYTES + 1))


@pytest.mark.parametrize(
    "auth, salt",
    [
        pytest.param(bytes(15), SALT, id="short secret"),
        pytest.param(AUTH, bytes(15), id="short salt"),
        pytest.param(AUTH, b"", id="no salt"),
    ],
)
def test_secrets_of_another_length_are_refused(auth: bytes, salt: bytes) -> None:
    """A secret or salt that is not 16 bytes is a mistake, not a weaker message."""
    with pytest.raises(ValueError):
        encrypted(PLAINTEXT, auth=auth, salt=salt)


def test_a_shared_key_text_must_fit_its_record() -> None:
    """Text, delimiter and tag together are at most a record."""
    with pytest.raises(ValueError, match="one record"):
        ece.encrypt_content(bytes(4080), key=ONE_RECORD_KEY, salt=SALT)


def test_padding_is_taken_off() -> None:
    """Zeros after the delimiter are not part of the text."""
    body = records(b"text\x00\x02" + bytes(100), size=4096)

    assert b"text\x00" == ece.decrypt_content(body, key=ONE_RECORD_KEY)


def test_many_records_are_joined() -> None:
    """Each record's nonce counts on, and only the last ends with 0x02."""
    body = records(b"ab\x01\x00", b"cd\x01\x00", b"e\x02", size=20)

    assert b"abcde" == ece.decrypt_content(body, key=ONE_RECORD_KEY)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(records(b"ab\x01\x00", size=20), id="cut after a record that is not the last"),
        pytest.param(records(b"ab\x02\x00", b"cd\x02", size=20), id="goes on after the last"),
        pytest.param(records(bytes(4), size=20), id="nothing but padding"),
        pytest.param(records(b"ab\x03", size=20), id="unknown delimiter"),
        pytest.param(bytes(16) + b"\x00\x00\x00\x11\x00" + bytes(17), id="record size 17"),
        pytest.param(bytes(16) + b"\x00\x00\x10\x00\x00", id="no record"),
        pytest.param(bytes(16) + b"\x00\x00\x10\x00\xff" + bytes(255), id="nothing after key id"),
        pytest.param(bytes(20), id="ends inside the header"),
    ],
)
def test_malformed_records_are_refused(body: bytes) -> None:
    """What breaks RFC 8188 is not read, so that a message cut short is noticed."""
    with pytest.raises(ValueError):
        ece.decrypt_content(body, key=ONE_RECORD_KEY)


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_an_altered_message_is_refused(position: int, difference: int) -> None:
    """
    Any change to any byte is noticed.

    The record size is the one field outside the authentication, and may grow.
    """
    altered = bytearray(BODY)
    altered[position] ^= difference
    if 16 <= position < 20 and int.from_bytes(altered[16:20], "big") >= len(BODY) - 86:
        return

    with pytest.raises(ValueError):
        ece.decrypt(bytes(altered), private_key=BROWSER_SCALAR, auth=AUTH)


@given(st.integers(0, len(BODY) - 1))
def test_a_message_cut_short_is_refused(length: int) -> None:
    """No beginning of a message passes for a message."""
    with pytest.raises(ValueError):
        ece.decrypt(BODY[:length], private_key=BROWSER_SCALAR, auth=AUTH)


@given(st.binary(max_size=300), st.binary(max_size=40), st.binary(max_size=20))
def test_reading_raises_nothing_but_value_error(body: bytes, scalar: bytes, auth: bytes) -> None:
    """Whatever the bytes, keys and secrets, decrypt says ValueError."""
    with pytest.raises(ValueError):
        ece.decrypt(body, private_key=scalar, auth=auth)


def test_another_browser_cannot_read_it() -> None:
    """The browser's private key is needed."""
    with pytest.raises(ValueError, match="does not open"):
        ece.decrypt(BODY, private_key=SENDER_SCALAR, auth=AUTH)


def test_another_secret_cannot_read_it() -> None:
    """The authentication secret is needed as well."""
    with pytest.raises(ValueError, match="does not open"):
        ece.decrypt(BODY, private_key=BROWSER_SCALAR, auth=bytes(16))


@pytest.mark.parametrize(
    "expected, p256dh",
    [
        pytest.param(True, BROWSER_POINT, id="a browser's key"),
        pytest.param(False, b"\x04" + bytes(64), id="not on the curve"),
        pytest.param(False, BROWSER_POINT[:-1], id="cut short"),
        pytest.param(False, BROWSER_POINT + b"\x00", id="too long"),
        pytest.param(False, b"\x02" + BROWSER_POINT[1:33], id="compressed"),
        pytest.param(False, b"\x06" + BROWSER_POINT[1:], id="hybrid"),
        pytest.param(False, b"\x00", id="the point at infinity"),
        pytest.param(False, b"", id="empty"),
    ],
)
def test_public_keys_are_told_from_other_bytes(*, expected: bool, p256dh: bytes) -> None:
    """Only 65 bytes that are a point on P-256 are a browser's key."""
    assert expected == ece.is_public_key(p256dh)


@given(st.binary(max_size=70) | st.binary(min_size=64, max_size=64).map(b"\x04".__add__))
def test_any_bytes_can_be_asked_about(p256dh: bytes) -> None:
    """is_public_key never raises."""
    assert isinstance(ece.is_public_key(p256dh), bool)


def test_a_wrong_browser_key_is_refused() -> None:
    """A point off the curve would leak the sender's key, so it is never used."""
    with pytest.raises(ValueError):
        ece.encrypt(
            PLAINTEXT,
            p256dh=b"\x04" + bytes(64),
            auth=AUTH,
            private_key=ece.private_key_of(SENDER_SCALAR),
            salt=SALT,
        )


@pytest.mark.parametrize(
    "scalar",
    [
        pytest.param(bytes(32), id="zero"),
        pytest.param(P256_ORDER.to_bytes(32, "big"), id="the order of the curve"),
        pytest.param(b"\xff" * 32, id="more than the order"),
        pytest.param(b"\x01" * 31, id="31 bytes"),
        pytest.param(b"\x01" * 33, id="33 bytes"),
    ],
)
def test_numbers_that_are_no_private_key_are_refused(scalar: bytes) -> None:
    """A scalar is 32 bytes between 1 and the order of the curve."""
    with pytest.raises(ValueError):
        ece.private_key_of(scalar)
