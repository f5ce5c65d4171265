import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.test_jobs import lasting_jobs
from heliograph.client.errors import StateError
from heliograph.client.state import (
    Changes,
    FileStore,
    MemoryStore,
    State,
    Store,
    platform,
    state_from_json,
    state_to_json,
)

names = st.sampled_from(["a", "b", "c", "d"])
sets = st.frozensets(names)
changes = st.builds(Changes, st.booleans(), sets, sets)
texts = st.text()
states = st.builds(
    State,
    instance_id=texts,
    platform=st.sampled_from(["apns", "fcm", "web"]),
    device_id=st.none() | texts,
    token=st.none() | texts,
    bundle_identifier=st.none() | texts,
    user_id=st.none() | texts,
    interests=st.frozensets(texts),
    changes=changes,
    is_certain=st.booleans(),
    metadata=st.dictionaries(texts, texts),
    profile=st.none() | texts,
    claimed_user=st.none() | texts,
    confirmed_hash=st.none() | texts,
    jobs=st.lists(lasting_jobs, max_size=3).map(tuple),
)
STATE = State("instance", "apns", device_id="apns-1", interests=frozenset({"a"}))


class TestChanges:
    @given(changes, sets, names)
    def test_adding_is_done_last(self, made: Changes, base: frozenset[str], name: str) -> None:
        """One more interest is the changes so far and then that interest."""
        assert made.apply(base) | {name} == made.adding(name).apply(base)

    @given(changes, sets, names)
    def test_removing_is_done_last(self, made: Changes, base: frozenset[str], name: str) -> None:
        """One interest less is the changes so far and then without it."""
        assert made.apply(base) - {name} == made.removing(name).apply(base)

    @given(changes, sets, sets)
    def test_setting_forgets_what_was(
        self, made: Changes, base: frozenset[str], wanted: frozenset[str]
    ) -> None:
        """A whole set is that set, whatever was changed before."""
        assert wanted == made.setting(wanted).apply(base)

    @given(changes, sets)
    def test_empty_changes_change_nothing(self, made: Changes, base: frozenset[str]) -> None:
        """Changes that call themselves empty leave every set as it is."""
        assert not made.is_empty or base == made.apply(base)


class TestJson:
    @given(states)
    def test_a_state_survives_being_written(self, state: State) -> None:
        """What is written is what is read."""
        assert state == state_from_json(state_to_json(state))

    @given(
        st.binary() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode)
    )
    def test_anything_else_is_refused(self, content: bytes) -> None:
        """Bytes that are no state raise what the store expects."""
        with pytest.raises((ValueError, KeyError, TypeError)):
            state_from_json(content)


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "d" / "state.json")


class TestStores:
    def test_there_is_nothing_at_first(self, store: Store) -> None:
        """A store in which nothing was saved has nothing."""
        assert store.load() is None

    def test_the_last_state_is_kept(self, store: Store) -> None:
        """A later state replaces an earlier one."""
        store.save(State("instance", "web"))
        store.save(STATE)

        assert STATE == store.load()

    def test_none_forgets(self, store: Store) -> None:
        """After None there is nothing, as often as one says it."""
        store.save(STATE)
        store.save(None)
        store.save(None)

        assert store.load() is None


class TestFileStore:
    def test_only_the_owner_can_read_it(self, tmp_path: Path) -> None:
        """The file has mode 0600, and nothing else is left beside it."""
        file = tmp_path / "state.json"

        FileStore(file).save(STATE)

        assert 0o600 == file.stat().st_mode & 0o777
        assert [file] == list(tmp_path.iterdir())

    def test_a_failed_write_keeps_the_old_file(self, tmp_path: Path) -> None:
        """A state that cannot be written leaves the last one and no debris."""
        file = tmp_path / "state.json"
        FileStore(file).save(STATE)
        unwritable = State("instance", "apns", token=object())  # type: ignore[arg-type]  # the fault

        with pytest.raises(TypeError):
            FileStore(file).save(unwritable)
        assert FileStore(file).load() == STATE
        assert [file] == list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        "content",
        ["", "[]", "{}", '{"version": 2}', state_to_json(STATE).decode().replace("apns", "gcm")],
    )
    def test_a_damaged_file_is_reported_and_kept(self, tmp_path: Path, content: str) -> None:
        """A file that we cannot read is never silently replaced by a new beginning."""
        file = tmp_path / "state.json"
        file.write_text(content)

        with pytest.raises(StateError, match=r"state\.json"):
            FileStore(file).load()
        assert content == file.read_text()

    def test_a_wrong_type_anywhere_is_reported(self, tmp_path: Path) -> None:
        """Every field of the file is checked for its type."""
        file = tmp_path / "state.json"
        good = json.loads(state_to_json(STATE))
        for field in set(good) - {"version"}:
            file.write_text(json.dumps({**good, field: 1}))
            with pytest.raises(StateError):
                FileStore(file).load()


@pytest.mark.parametrize("name", ["apns", "fcm", "web"])
def test_the_three_platforms_are_known(name: str) -> None:
    """A platform is read as itself."""
    assert name == platform(name)


@pytest.mark.parametrize("name", ["", "gcm", None])
def test_other_platforms_are_refused(name: str | None) -> None:
    """Anything else is the caller's mistake."""
    with pytest.raises(ValueError, match="none of"):
        platform(name)


def test_a_file_from_before_profiles_is_read() -> None:
    """What 0.1.0 wrote has no queue, and none is assumed."""
    document = json.loads(state_to_json(STATE))
    for name in ("profile", "claimed_user", "confirmed_hash", "jobs"):
        del document[name]

    assert STATE == state_from_json(json.dumps(document).encode())
