"""The house's HTML page: one file, nothing fetched, readable at night and on paper."""

from collections.abc import Iterable, Sequence
from html import escape

from homelab_lib.printable import printable

# As in `style`: blue is well and orange is not, so that whoever sees no red or green tells them
# apart; each has a mark of its own besides, and 4.5 to 1 on its paper (WCAG 2.2, 1.4.3).
_CSS = """
:root { color-scheme: light dark; --ink: #263238; --quiet: #546e7a; --line: #cfd8dc;
  --paper: #ffffff; --good: #0b3f75; --busy: #1565c0; --soft: #6a1b9a; --warn: #b3500a;
  --bad: #8c2d04; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #eceff1; --quiet: #90a4ae; --line: #455a64;
    --paper: #151b1e; --good: #90caf9; --busy: #b3d9ff; --soft: #ce93d8; --warn: #ffb74d;
    --bad: #ff8a65; }
  figure svg { filter: invert(0.88) hue-rotate(180deg); }
}
body { background: var(--paper); font: 15px/1.5 system-ui, sans-serif; color: var(--ink);
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } h4 { margin: 1rem 0 0; }
table { border-collapse: collapse; width: 100%; }
table.plain th, table.plain td { text-align: left; }
td.number, th.number { text-align: right; white-space: nowrap; padding-right: .6rem; }
td, th { padding: .2rem .6rem .2rem 0; border-bottom: 1px solid var(--line); text-align: left;
         vertical-align: top; }
code, pre { font: 12.5px/1.45 ui-monospace, monospace; }
pre { white-space: pre-wrap; } summary { cursor: pointer; }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; }
.quiet { color: var(--quiet); } span.rehearsed, span.measured, span.predicted {
  font-size: .85em; border: 1px solid var(--line); border-radius: .6em; padding: 0 .5em;
  white-space: nowrap; }
.anchor-link { display: none; } .wide { overflow-x: auto; }
ul.plain { list-style: none; padding-left: 0; } ul.plain li { margin: .25rem 0; }
ul.inner { padding-left: 1.5rem; } .whole { white-space: nowrap; }
a { color: var(--busy); }
@media (max-width: 40rem) {
  .wide tr { display: block; padding: .4rem 0; border-bottom: 1px solid var(--line); }
  .wide td { display: block; border: 0; padding: 0; overflow-wrap: anywhere; }
  .wide tr:has(th) { display: none; }
  .wide td.number { display: inline-block; text-align: left; padding-right: .9rem; }
  .wide td:has(+ td) { padding-right: .6rem; } .wide td:nth-child(-n+2) { display: inline; }
  .wide td.none, .wide td:empty { display: none; }
  .wide td[data-name]:not(:has(> .rehearsed, > .measured, > .predicted))::before {
    content: attr(data-name) " "; color: var(--quiet); }
  .homelab tr { display: block; padding: .3rem 0; border-bottom: 1px solid var(--line); }
  .run b { flex-basis: 6.5rem; } .run > span:last-child { flex-basis: 4.5rem; }
  .homelab td { display: inline; border: 0; padding-right: .5rem; }
}
.add { color: var(--good); } .change { color: var(--busy); } .destroy, .bad { color: var(--bad); }
nav { margin: .6rem 0; } td details { margin: 0; }
.verdict { border-left: .4em solid; padding-left: .6em; font-size: 1.1rem; }
ul.changes { list-style: none; padding-left: .5rem; } h5 { margin: .6rem 0 0; }
code, td, li, p, pre { overflow-wrap: anywhere; }
.homelab td:nth-child(2) { min-width: 6.5rem; }
.run { display: flex; gap: .6rem; align-items: center; }
.run b { flex: 0 0 9rem; font-weight: normal; } .run > span:last-child { flex: 0 0 6rem; }
.track { flex: 1; position: relative; height: 1.2em; border-bottom: 1px solid var(--line); }
.track i { position: absolute; top: .1em; height: 1em; min-width: 2px; background: var(--colour); }
.track i.step { opacity: .35; } .track i.sent { top: .35em; height: .5em; }
@media print { body { max-width: none; margin: 0; }
  tr, li { break-inside: avoid; } h1, h2, h4, h2 + p { break-after: avoid; }
  details::details-content { content-visibility: visible; display: block; height: auto; } }
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int = 99) -> str:
    """Rows of text as a table that folds into blocks on a phone.

    Parameters
    ----------
    head, rows
        What stands in it.
    numbers_from
        The column from which on it holds numbers, which stand to the right.
    """

    escaped = ([escape(cell) for cell in row] for row in rows)
    return marked_up([escape(name) for name in head], escaped, numbers_from)


def marked_up(head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int = 99) -> str:
    """Rows of HTML as such a table; see `table`. On a phone each cell says what it is, but for the
    first and for how a number was come by; on paper each page has the head."""

    def line(cells: Sequence[str], tag: str) -> str:
        told = (
            f"<{tag}{_class(cell, n >= numbers_from)}"
            f"{f' data-name={chr(34)}{head[n]}{chr(34)}' * (tag == 'td' and n > 0)}>{cell}</{tag}>"
            for n, cell in enumerate(cells)
        )
        return f"<tr>{''.join(told)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    top = f"<thead>{line(head, 'th')}</thead>"
    return f"<div class='wide'><table>{top}<tbody>{body}</tbody></table></div>"


def _class(cell: str, is_number: bool) -> str:
    """A cell's class; where there is no number, a phone does without the cell."""
    if not is_number:
        return ""
    return " class='number none'" if cell == "–" else " class=number"


def page(title: str, body: str) -> str:
    """A whole HTML document around `body`, free of control characters."""
    return printable(
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{_CSS}</style></head>"
        f"<body>\n{body}\n</body></html>\n"
    )
