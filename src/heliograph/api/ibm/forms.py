"""Forms with files: how settings that have a certificate are put (contract §6)."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from heliograph.api.bodies import read_bytes
from heliograph.api.ibm.door import check_media_type
from heliograph.api.ibm.problems import Code, invalid, problem
from heliograph.api.ibm.values import text

LARGEST_FORM: Final = 1_048_576
"""Bytes: a certificate has a few thousand, an icon some tens of thousands."""

_MOST_PARTS: Final = 32


@dataclass(frozen=True, slots=True)
class File:
    """A file of a form."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Form:
    """What a form holds."""

    texts: Mapping[str, str] = field(repr=False)
    files: Mapping[str, File]

    def text(self, name: str) -> str:
        """
        A text that is needed.

        Raises:
            Problem: 400.
        """
        if not self.texts.get(name):
            raise invalid(name, "it is required")
        return self.texts[name]

    def file(self, name: str) -> File:
        """
        A file that is needed.

        Raises:
            Problem: 400.
        """
        if name not in self.files:
            raise invalid(name, "it is required, as a file")
        return self.files[name]


async def read_form(request: Request) -> Form:
    """
    The form in a body, which is read no further than it may be long.

    Raises:
        Problem: 400 or 415.
    """
    check_media_type(request, wanted="multipart/form-data")
    body = await read_bytes(request, most_bytes=LARGEST_FORM)
    parser = MultiPartParser(
        request.headers,
        _once(body),
        max_files=_MOST_PARTS,
        max_fields=_MOST_PARTS,
        max_part_size=LARGEST_FORM,
    )
    try:
        parts = await parser.parse()
    except (MultiPartException, FormParserError, KeyError, ValueError):
        raise problem(Code.INVALID_JSON, "The body is no form with parts") from None
    texts: dict[str, str] = {}
    files: dict[str, File] = {}
    try:
        for name, part in parts.multi_items():
            text("name", name)  # a charset that a client makes up can lead to anything
            if isinstance(part, UploadFile):
                files[name] = File(part.filename or name, await part.read())
            else:
                texts[name] = text(name, part)
    finally:
        await parts.close()
    return Form(texts, files)


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
