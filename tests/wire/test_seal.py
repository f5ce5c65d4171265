"""Secrets at rest: only the same key and place open them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.wire.seal import Seal

MASTER_KEY = "correct horse battery staple"
NONCE = bytes(range(12))
CONTEXT = "instance/7/vapid"
STORED = "01000102030405060708090a0b4c07d428d921adbde8f18f4fc71e676c46efe578b5a4"


def sealed(plaintext: bytes = b"secret", *, context: str = CONTEXT) -> bytes:
    return Seal(MASTER_KEY).seal(plaintext, context=context, nonce=NONCE)


@given(st.binary(), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_opens(plaintext: bytes, context: str) -> None:
    """Any value in any context comes back, for whoever has the master key."""
    assert plaintext == Seal(MASTER_KEY).open(sealed(plaintext, context=context), context=context)


def test_the_form_does_not_change() -> None:
    """
    A value that an earlier release sealed still opens.

    Computed once with HKDF-SHA256 (no salt, info "heliograph seal 1") and AES-256-GCM.
    """
    stored = bytes.fromhex(STORED)

    assert stored == sealed()
    assert b"secret" == Seal(MASTER_KEY).open(stored, context=CONTEXT)


def test_a_sealed_value_starts_with_its_version_and_hides_its_text() -> None:
    """Version, nonce, then nothing that can be read."""
    value = sealed()

    assert b"\x01" + NONCE == value[:13]
    assert b"secret" not in value
    assert len(b"secret") + 29 == len(value)


def test_another_master_key_does_not_open_it() -> None:
    """A stolen database is of no use without the master key."""
    with pytest.raises(ValueError, match="does not open"):
        Seal("another").open(sealed(), context=CONTEXT)


def test_it_does_not_open_elsewhere() -> None:
    """A value moved to another row or column is noticed."""
    with pytest.raises(ValueError, match="does not open"):
        Seal(MASTER_KEY).open(sealed(), context="instance/8/vapid")


@given(st.integers(0, len(sealed()) - 1), st.integers(1, 255))
def test_an_altered_value_does_not_open(position: int, difference: int) -> None:
    """Any change to any byte is noticed, the version included."""
    altered = bytearray(sealed())
    altered[position] ^= difference

    with pytest.raises(ValueError):
        Seal(MASTER_KEY).open(bytes(altered), context=CONTEXT)


@given(st.binary(max_size=64) | st.binary(max_size=64).map(b"\x01".__add__))
def test_opening_raises_nothing_but_value_error(value: bytes) -> None:
    """Whatever the bytes, open says ValueError."""
    with pytest.raises(ValueError):
        Seal(MASTER_KEY).open(value, context=CONTEXT)


@pytest.mark.parametrize("nonce", [b"", bytes(11), bytes(13)])
def test_a_nonce_of_another_length_is_refused(nonce: bytes) -> None:
    """A nonce is 12 bytes: other lengths would make values that cannot be read back."""
    with pytest.raises(ValueError, match="12 bytes"):
        Seal(MASTER_KEY).seal(b"secret", context=CONTEXT, nonce=nonce)


def test_an_empty_master_key_is_refused() -> None:
    """No key is not a key."""
    with pytest.raises(ValueError, match="empty"):
        Seal("")


def test_a_seal_does_not_show_its_key() -> None:
    """The master key is in no representation of the object."""
    assert MASTER_KEY not in repr(Seal(MASTER_KEY))
