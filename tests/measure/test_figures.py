"""Figures on disk."""

from matplotlib.figure import Figure

from phi4r_lib.measure.figures import save_figure


def test_the_same_figure_gives_the_same_files(tmp_path):
    for place in ("one", "other"):
        figure = Figure()
        figure.add_subplot().plot([1, 2], marker="o")
        figure.set_label("two points")
        assert save_figure(figure, tmp_path / place, "points") == tmp_path / place / "points.png"
    one, other = ({path.name: path.read_bytes() for path in (tmp_path / place).iterdir()} for place in ("one", "other"))
    assert one == other and sorted(one) == ["points.png", "points.svg"] and b"two points" in one["points.svg"]
