"""
The message of FCM's HTTP v1 API: its fields as a table, and what is wrong with a given one.

Source: "REST Resource: projects.messages". Names are accepted in snake_case and in camelCase,
as protobuf's JSON mapping has it. Violations carry Google's field paths.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

MAX_PAYLOAD_BYTES: Final = 4096
MAX_TTL_SECONDS: Final = 2_419_200
"""Four weeks."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong, and where."""

    field: str
    description: str


Check = Callable[[object, str], Iterator[Violation]]
"""Yields what is wrong with a value at a path."""


def violations(envelope: object) -> list[Violation]:
    """Everything wrong with the JSON of a send request; empty if it is a good one."""
    found = list(_message_envelope(envelope, ""))
    if found:
        return found
    message = message_of(envelope)
    return list(_wrong_target(message)) or list(_wrong_data(message))


def message_of(envelope: object) -> dict[str, object]:
    """The message in a request, its field names in snake_case; empty if there is none."""
    message = as_object(as_object(envelope).get("message"))
    return {_snake_case(name): value for name, value in message.items()}


def validate_only(envelope: object) -> bool:
    """Whether the sender only wants to know if the message is good."""
    fields = as_object(envelope)
    return True in (fields.get("validate_only"), fields.get("validateOnly"))


def payload_bytes(message: Mapping[str, object]) -> int:
    """
    How much of the payload limit a message uses.

    Counted are the UTF-8 names and values of what an Android app receives, without
    JSON's punctuation.
    """
    android = as_object(message.get("android"))
    data = as_object(message.get("data")) | as_object(android.get("data"))
    notification = as_object(message.get("notification")) | as_object(android.get("notification"))
    return sum(len(f"{name}{value}".encode()) for name, value in (data | notification).items())


def as_object(value: object) -> dict[str, object]:
    """The value if it is a JSON object; else an empty one."""
    return value if isinstance(value, dict) else {}


def _wrong_target(message: Mapping[str, object]) -> Iterator[Violation]:
    targets = [name for name in ("token", "topic", "condition") if message.get(name)]
    if not targets:
        yield Violation("message", "Recipient of the message is not set.")
    if len(targets) > 1:
        yield Violation("message", "Invalid value (oneof), oneof field 'target' is already set.")


def _wrong_data(message: Mapping[str, object]) -> Iterator[Violation]:
    sections = {"message.data": message, "message.android.data": message.get("android")}
    for path, section in sections.items():
        for name in as_object(as_object(section).get("data")):
            if name in {"from", "message_type"} or name.startswith(("gcm", "google")):
                yield Violation(path, f"Invalid data payload key: {name}")


def _text(value: object, path: str) -> Iterator[Violation]:
    if not isinstance(value, str):
        yield _bad_value(path, "TYPE_STRING", value)


def _flag(value: object, path: str) -> Iterator[Violation]:
    if not isinstance(value, bool):
        yield _bad_value(path, "TYPE_BOOL", value)


def _number(value: object, path: str) -> Iterator[Violation]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield _bad_value(path, "TYPE_FLOAT", value)


def _integer(value: object, path: str) -> Iterator[Violation]:
    if isinstance(value, bool) or not isinstance(value, int):
        yield _bad_value(path, "TYPE_INT32", value)


_DURATION: Final = re.compile(r"(\d{1,12})(\.\d{1,9})?s")


def _duration(value: object, path: str) -> Iterator[Violation]:
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        yield Violation(
            path,
            f"Invalid value at '{path}' (type.googleapis.com/google.protobuf.Duration), "
            "Field must end with 's' and hold a number of seconds",
        )


def _ttl(value: object, path: str) -> Iterator[Violation]:
    wrong = list(_duration(value, path))
    yield from wrong
    if not wrong and float(str(value)[:-1]) > MAX_TTL_SECONDS:
        yield Violation(path, f"Invalid TTL: at most {MAX_TTL_SECONDS}s")


def _choice(kind: str, *values: str) -> Check:
    def check(value: object, path: str) -> Iterator[Violation]:
        if value not in values:
            yield _bad_value(path, f"type.googleapis.com/google.firebase.fcm.v1.{kind}", value)

    return check


