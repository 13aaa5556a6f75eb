#!/usr/bin/env python3
"""Renders the results of tools/bench/run: a page with tables, plots, and the summary in README.

Run as a program, it renders docs/bench/results.json again.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[2]
STACKS = ['article', 'flaskrandom']
WAYS = {'flaskrandom': '', 'mitogen': 'with mitogen'}  # of running the playbook; some hosts do not support mitogen
READMES = [ROOT / 'README.md', ROOT / 'README.zh-CN.md']
MARKS = '<!-- written by make bench -->\n', '<!-- end of make bench -->\n'
CHINESE = {
    'measured': '测量',
    "the article's stack": '文章的做法',
    'this host': '本项目',
    'ratio': '比值',
    'connections': '个连接',
    'requests/s': '请求/秒',
    'generator': '生成器',
    'first run': '首次部署',
    'nothing to change': '无变更的运行',
    'with mitogen': '使用 mitogen',
    'new code': '只部署新代码',
}
PAGE = """# Benchmark

```console
$ make bench
```

It sets up the article's stack with a shell script that follows the article (`tools/bench/article.sh`), and this project's host beside it
on an equal machine. It loads both in turn, times the playbook, and writes this page, its plots and [all figures](results.json), all
from one run on one computer. Figures are medians, with minimum and maximum of the rounds in parentheses.

## Requests

wrk sends requests as fast as they are answered, to both hosts in turn: {rounds} rounds each, one round with 512 connections. Both hosts
have three workers. Failed requests are those without an answer or with a status of 400 and above.

![Requests per second](requests.svg)

![Latency](p99.svg)

{load}
## The generator

The function `generate_random_string` alone, both versions in one process of the host's Python {python}.

{generator}
## The playbook

Runs over ssh. The controller's CPU time is that of `ansible-playbook` and its child processes.

{runs}
Several hosts, nothing to change:

![Seconds by number of hosts](hosts.svg)

{hosts}
## Environment

{machine}
{versions}"""
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.page { fill: #ffffff }
.first { fill: #8b949e }
.second { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .page { fill: #0d1117 }
  .first { fill: #7d8590 }
  .second { fill: #4493f8 }
}
"""


def rounded(figures):
    """Figures rounded to five significant digits."""
    if isinstance(figures, dict):
        return {name: rounded(value) for name, value in figures.items()}
    if isinstance(figures, list):
        return [rounded(value) for value in figures]
    return float(f'{figures:.5g}') if isinstance(figures, float) else figures


def short(value: float) -> str:
    """A figure with three significant digits, or as an integer."""
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'


def spread(values: list[float]) -> str:
    """The median, with minimum and maximum in parentheses."""
    text = short(median(values))
    return text if len(values) == 1 else f'{text} ({short(min(values))}–{short(max(values))})'


def of(rows: list[dict], name: str) -> list[float]:
    """One value of each round."""
    return [row[name] for row in rows]


def ratio(these: list[float], those: list[float]) -> str:
    """The ratio of two medians; '' if the second is 0, as in short rounds."""
    return f'{median(these) / median(those):.2f}' if median(those) else ''


def both(what: str, how: str) -> str:
    """A label of what was measured, and how, if that is not empty."""
    return f'{what}, {how}' if how else what


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    lines = [head, ['---', *['---:'] * (len(head) - 1)], *rows]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def bars(title: str, series: list[str], groups: list[tuple[str, list[float]]], own_scale: bool) -> str:
    """A bar plot in SVG with two series.

    Args:
        own_scale: scale each group to its longest bar, so that bars are comparable within a group only.
    """
    top, step, left, width = 76, 50, 190, 800
    height = top + step * len(groups) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">',
        f'<style>{STYLE}</style><rect class="page" width="{width}" height="{height}"/>',
        f'<text class="title" x="20" y="28">{escape(title)}</text>',
    ]
    for x, style, name in zip((20, 220), ('first', 'second'), series, strict=True):
        parts.append(f'<rect class="{style}" x="{x}" y="44" width="12" height="12"/><text x="{x + 18}" y="55">{escape(name)}</text>')
    longest = max(value for _, values in groups for value in values)
    for number, (label, values) in enumerate(groups):
        y = top + step * number
        parts.append(f'<text x="{left - 10}" y="{y + 24}" text-anchor="end">{escape(label)}</text>')
        for place, (style, value) in enumerate(zip(('first', 'second'), values, strict=True)):
            length = max(1, (width - left - 80) * value / (max(values) if own_scale else longest))
            row = y + 19 * place
            parts.append(f'<rect class="{style}" x="{left}" y="{row}" width="{length:.1f}" height="16"/>')
            parts.append(f'<text x="{left + length + 6:.1f}" y="{row + 13}">{short(value)}</text>')
    return '\n'.join([*parts, '</svg>']) + '\n'


def plots(figures: dict) -> dict[str, str]:
    """All plots by file name."""
    loads = [row for row in figures['load'] if row['connections'] != 512]
    stacks = ["the article's stack", 'this host']

    def compare(name: str) -> list[tuple[str, list[float]]]:
        return [(f'{row["request"]}, {row["connections"]}', [median(of(row[stack], name)) for stack in STACKS]) for row in loads]

    fleets = [(f'{row["hosts"]} hosts', [median(of(row['flaskrandom'], name)) for name in ('wall', 'cpu')]) for row in figures['hosts']]
    return {
        'requests.svg': bars('Requests per second (higher is better), by request and connections', stacks, compare('rate'), True),
        'p99.svg': bars('99th percentile latency in ms (lower is better), by request and connections', stacks, compare('p99'), True),
        'hosts.svg': bars('Playbook with nothing to change, seconds', ['duration', 'CPU time of the controller'], fleets, False),
    }


