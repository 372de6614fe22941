"""Progress lines do not flood a log and always show the end."""

from phi4r_lib.cookbook.running.progress import ProgressBar


def test_a_log_gets_the_first_and_the_last_line_of_quick_work(capsys):
    bar = ProgressBar("sampling")
    for done in range(1, 101):
        bar(done, 100)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("sampling [....................] 1/100,")
    assert lines[1].startswith("sampling [####################] 100/100,")


def test_slow_work_gets_a_line_each_time(capsys):
    bar = ProgressBar("sampling", every_s=0)
    for done in range(1, 4):
        bar(done, 4)
    assert len(capsys.readouterr().out.splitlines()) == 3
