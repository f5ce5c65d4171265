"""
The dialect as OpenAPI 3.1 describes it: for people, for tools, and for who tests us.

Pure. Limits are those that the rest of this folder checks; a test holds the paths against
the router's. What is the same on every path (what the door refuses) is said once.
"""

from typing import Final

from heliograph.api.beams.openapi.paths import paths, refusals
from heliograph.api.beams.openapi.schemas import SCHEMAS, Json


def describe(version: str) -> Json:
    """
    The whole description.

    Args:
        version: Of the product.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Heliograph, in the words of Pusher Beams",
            "version": version,
            "summary": "Publish to a person, and every device where they are logged in shows it.",
            "description": _ABOUT,
        },
        "tags": [{"name": name, "description": about} for name, about in _TAGS.items()],
        "paths": paths(),
        "components": {
            "securitySchemes": {
                "secretKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The instance's secret key. For back ends only.",
                },
                "beamsToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "What the customer's back end vouches for a person with: a JSON "
                    "Web Token by HS256 under the secret key, with `sub`, `iss` and `exp`.",
                },
            },
            "schemas": SCHEMAS,
            "responses": refusals(),
        },
    }


_ABOUT: Final = """\
Every answer that is no success is `{"error", "description"}`. A success is exactly 200. The
instance's id stands in each path. Devices have no credential but their id; back ends bear the
instance's secret key.
"""

_TAGS: Final = {
    "Publish": "For back ends: send to people, or to whoever subscribed to an interest.",
    "Users": "For back ends: forget a person.",
    "Devices": "For apps: register, log in, subscribe.",
    "Reports": "For apps: say what arrived, and what was opened.",
}
