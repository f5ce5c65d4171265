"""How IBM's SDKs put an app's variables into a text (§5.3, §5.5). Pure."""

import re
from collections.abc import Mapping
from typing import Final

from heliograph.client.ibm.profiles import Kind

_BRACED: Final = re.compile(r"\{\{(.*?)\}\}")
_IN_A_WORKER: Final = re.compile(r"\{\{\s*([^}]+)\s*\}\}")
"""Its name takes the spaces that follow it along, and so is not found with them."""


def filled(kind: Kind, text: str, variables: Mapping[str, str]) -> str:
    """
    Replace what stands in double braces, where there is such a variable.

    iOS leaves spaces inside the braces out of account, Android does not, and the worker only
    those at the front.
    """
    match kind:
        case "ios":
            return _BRACED.sub(
                lambda found: variables.get(found[1].replace(" ", ""), found[0]), text
            )
        case "android":
            return _BRACED.sub(lambda found: variables.get(found[1], found[0]), text)
        case "web":
            return _IN_A_WORKER.sub(lambda found: variables.get(found[1], found[0]), text)
