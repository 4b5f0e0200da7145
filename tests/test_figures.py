import json

from bench.figures import flags, report, table


def test_the_figures_come_as_a_markdown_table_and_as_one_json_object(tmp_path, capsys):
    path = tmp_path / "figures.json"
    figures = {"steps_per_s": 5012.345, "won": 12, "ratio": 5.25, "kernel": "eager", "gpu": None}
    report("sample", figures, json_path=path, packages=["no-such-package"], argv=["--quick"])

    assert capsys.readouterr().out.splitlines() == [
        "| figure | value |",
        "| --- | ---: |",
        "| steps_per_s | 5,012 |",
        "| won | 12 |",
        "| ratio | 5.25 |",
        "| kernel | eager |",
        "| gpu | not measured |",
    ]
    record = json.loads(path.read_text())
    assert list(record) == ["bench", "figures", "command", "commit", "versions", "machine"]
    assert record["figures"] == figures
    assert record["command"] == "python -m bench.sample --quick"
    assert record["versions"]["no-such-package"] == "absent"
    assert record["machine"]["cores"] >= 1


def test_without_json_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report("sample", {"won": 1})
    assert list(tmp_path.iterdir()) == []


def test_every_bench_understands_quick_and_json():
    options = flags("A bench.").parse_args(["--quick", "--json", "out.json"])
    assert options.quick
    assert str(options.json) == "out.json"


def test_large_numbers_are_grouped_and_small_ones_keep_four_digits():
    assert "| a | 12,345,678 |" in table({"a": 12345678})
    assert "| b | 0.001235 |" in table({"b": 0.00123456})