def headline(figures: dict, words: dict[str, str]) -> str:
    """The summary table of README, in English or translated by `words`."""

    def say(text: str) -> str:
        return words.get(text, text)

    def line(label: str, article: list[float], host: list[float]) -> list[str]:
        return [label, short(median(article)), short(median(host)), ratio(host, article)]

    rows = []
    for row in figures['load']:
        if row['connections'] != 512:
            for name, label in ('rate', say('requests/s')), ('p99', 'p99, ms'):
                what = f'`{row["request"]}`, {row["connections"]} {say("connections")}: {label}'
                rows.append(line(what, *(of(row[stack], name) for stack in STACKS)))
    for size in figures['generator']['sizes']:
        what = f'{say("generator")}, {size["length"]} × {size["strings"]}: µs'
        rows.append(line(what, *(size[stack] for stack in STACKS)))
    first = figures['first']
    ways = [way for way in WAYS if way in first]
    rows += [line(f'{both(say("first run"), say(WAYS[way]))}: s', first['article'], first[way]) for way in ways]
    for what, runs in (say('nothing to change'), figures['hosts'][0]), (say('new code'), figures['deploys']):
        rows += [[f'{both(what, say(WAYS[way]))}: s', '', short(median(of(runs[way], 'wall'))), ''] for way in ways]
    return table([say('measured'), say("the article's stack"), say('this host'), say('ratio')], rows)


def page(figures: dict) -> str:
    """The page with all tables."""
    load = [
        [
            f'`{row["request"]}`',
            str(row['connections']),
            *(spread(of(row[stack], 'rate')) for stack in STACKS),
            ratio(*(of(row[stack], 'rate') for stack in reversed(STACKS))),
            *(spread(of(row[stack], name)) for name in ('p50', 'p99') for stack in STACKS),
            *(str(sum(of(row[stack], 'failed'))) for stack in STACKS),
        ]
        for row in figures['load']
    ]
    generator = [
        [
            f'{size["length"]} × {size["strings"]}',
            *(spread(size[stack]) for stack in STACKS),
            ratio(size['article'], size['flaskrandom']),
        ]
        for size in figures['generator']['sizes']
    ]
    first, one = figures['first'], figures['hosts'][0]
    ways = [way for way in WAYS if way in first]
    runs = [
        ["first run: the article's steps in a shell script", spread(first['article']), '', ''],
        *(
            [both('first run: the playbook', WAYS[way]), spread(first[way]), '', ratio(first[way], first['article'])]
            for way in ways
        ),
        *(
            [both(what, WAYS[way]), spread(of(rows[way], 'wall')), spread(of(rows[way], 'cpu')), '']
            for what, rows in (('nothing to change', one), ('new code', figures['deploys']))
            for way in ways
        ),
    ]
    hosts = [
        [
            str(row['hosts']),
            *(
                cell
                for way in ways
                for cell in (spread(of(row[way], 'wall')), spread(of(row[way], 'cpu')), ratio(of(row[way], 'cpu'), of(one[way], 'cpu')))
            ),
        ]
        for row in figures['hosts']
    ]
    names = list(figures['versions']['article'])
    return PAGE.format(
        rounds=len(figures['load'][0]['article']),
        load=table(
            ['request', 'connections', 'requests/s, article', 'this host', 'ratio', 'p50 ms, article', 'this host', 'p99 ms, article',
             'this host', 'failed, article', 'this host'],
            load,
        ),
        python=figures['generator']['python'],
        generator=table(['characters × strings', "the article's, µs", "this host's, µs", 'speedup'], generator),
        runs=table(['run', 'seconds', "controller's CPU seconds", 'ratio'], runs),
        hosts=table(
            ['hosts', *(title for way in ways for title in
                        (both('seconds', WAYS[way]), "controller's CPU seconds", 'relative to one host'))],
            hosts,
        ),
        machine=''.join(f'- {name}: {value}\n' for name, value in figures['machine'].items()),
        versions=table(['', *names], [[stack, *(figures['versions'][key][name] for name in names)]
                                      for stack, key in (("the article's stack", 'article'), ('this host', 'flaskrandom'))]),
    )  # fmt: skip


def render(figures: dict) -> dict[str, str]:
    """All files of the page, by name."""
    figures = rounded(figures)
    return {'results.json': json.dumps(figures, indent=1, ensure_ascii=False) + '\n', 'README.md': page(figures), **plots(figures)}


def quote(readme: str, figures: dict) -> str:
    """The text of a README with the short table between its two marks, in the README's language."""
    words = CHINESE if '## 实测' in readme else {}
    before, rest = readme.split(MARKS[0])
    return before + MARKS[0] + headline(rounded(figures), words) + MARKS[1] + rest.split(MARKS[1])[1]


def write(figures: dict, folder: Path, readmes: list[Path]) -> None:
    """Writes the page to a folder and the summary to READMEs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in render(figures).items():
        (folder / name).write_text(text)
    for path in readmes:
        path.write_text(quote(path.read_text(), figures))


if __name__ == '__main__':
    write(json.loads((ROOT / 'docs/bench/results.json').read_text()), ROOT / 'docs/bench', READMES)
