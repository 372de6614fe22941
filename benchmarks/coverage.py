"""How often does a 95% interval hold the truth with 30 problems? Exact for one run, simulated for several runs.

    python benchmarks/coverage.py [--problems 30] [--simulations 1000] [--seed 0]     (about 20 s of CPU)

One run: coverage of each interval at some true rates and on average over all rates, and its mean width. Several runs: fresh
problems each time, unrelated or in families of three; "these" asks for the mean rate of the very problems drawn, which
only the last interval is made for. What the tables hold is described in phi4r_lib/measure/coverage.py.
"""

from __future__ import annotations

import argparse

from phi4r_lib.measure.coverage import one_run, several_runs


def main() -> None:
    """Prints the tables in percent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=30)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.problems < 6 or given.simulations < 10:
        parser.error("needs at least 6 problems and 10 simulations")
    print(f"One run of {given.problems} problems, coverage of 95% intervals in percent (exact)")
    print((100 * one_run(given.problems)).round(1).to_string())
    for runs in (2, 4, 50):
        print(f"\n{runs} runs of {given.problems} problems, percent of {given.simulations} simulations")
        found = several_runs(given.problems, runs, given.simulations, given.seed)
        print((100 * found).round(1).to_string())


if __name__ == "__main__":
    main()
