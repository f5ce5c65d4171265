"""The queue of the mobile SDKs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.client.jobs import (
    Job,
    Launch,
    LogIn,
    Refresh,
    Register,
    Report,
    SetInterests,
    Stop,
    Subscribe,
    Unsubscribe,
    is_registered_after,
    jobs_from_json,
    jobs_to_json,
    replay,
)

names = st.text("abc", min_size=1, max_size=2)
lasting_jobs: st.SearchStrategy[Job] = st.one_of(
    st.builds(Register, names),
    st.builds(Launch),
    st.builds(Subscribe, names, st.booleans()),
    st.builds(Unsubscribe, names, st.booleans()),
    st.builds(SetInterests, st.frozensets(names), st.booleans()),
    st.builds(Refresh, names),
    st.builds(Stop),
    st.builds(Report, st.dictionaries(names, st.one_of(names, st.none(), st.booleans()))),
)


@given(st.lists(lasting_jobs))
def test_jobs_outlive_the_app(jobs: list[Job]) -> None:
    """What is written as JSON is read as the same jobs."""
    assert tuple(jobs) == jobs_from_json(json.loads(json.dumps(jobs_to_json(jobs))))


def test_log_ins_do_not_outlive_the_app() -> None:
    """§4.12: who is to be logged in is not kept, for the token provider is not."""
    assert [{"kind": "Launch"}] == jobs_to_json([LogIn("user-001"), Launch()])


@pytest.mark.parametrize(
    "jobs, wanted, outstanding",
    [
        ([], {"old"}, []),
        ([Subscribe("new")], {"old", "new"}, []),
        ([Unsubscribe("old")], set(), []),
        ([SetInterests(frozenset({"only"})), Subscribe("new")], {"only", "new"}, []),
        ([Subscribe("new", is_news=False)], {"old", "new"}, []),
        ([LogIn("u"), Refresh("t"), Launch(), Report({})], {"old"}, [LogIn("u"), Refresh("t")]),
        ([Subscribe("new"), LogIn("u"), Stop(), Subscribe("late")], {"old", "late"}, []),
    ],
)
def test_a_registration_takes_in_what_waits(
    jobs: list[Job], wanted: set[str], outstanding: list[Job]
) -> None:
    """§4.3: changes are laid over the server's interests; a stop undoes what came before it."""
    assert (frozenset(wanted), outstanding) == replay(jobs, frozenset({"old"}))


@pytest.mark.parametrize(
    "jobs, before, after",
    [
        ([], True, True),
        ([Stop()], True, False),
        ([Stop(), Register("t")], True, True),
        ([Register("t"), Launch(), Stop()], False, False),
    ],
)
def test_the_queue_says_if_there_will_be_a_device(
    jobs: list[Job], before: bool, after: bool
) -> None:
    """The last registration or stop decides."""
    assert after == is_registered_after(jobs, before)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"kind": "LogIn", "user_id": "u"},
        {"kind": "Register"},
        {"kind": "Register", "token": 1},
        {"kind": "Subscribe", "interest": "a", "is_news": 1},
        {"kind": "SetInterests", "interests": "a"},
        {"kind": "Report", "event": []},
        {"kind": "Stop", "why": "not"},
    ],
)
def test_what_is_no_job_is_not_read(document: dict[str, object]) -> None:
    """An unknown kind, a field too many, too few or of another type is an error."""
    with pytest.raises((KeyError, TypeError)):
        jobs_from_json([document])
