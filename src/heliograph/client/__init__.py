"""
Python SDKs for Heliograph; they need httpx and joserfc, and nothing else of this package.

``publish``
    For a back end: publish to users or interests, sign Beams tokens, delete users.
    The names are those of Pusher's Python server SDK.
``device``
    For a program that stands for a device: what Beams' iOS SDK is to an app.
``ibm.device``
    The same for apps of IBM Push Notifications: what IBM's client SDKs are to them.

Each SDK is a core of operations that do no I/O (``steps`` says how) under two thin
skins, one synchronous and one for asyncio.
"""
