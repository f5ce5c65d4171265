"""The short form of ``make chaos``: whoever is killed, nothing is lost."""

import pytest
from benchmarks.chaos.run import prove
from benchmarks.chaos.script import Size
from benchmarks.chaos.stage import Mode

ROUNDS = 2


@pytest.mark.timeout(400)  # a dozen processes have to start
@pytest.mark.parametrize(
    "mode, victims", [("embedded", ["server"]), ("cluster", ["postgresql", "worker-1"])]
)
async def test_everything_accepted_is_accounted_for_whoever_is_killed(
    mode: Mode, victims: list[str]
) -> None:
    """
    Killed again and again, the product delivers all that it answered for, to whom it was for.

    ``prove`` raises if a count does not add up or goes back, if a delivery is lost, comes to the
    wrong device or cannot be recognised when it comes again, or if nothing explains why it does.
    """
    size = Size(rounds=ROUNDS, users=30, frail_users=4, small=2, is_patient=False)

    report = await prove(mode, size, seed=1, victims=victims)

    ends = [report.ends[end] for end in ("sent", "failed", "expired", "cancelled", "pending")]
    assert (ROUNDS, ROUNDS) == (report.rounds, report.kills.total())
    assert report.ends["targeted"] == sum(ends)
    assert report.ends["sent"] + report.repeats.total() <= report.arrivals
    assert 0 < report.asked_again
