"""Column types: how our values look in a database that need not be SQLite."""

import json
import sys
from array import array
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, Text
from sqlalchemy.types import TypeDecorator

Serial = BigInteger().with_variant(Integer, "sqlite")
"""An ascending number; SQLite only counts by itself in an INTEGER PRIMARY KEY."""

Sortable = Text().with_variant(Text(collation="C"), "postgresql")
"""Text in the order of its code points, as in SQLite, and not in that of some language."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_encoder = json.JSONEncoder(separators=(",", ":"))


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as microseconds since the epoch: compact and comparable."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Microseconds; a naive datetime is a ValueError, for it could mean any instant."""
        del dialect
        return None if value is None else self.written(value)

    @staticmethod
    def written(value: datetime) -> int:
        """What is kept."""
        if value.tzinfo is None:
            raise ValueError("an instant must be aware")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """An aware UTC datetime."""
        del dialect
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Json(TypeDecorator[dict[str, Any]]):
    """A JSON object, kept as text on every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> str | None:
        """Compact JSON in ASCII, so that no database objects to a character."""
        del dialect
        return None if value is None else self.written(value)

    @staticmethod
    def written(value: dict[str, Any]) -> str:
        """What is kept."""
        return _encoder.encode(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:
        """The object."""
        del dialect
        return None if value is None else json.loads(value)


class Identity(TypeDecorator[str]):
    """An id that a caller may ask for: one with a NUL, to which PostgreSQL objects, is none."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The id itself; for what can be none, nothing that is an id either."""
        del dialect
        return "" if value is not None and "\x00" in value else value


class Numbers(TypeDecorator["array[int]"]):
    """Many serial numbers in one value: eight bytes each, in the order given."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: "array[int] | None", dialect: Dialect) -> bytes | None:
        """Little-endian 64-bit integers, whatever this machine prefers."""
        del dialect
        if value is None:
            return None
        return _little_endian(value).tobytes()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> "array[int] | None":
        """An array of type ``q``."""
        del dialect
        if value is None:
            return None
        return _little_endian(array("q", value))


class Milliseconds(TypeDecorator["array[int]"]):
    """
    Many short times in one value: two bytes each, in the order given.

    ``UNKNOWN`` stands for one that nobody measured; what is longer than ``LONGEST`` is
    kept as that.
    """

    impl = LargeBinary
    cache_ok = True

    UNKNOWN: Final = 0xFFFF
    LONGEST: Final = 0xFFFE

    def process_bind_param(self, value: "array[int] | None", dialect: Dialect) -> bytes | None:
        """Little-endian 16-bit integers, from an array of any type."""
        del dialect
        if value is None:
            return None
        try:
            return _little_endian(array("H", value)).tobytes()
        except OverflowError:
            unknown, longest = self.UNKNOWN, self.LONGEST
            short = [each if each <= longest or each == unknown else longest for each in value]
            return _little_endian(array("H", short)).tobytes()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> "array[int] | None":
        """An array of type ``H``."""
        del dialect
        if value is None:
            return None
        return _little_endian(array("H", value))


def _little_endian(numbers: "array[int]") -> "array[int]":
    if sys.byteorder == "little":
        return numbers
    swapped = array(numbers.typecode, numbers)
    swapped.byteswap()
    return swapped
