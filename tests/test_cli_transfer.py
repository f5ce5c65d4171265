"""``heliograph import`` and ``heliograph export``, as an operator types them."""

import gzip
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from heliograph.cli import commands, main
from heliograph.transfer.progress import fingerprint

DEVICES = [
    {"id": "apns-1", "gateway": "apns", "token": "0a", "user": "alice", "interests": ["a", "b"]},
    {"id": "fcm-1", "gateway": "fcm", "token": "token", "metadata": {"sdkVersion": "1.9.2"}},
    {
        "id": "apns-2",
        "gateway": "apns",
        "token": "0b",
        "name": "D-1",
        "platform": "safari",
        "user": "u" * 254,
        "interests": ["[x]", "two words"],
    },
]


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Commands set up logging, which is global; leave it as it was."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, and a data directory with one instance."""
    monkeypatch.setenv("HELIOGRAPH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HELIOGRAPH_LOG_LEVEL", "error")
    assert 0 == run("instance", "create", "Shop").exit_code
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(commands, [str(each) for each in arguments])


def written(path: Path, *devices: object) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in devices))
    return path


def exported(path: Path) -> list[dict[str, object]]:
    assert 0 == run("export", "devices", path).exit_code
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for each in found:
        del each["registered_at"]
    return found


def test_what_is_exported_is_what_was_imported(folder: Path) -> None:
    """Devices come out as they went in; the file is for its owner only."""
    result = run("import", "devices", written(folder / "in.jsonl", *DEVICES))

    assert (0, "3 added, 0 known already, 0 rejected\n") == (result.exit_code, result.stdout)
    assert DEVICES == exported(folder / "out.jsonl")
    assert 0o600 == stat.S_IMODE((folder / "out.jsonl").stat().st_mode)
    assert not (folder / "in.jsonl.progress").exists()


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.jsonl.gz"])
def test_an_export_moves_into_another_installation(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In every form, packed or not."""
    run("import", "devices", written(folder / "in.jsonl", *DEVICES))
    assert 0 == run("export", "devices", folder / name).exit_code
    monkeypatch.setenv("HELIOGRAPH_DATA_DIR", str(folder / "other"))
    run("instance", "create", "Other")

    assert 0 == run("import", "devices", folder / name).exit_code

    assert DEVICES == exported(folder / "again.jsonl")


def test_declared_interests_move_along(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With their descriptions and instants; twice changes nothing."""
    said = {"name": "two words", "description": "Of them", "created_at": "2026-01-02T03:04:05Z"}
    run("import", "interests", written(folder / "in.jsonl", said))
    assert "1 interests\n" == run("export", "interests", folder / "out.jsonl.gz").stderr
    monkeypatch.setenv("HELIOGRAPH_DATA_DIR", str(folder / "other"))
    run("instance", "create", "Other")

    outputs = [run("import", "interests", folder / "out.jsonl.gz").stdout for _ in range(2)]

    instant = "2026-01-02T03:04:05+00:00"
    kept = said | {"created_at": instant, "changed_at": instant}
    assert kept == json.loads(run("export", "interests", "-").stdout)
    assert [
        "1 added, 0 known already, 0 rejected\n",
        "0 added, 1 known already, 0 rejected\n",
    ] == outputs


def test_files_of_ibms_tool(folder: Path) -> None:
    """Devices first, then what they subscribe to; twice changes nothing."""
    (folder / "devices.csv").write_text("D-1,alice,00ff,A\nD-2,anonymous,token,G\n")
    (folder / "subscription.csv").write_text("news,D-1\nPush.ALL,D-1\nnews,D-9\n")
    devices = ("import", "devices", folder / "devices.csv", "--format", "ibm")
    instant = "2022-11-30T00:00:00+00:00"

    moved = [run(*devices, "--registered-at", "2022-11-30") for _ in range(2)]
    subscribed = [run("import", "subscriptions", folder / "subscription.csv") for _ in range(2)]

    assert [
        "2 added, 0 known already, 0 rejected",
        "0 added, 2 known already, 0 rejected",
        "1 added, 0 known already, 1 rejected",
        "0 added, 1 known already, 1 rejected",
    ] == [each.stdout.splitlines()[0] for each in moved + subscribed]
    assert "3,D-9,there is no such device" in (folder / "subscription.csv.rejects.csv").read_text()
    found = [json.loads(line) for line in run("export", "devices", "-").stdout.splitlines()]
    assert [
        ("D-1", "00ff", "alice", ["news"], instant),
        ("D-2", "token", None, None, instant),
    ] == [
        tuple(each.get(key) for key in ("name", "token", "user", "interests", "registered_at"))
        for each in found
    ]
    assert '"name":"news","description":""' in run("export", "interests", "-").stdout


def test_an_instant_that_is_none(folder: Path) -> None:
    """It is said at once."""
    (folder / "devices.csv").write_text("")

    result = run("import", "devices", folder / "devices.csv", "--registered-at", "yesterday")

    assert (2, True) == (result.exit_code, "must be an instant" in result.stderr)


def test_nothing_to_export_is_a_header(folder: Path) -> None:
    """So that what was exported can always be imported."""
    assert 0 == run("export", "devices", folder / "out.csv").exit_code
    assert 0 == run("import", "devices", folder / "out.csv").exit_code


def test_rejects_are_reported(folder: Path) -> None:
    """Exit status 1, and a file that says which and why, without a token."""
    bad = {"id": "fcm-2", "gateway": "fcm", "token": "a token with spaces"}

    result = run("import", "devices", written(folder / "in.jsonl", DEVICES[0], bad))

    report = (folder / "in.jsonl.rejects.csv").read_text()
    assert (1, "1 added, 0 known already, 1 rejected") == (
        result.exit_code,
        result.stdout.splitlines()[0],
    )
    assert "2,fcm-2,The device token must be at most 4096 ASCII" in report
    assert "a token with" not in report + result.output


def test_a_rehearsal_keeps_nothing(folder: Path) -> None:
    """Neither devices nor a report."""
    file = written(folder / "in.jsonl", *DEVICES, {"gateway": "x"})

    result = run("import", "devices", file, "--dry-run")

    assert "3 would be added, 0 known already, 1 would be rejected" in result.stdout
    assert [] == exported(folder / "out.jsonl")
    assert {"in.jsonl", "out.jsonl", "data"} == {each.name for each in folder.iterdir()}


def test_an_interrupted_import_goes_on(folder: Path) -> None:
    """It says after how many; what follows is found by its place in the file."""
    file = written(folder / "in.jsonl", *DEVICES)
    note = {"lines": 1, "added": 1, "known": 0, "rejected": 0, "rejects_bytes": 0}
    run("import", "devices", file, "--dry-run")
    instance = json.loads(run("instance", "list", "--json").stdout)[0]["instance_id"]
    marks = {"instance": instance, "file": fingerprint(file)}
    (folder / "in.jsonl.progress").write_text(json.dumps(note | marks))

    result = run("import", "devices", file)

    assert "Going on after 1 devices." in result.stderr
    assert "3 added" in result.stdout
    assert DEVICES[1:] == exported(folder / "out.jsonl")


def test_a_file_that_is_none_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is no gzip, no text, or has no header: the file's name and what is wrong."""
    for name, content in (
        ("a.jsonl.gz", b"not packed"),
        ("b.csv", b"\xff\xfe"),
        ("c.csv", b"user\n"),
        ("d.csv.gz", gzip.compress(b"gateway,token\n" + b"fcm,a\n" * 999)[:-20]),
    ):
        (folder / name).write_bytes(content)
        monkeypatch.setattr("sys.argv", ["heliograph", "import", "devices", str(folder / name)])

        with pytest.raises(SystemExit) as ended:
            main()

        assert 1 == ended.value.code
        assert name in capsys.readouterr().err.replace("\n", "")


def test_the_form_is_told_or_guessed(folder: Path) -> None:
    """A name that says nothing needs --format."""
    (folder / "in.txt").write_text("gateway,token\nfcm,a\n")

    assert 2 == run("import", "devices", folder / "in.txt").exit_code
    assert 0 == run("import", "devices", folder / "in.txt", "--format", "csv").exit_code
    assert '"token":"a"' in run("export", "devices", "-").stdout


def test_keys_of_browsers_move_along(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instance they move to has them, the latest as its current one; twice changes nothing."""
    assert 0 == run("export", "vapid-keys", folder / "keys.jsonl").exit_code
    assert 0o600 == stat.S_IMODE((folder / "keys.jsonl").stat().st_mode)
    old = json.loads((folder / "keys.jsonl").read_text())["public_key"]
    monkeypatch.setenv("HELIOGRAPH_DATA_DIR", str(folder / "other"))
    made = json.loads(run("instance", "create", "Other", "--json").stdout)["instance_id"]

    outputs = [run("import", "vapid-keys", folder / "keys.jsonl").output for _ in range(2)]

    shown = json.loads(run("instance", "show", made, "--json").stdout)["vapid_keys"]
    assert ["1 of 1 keys are new here\n", "0 of 1 keys are new here\n"] == outputs
    assert [(old, True), False] == [
        (shown[0]["public_key"], shown[0]["current"]),
        shown[1]["current"],
    ]


@pytest.mark.parametrize("content", ["{}", '{"public_key":"a","private_key":"%"}'])
def test_keys_that_are_none_are_one_line(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str,
) -> None:
    """With the file's name, and nothing of what stands in it."""
    (folder / "keys.jsonl").write_text(content)
    arguments = ["heliograph", "import", "vapid-keys", str(folder / "keys.jsonl")]
    monkeypatch.setattr("sys.argv", arguments)

    with pytest.raises(SystemExit):
        main()

    assert "each line must be as export writes it" in capsys.readouterr().err.replace("\n", " ")


def test_an_instance_keeps_the_id_and_the_secrets_that_others_know(folder: Path) -> None:
    """The secrets come from files: a command line is for all to see."""
    known = {
        "secret_key": "0123456789ABCDEF0123456789ABCDE",
        "client_secret": "6d1e7a9c-1c0f-4a5e-9a52-0c5cb7a1f7b1",
        "app_secret": "f2a1b0c9-8d7e-4f6a-b5c4-d3e2f1a0b9c8",
    }
    files: list[str | Path] = []
    for name, secret in known.items():
        (folder / name).write_text(f"{secret}\n")
        files += [f"--{name.replace('_', '-')}-file", folder / name]
    known["instance_id"] = "1b880590-6301-4bb5-b34f-45db1c5f5644"

    made = run("instance", "create", "Kept", "--id", known["instance_id"], *files, "--json")

    assert known == json.loads(made.stdout)
