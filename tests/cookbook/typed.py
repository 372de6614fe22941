"""The `phi4r` command as tests type it, and arbitrary data for its readers."""

from hypothesis import strategies as st

from phi4r_lib.cookbook.cli import main

NUMBERS = st.integers() | st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8) | st.sampled_from(["cpu", "base", "data/seeds.jsonl"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def phi4r(capsys, *args):
    """(exit code, stdout, stderr)"""
    try:
        code = main(list(args))
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()
