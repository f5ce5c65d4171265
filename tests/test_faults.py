"""The short form of ``make faults``: no fault loses a notification, or repeats one unasked."""

from pathlib import Path

from benchmarks.faults import prove

from heliograph.sandbox.scenario import FaultName

SENDS = 2500


async def test_thousands_of_sends_survive_every_fault(tmp_path: Path) -> None:
    """
    Whatever the services do, each delivery comes to an end, and to the right one.

    ``prove`` raises if one is lost, hangs, arrives again although it was answered, or if a
    task, a connection or a file is left behind.
    """
    report = await prove(sends=SENDS, seed=1, folder=tmp_path)

    assert (SENDS, SENDS) == (report.sends, sum(report.ends.values()) - report.sends)
    assert set(FaultName) == set(report.faults)
    assert report.ends["sent"] > SENDS / 2