def _struct(value: object, path: str) -> Iterator[Violation]:
    if not isinstance(value, dict):
        yield _bad_value(path, "type.googleapis.com/google.protobuf.Struct", value)


def _text_map(value: object, path: str) -> Iterator[Violation]:
    if not isinstance(value, dict):
        yield _bad_value(path, "Map", value)
        return
    for place, text in enumerate(value.values()):
        yield from _text(text, f"{path}[{place}].value")


def _check_list(item: Check, value: object, path: str) -> Iterator[Violation]:
    if not isinstance(value, list):
        yield _bad_value(path, "repeated", value)
        return
    for place, element in enumerate(value):
        yield from item(element, f"{path}[{place}]")


def _check_fields(table: Mapping[str, Check], value: object, path: str) -> Iterator[Violation]:
    if not isinstance(value, dict):
        yield _bad_value(path, "object", value)
        return
    for name, element in value.items():
        check = table.get(_snake_case(name))
        where = f"{path}.{_snake_case(name)}".removeprefix(".")
        if check is None:
            yield Violation(
                path,
                f'Invalid JSON payload received. Unknown name "{name}"'
                + (f" at '{path}'" if path else "")
                + ": Cannot find field.",
            )
        elif element is not None:
            yield from check(element, where)


def _list_of(item: Check) -> Check:
    return partial(_check_list, item)


def _fields(**table: Check) -> Check:
    return partial(_check_fields, table)


def _bad_value(path: str, kind: str, value: object) -> Violation:
    shown = f'"{value}"' if isinstance(value, str) else value
    return Violation(path, f"Invalid value at '{path}' ({kind}), {shown}")


def _snake_case(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


_android_notification: Final = _fields(
    **dict.fromkeys(
        (
            "title",
            "body",
            "icon",
            "color",
            "sound",
            "tag",
            "click_action",
            "body_loc_key",
            "title_loc_key",
            "channel_id",
            "ticker",
            "event_time",
            "image",
            "id",
        ),
        _text,
    ),
    **dict.fromkeys(
        (
            "sticky",
            "local_only",
            "default_sound",
            "default_vibrate_timings",
            "default_light_settings",
            "bypass_proxy_notification",
        ),
        _flag,
    ),
    body_loc_args=_list_of(_text),
    title_loc_args=_list_of(_text),
    vibrate_timings=_list_of(_duration),
    notification_count=_integer,
    notification_priority=_choice(
        "AndroidNotification.NotificationPriority",
        "PRIORITY_UNSPECIFIED",
        "PRIORITY_MIN",
        "PRIORITY_LOW",
        "PRIORITY_DEFAULT",
        "PRIORITY_HIGH",
        "PRIORITY_MAX",
    ),
    visibility=_choice(
        "AndroidNotification.Visibility",
        "VISIBILITY_UNSPECIFIED",
        "PRIVATE",
        "PUBLIC",
        "SECRET",
    ),
    proxy=_choice(
        "AndroidNotification.Proxy", "PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"
    ),
    light_settings=_fields(
        color=_fields(red=_number, green=_number, blue=_number, alpha=_number),
        light_on_duration=_duration,
        light_off_duration=_duration,
    ),
)

_message_envelope: Final = _fields(
    validate_only=_flag,
    message=_fields(
        name=_text,
        token=_text,
        topic=_text,
        condition=_text,
        data=_text_map,
        notification=_fields(title=_text, body=_text, image=_text),
        fcm_options=_fields(analytics_label=_text),
        android=_fields(
            collapse_key=_text,
            priority=_choice("AndroidMessagePriority", "NORMAL", "HIGH", "normal", "high"),
            ttl=_ttl,
            restricted_package_name=_text,
            data=_text_map,
            notification=_android_notification,
            fcm_options=_fields(analytics_label=_text),
            direct_boot_ok=_flag,
            bandwidth_constrained_ok=_flag,
            restricted_satellite_ok=_flag,
        ),
        webpush=_fields(
            headers=_text_map,
            data=_text_map,
            notification=_struct,
            fcm_options=_fields(link=_text, analytics_label=_text),
        ),
        apns=_fields(
            headers=_text_map,
            payload=_struct,
            live_activity_token=_text,
            fcm_options=_fields(analytics_label=_text, image=_text),
        ),
    ),
)
"""The whole request, field by field."""
