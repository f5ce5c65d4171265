"""What HTTP/2 frames look like (RFC 9113 §4, §6, §7)."""

from enum import IntEnum
from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

HEAD_BYTES: Final = 9

HEAD: Final = Struct(">IBI")
"""The head of a frame: length and kind in one number (``length << 8 | kind``), flags, stream."""

DEFAULT_FRAME_BYTES: Final = 16_384
"""Largest payload that every peer takes, and that we take: we do not ask for more."""

DEFAULT_WINDOW: Final = 65_535
"""Flow-control window of a connection and of its streams until told otherwise."""

MAX_WINDOW: Final = 2**31 - 1

MAX_STREAM_ID: Final = 2**31 - 1


class Kind(IntEnum):
    """The type of a frame (§6)."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


OF_CONNECTION: Final = frozenset({Kind.SETTINGS, Kind.PING, Kind.GOAWAY})
_OF_STREAMS: Final = frozenset(
    {Kind.DATA, Kind.HEADERS, Kind.PRIORITY, Kind.RST_STREAM, Kind.CONTINUATION}
)
"""Which streams they make sense on; WINDOW_UPDATE is for both, and unknown frames are ignored."""

_SIZES: Final[dict[int, int]] = {Kind.RST_STREAM: 4, Kind.PING: 8, Kind.WINDOW_UPDATE: 4}

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITY: Final = 0x20


class Setting(IntEnum):
    """What a peer may set (§6.5.2)."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    """Why a stream or a connection ended (§7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13

    @classmethod
    def name_of(cls, code: int) -> str:
        """The name of a code, or its number where it has none."""
        return cls(code).name if code in cls._value2member_map_ else f"error {code}"


class ProtocolError(Exception):
    """The peer broke a rule that costs it the connection; carries the code to say so."""

    def __init__(self, code: ErrorCode, rule: str) -> None:
        super().__init__(rule)
        self.code = code


def check_shape(kind: int, stream_id: int, length: int) -> None:
    """
    Refuse frames of a wrong size, or on a stream where they make no sense (§6).

    Raises:
        ProtocolError: It is one.
    """
    if (
        length != _SIZES.get(kind, length)
        or (kind == Kind.SETTINGS and length % 6)
        or (kind == Kind.GOAWAY and length < 8)  # noqa: PLR2004
    ):
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "a frame of the wrong size")
    if (kind in _OF_STREAMS and stream_id == 0) or (kind in OF_CONNECTION and stream_id != 0):
        raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a frame on the wrong stream")


def frame(kind: Kind, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream_id) + payload


def settings(values: dict[Setting, int]) -> bytes:
    """A SETTINGS frame."""
    pairs = [code.to_bytes(2) + value.to_bytes(4) for code, value in values.items()]
    return frame(Kind.SETTINGS, 0, 0, b"".join(pairs))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """The pairs in a SETTINGS payload, whose length is a multiple of six."""
    return [
        (int.from_bytes(payload[at : at + 2]), int.from_bytes(payload[at + 2 : at + 6]))
        for at in range(0, len(payload), 6)
    ]


def window_update(stream_id: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame(Kind.WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4))


def rst_stream(stream_id: int, code: ErrorCode) -> bytes:
    """A RST_STREAM frame."""
    return frame(Kind.RST_STREAM, 0, stream_id, code.to_bytes(4))


def goaway(code: ErrorCode) -> bytes:
    """A GOAWAY frame from a client: the server has opened no stream that could be the last."""
    return frame(Kind.GOAWAY, 0, 0, bytes(4) + code.to_bytes(4))


def headers(stream_id: int, block: bytes, *, end_stream: bool, max_bytes: int) -> bytes:
    """A header block in as many frames as it takes (§4.3): HEADERS, then CONTINUATION."""
    flags = END_STREAM if end_stream else 0
    if len(block) <= max_bytes:
        return frame(Kind.HEADERS, flags | END_HEADERS, stream_id, block)
    pieces = [block[at : at + max_bytes] for at in range(0, len(block), max_bytes)]
    return b"".join(
        [
            frame(Kind.HEADERS, flags, stream_id, pieces[0]),
            *(frame(Kind.CONTINUATION, 0, stream_id, piece) for piece in pieces[1:-1]),
            frame(Kind.CONTINUATION, END_HEADERS, stream_id, pieces[-1]),
        ]
    )


def without_padding(flags: int, payload: bytes, *, priority: bool = False) -> bytes:
    """
    The payload of a DATA or HEADERS frame without padding and priority fields.

    Raises:
        ProtocolError: There is more padding than payload.
    """
    skipped = 5 if priority and flags & PRIORITY else 0
    padding = 0
    if flags & PADDED:
        if not payload:
            raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "a padded frame without pad length")
        padding = payload[0]
        skipped += 1
    end = len(payload) - padding
    if end < skipped:
        raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return payload[skipped:end]
