"""
The icons that Safari shows with a web site's notifications (contract §6). Pure.

A site may bring its own; where it does not, a sun of ours stands in.
"""

import struct
import zlib
from functools import cache
from typing import Final

SIZES: Final = {
    "icon_16x16": 16,
    "icon_16x16@2x": 32,
    "icon_32x32": 32,
    "icon_32x32@2x": 64,
    "icon_128x128": 128,
    "icon_128x128@2x": 256,
}
"""Width and height of each, in pixels: all of them must be in a package."""

LARGEST_ICON: Final = 65_536
"""Bytes."""

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEADER: Final = struct.Struct(">I4sII")
_SUN: Final = bytes((245, 166, 35, 255))
_NOTHING: Final = bytes(4)


def problem_of(icon: bytes, size: int) -> str | None:
    """Why a file cannot be an icon of so many pixels each way; None if it can."""
    start = len(_SIGNATURE)
    if len(icon) > LARGEST_ICON:
        return f"it must have at most {LARGEST_ICON} bytes"
    if not icon.startswith(_SIGNATURE) or len(icon) < start + _HEADER.size:
        return "it must be a PNG"
    _, kind, width, height = _HEADER.unpack_from(icon, start)
    if kind != b"IHDR" or (width, height) != (size, size):
        return f"it must be a PNG of {size} by {size} pixels"
    return None


@cache
def sun(size: int) -> bytes:
    """
    A PNG of a disc, so many pixels each way (W3C PNG, third edition).

    Strangers ask for it, and it takes a while, so each size is made once.
    """
    centre, radius = (size - 1) / 2, size * 0.45
    lines = [
        b"\x00"  # no filter
        + b"".join(
            _SUN if (x - centre) ** 2 + (y - centre) ** 2 <= radius**2 else _NOTHING
            for x in range(size)
        )
        for y in range(size)
    ]
    header = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)  # 8 bits, with transparency
    return (
        _SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(b"".join(lines), 9))
        + _chunk(b"IEND", b"")
    )


def suns() -> dict[str, bytes]:
    """All icons of a site that brings none."""
    return {name: sun(size) for name, size in SIZES.items()}


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
