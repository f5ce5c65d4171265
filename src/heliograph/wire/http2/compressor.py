"""
The compressing end of HPACK (RFC 7541): templates in the words of one connection.

What may enter the peer's table follows Apple's advice: constants do, except those that
are secret or would push others out. Holes never do.
"""

from typing import Final

from hpack.table import HeaderTable, table_entry_size

from heliograph.wire.http2.literals import integer, text
from heliograph.wire.http2.templates import Compiled, Template

MAX_TABLE_BYTES: Final = 4096
"""What we use of a peer's table, however much it offers."""

_NEVER_INDEXED: Final = frozenset({b":path", b"authorization"})
"""Secrets: no intermediary may put them into a table either (RFC 7541 §7.1.3)."""

_LITERAL: Final = frozenset({b"apns-id", b"apns-expiration", b"apns-collapse-id", b"topic"})
"""Fields that change from publish to publish, and would push lasting ones out of the table."""

_INCREMENTAL_PREFIX: Final = (0x40, 6)
_LITERAL_PREFIX: Final = (0x00, 4)
_NEVER_PREFIX: Final = (0x10, 4)
"""First byte and width of the index of the three literal forms (RFC 7541 §6.2)."""


class Compressor:
    """The compressing end of HPACK: the peer's table as we have filled it."""

    def __init__(self) -> None:
        self.generation = 0
        """Grows whenever references to the table change their meaning."""
        self._table = HeaderTable()
        self._lowest = MAX_TABLE_BYTES
        self._announced = MAX_TABLE_BYTES

    def resize(self, limit: int) -> None:
        """Keep to the peer's SETTINGS_HEADER_TABLE_SIZE from the next block on."""
        size = min(limit, MAX_TABLE_BYTES)
        self._lowest = min(self._lowest, size)
        self._table.maxsize = size
        self.generation += 1

    def compile(self, template: Template) -> Compiled:
        """
        Compile a template for the next header block.

        What enters the table with that block can be referred to only by the next: then
        the result is out of date at once (its generation is over), and the second
        compilation is the one that lasts.
        """
        generation = self.generation
        parts: list[bytes] = []
        pending = [self._size_updates()]
        room = self._table.maxsize
        for name, value in template.fields:
            if value is None:
                prefix = _NEVER_PREFIX if name in _NEVER_INDEXED else _LITERAL_PREFIX
                parts.append(b"".join([*pending, self._name(name, prefix)]))
                pending = []
                continue
            is_static = self._is_static(name, value)
            size = 0 if is_static else table_entry_size(name, value)
            lasting = name not in _NEVER_INDEXED | _LITERAL and size <= room
            if lasting:
                room -= size
            pending.append(self._constant(name, value, lasting=lasting))
        parts.append(b"".join(pending))
        return Compiled(template, tuple(parts), generation)

    def _constant(self, name: bytes, value: bytes, *, lasting: bool) -> bytes:
        found = self._table.search(name, value)
        if lasting and found is not None and found[2] is not None:
            return integer(found[0], 0x80, 7)
        if lasting:
            self._table.add(name, value)
            self.generation += 1
            return self._name(name, _INCREMENTAL_PREFIX) + text(value, huffman=True)
        prefix = _NEVER_PREFIX if name in _NEVER_INDEXED else _LITERAL_PREFIX
        return self._name(name, prefix) + text(value, huffman=True)

    def _name(self, name: bytes, prefix: tuple[int, int]) -> bytes:
        """The beginning of a literal: its form, and its name by reference if it is a static one."""
        first, width = prefix
        known = HeaderTable.STATIC_TABLE_MAPPING.get(name)
        if known is not None:
            return integer(known[0], first, width)
        return bytes([first]) + text(name, huffman=True)

    def _is_static(self, name: bytes, value: bytes) -> bool:
        known = HeaderTable.STATIC_TABLE_MAPPING.get(name)
        return known is not None and value in known[1]

    def _size_updates(self) -> bytes:
        """What the peer must be told of the table's size before all else (RFC 7541 §4.2)."""
        size, lowest = self._table.maxsize, self._lowest
        told = b""
        if lowest < min(self._announced, size):
            told += integer(lowest, 0x20, 5)
        if told or size != self._announced:
            told += integer(size, 0x20, 5)
            self.generation += 1  # said once, not in every request
        self._lowest = self._announced = size
        return told
