"""Rates at the door of the device API: by network address, as a proxy names it."""

from pathlib import Path

from support import in_process, on_loopback

KEY = "/device_api/v1/instances/{}/web-vapid-public-key"


async def test_devices_at_one_address_may_ask_so_often(tmp_path: Path) -> None:
    """Beyond the rate they are answered 429 with the seconds to wait."""
    async with in_process(tmp_path, device_rate=1) as served:
        url = KEY.format(served.instance.id)
        replies = [await served.http.get(url) for _ in range(20)]

    assert (200, 429) == (replies[0].status_code, replies[1].status_code)
    assert "1" == replies[1].headers["retry-after"]
    assert {
        "error": "Rate Limited",
        "description": "Too many requests for this address",
    } == replies[1].json()


async def test_a_trusted_proxy_speaks_for_many_addresses(tmp_path: Path) -> None:
    """Each address that it names has a rate of its own."""
    async with on_loopback(tmp_path, device_rate=1) as served:
        url = KEY.format(served.instance.id)
        replies = [
            await served.http.get(url, headers={"x-forwarded-for": f"203.0.113.{number}"})
            for number in range(20)
        ]

    assert [200] * 20 == [reply.status_code for reply in replies]


async def test_a_stranger_cannot_speak_for_others(tmp_path: Path) -> None:
    """What somebody who is no trusted proxy says of addresses counts for nothing."""
    async with on_loopback(tmp_path, device_rate=1, trusted_proxies=()) as served:
        url = KEY.format(served.instance.id)
        replies = [
            await served.http.get(url, headers={"x-forwarded-for": f"203.0.113.{number}"})
            for number in range(20)
        ]

    assert 429 in {reply.status_code for reply in replies}
