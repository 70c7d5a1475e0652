"""Figures of the benches."""

from sentispark.bench.plots import draw_memory, draw_ratios, draw_stages


def test_figures_are_written(tmp_path):
    draw_ratios({"a": 2.0, "b": 0.5}, tmp_path / "ratios.png")
    draw_stages({"read": 1.0}, {"map": 2.0, "sort": 1.0}, tmp_path / "stages.png")
    scale = [{"rows": 10, "microseconds_per_row": 2.0, "peak_mib": {"driver": 1.0, "jvm": 2.0, "worker": 3.0}}]
    draw_memory(scale, tmp_path / "scale.png")
    assert {path.name for path in tmp_path.iterdir()} == {"ratios.png", "stages.png", "scale.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())
