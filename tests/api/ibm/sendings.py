"""What IBM's server SDKs send, so that a test says only what matters to it."""

from typing import Any, Final

EVERY_SETTING: Final[dict[str, Any]] = {
    "apns": {
        "badge": 1,
        "sound": "sound.mp3",
        "interactiveCategory": "Accept",
        "category": "Older",
        "iosActionKey": "PUSH_OFFER",
        "payload": {"offer": {"percent": 20}},
        "type": "MIXED",
        "titleLocKey": "OFFER",
        "titleLocArgs": ["Jenna", "Frank"],
        "locKey": "REPLYTO",
        "locArgs": ["Jenna", "Jenna"],
        "launchImage": "launchImage1.png",
        "title": "IBM",
        "subtitle": "IBM Cloud",
        "attachmentUrl": "https://pictures.example/icon.png",
        "apnsCollapseId": "offer",
        "apnsThreadId": "offers",
        "apnsGroupSummaryArg": "Shop",
        "apnsGroupSummaryArgCount": 10,
    },
    "gcm": {
        "collapseKey": "ping",
        "interactiveCategory": "Accept",
        "icon": "message",
        "delayWhileIdle": "true",
        "sync": "true",
        "visibility": "PRIVATE",
        "redact": "You have a message",
        "channelId": "offers",
        "payload": {"offer": {"percent": 20}},
        "priority": "MAX",
        "sound": "sound.mp3",
        "timeToLive": 60.0,
        "lights": {"ledArgb": "Magneta", "ledOnMs": "100", "ledOffMs": 200},
        "androidTitle": "Title for Android",
        "groupId": "shop",
        "style": {
            "type": "INBOX_NOTIFICATION",
            "title": "Big",
            "url": "https://pictures.example/big.png",
            "text": "IBM Push",
            "lines": ["IBM", "IBM Cloud"],
        },
        "type": "DEFAULT",
    },
    "chromeWeb": {
        "title": "For Chrome",
        "iconUrl": "https://pictures.example/chrome.png",
        "timeToLive": 1.0,
        "payload": {"browser": "chrome"},
    },
    "firefoxWeb": {
        "title": "For Firefox",
        "iconUrl": "https://pictures.example/firefox.png",
        "timeToLive": 2,
        "payload": '{"browser": "firefox"}',
    },
    "chromeAppExt": {
        "collapseKey": "ping",
        "delayWhileIdle": True,
        "title": "For an app of Chrome",
        "iconUrl": "https://pictures.example/app.png",
        "timeToLive": 3,
        "payload": {"browser": "app"},
    },
    "safariWeb": {"title": "IBM", "urlArgs": ["www", "IBM"], "action": "View"},
}
"""Every member of every block, in the spellings of different SDKs."""


def body(
    alert: Any = "20% Off for you", *, url: str | None = None, **settings: Any
) -> dict[str, Any]:
    """A message to everybody, with blocks of settings."""
    message = {"alert": alert} | ({} if url is None else {"url": url})
    return {"message": message} | ({"settings": settings} if settings else {})
