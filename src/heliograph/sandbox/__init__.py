"""
Imitations of Apple's, Google's and the browsers' push services, and an inbox of what arrived.

Written from the vendors' documents, not from the product's gateways: of the product only
``heliograph.wire`` is shared, so that both cannot share one misunderstanding.
"""

from heliograph.sandbox.authority import Authority
from heliograph.sandbox.credentials import Credentials
from heliograph.sandbox.server import Sandbox

__all__ = ["Authority", "Credentials", "Sandbox"]
