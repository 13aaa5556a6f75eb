"""What README and docs/bench say of speed is what `make bench` measured."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tools/bench'))
import report  # noqa: E402

FOLDER = ROOT / 'docs/bench'
FIGURES = json.loads((FOLDER / 'results.json').read_text())


def test_the_page_and_the_plots_are_the_figures():
    files = report.render(FIGURES)
    assert {path.name for path in FOLDER.iterdir()} == set(files)
    for name, text in files.items():
        assert (FOLDER / name).read_text() == text, 'run tools/bench/report.py'


@pytest.mark.parametrize('path', report.READMES, ids=lambda path: path.name)
def test_readme_quotes_the_figures(path):
    assert report.quote(path.read_text(), FIGURES) == path.read_text(), 'run tools/bench/report.py'


def test_a_figure_has_as_many_digits_as_people_read():
    assert [report.short(value) for value in (1234.5, 99.96, 0.01234)] == ['1234', '100', '0.0123']


def test_a_spread_is_the_median_with_the_least_and_the_most():
    assert report.spread([3.0, 1.0, 2.0]) == '2 (1–3)'  # noqa: RUF001
