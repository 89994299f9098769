"""The HTML report: one file that opens offline and asks nobody for anything.

**What draws it.** The distributions are drawn by Vega-Lite, turned into inline SVG by vl-convert
when the report is made. Bokeh and Plotly draw with a script of one to five megabytes into a canvas
that no screen reader sees; an SVG is part of the page: it takes its colours from the page's style,
light or dark, keeps its words as text, and costs some ten kilobytes. Interaction is not what these
pictures need. The waterfall is no chart but a table, a row a turn, whose cells hold a small SVG
each: so it can be sorted, walked by keyboard and read aloud.

**What is safe.** The words in a result come from models, servers and prompts. Jinja2 escapes every
one of them; a content security policy inside the file allows the page's own script by its hash, and
nothing from anywhere else.
"""

from __future__ import annotations

from voicebench.report.html.page import Section, html_report
from voicebench.report.html.trend import trend_of, trend_sections

__all__ = ["Section", "html_report", "trend_of", "trend_sections"]
