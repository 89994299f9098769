"""The HTML report: one self-contained file that makes no network requests.

The distributions are Vega-Lite charts, which vl-convert turns into inline SVG when the report is
written. Bokeh and Plotly need a script of one to five megabytes and draw on a canvas that no screen
reader can read. An SVG takes its colours from the page's style, light or dark, keeps its words as
text, and needs some ten kilobytes. The waterfall is a table with one row a turn and a small SVG in
each cell, so it can be sorted, used by keyboard and read aloud.

The words in a result come from models, servers and prompts. Jinja2 escapes all of them. A content
security policy inside the file allows the page's own script by its hash, and nothing else.
"""

from __future__ import annotations

from voicebench.report.html.page import html_report
from voicebench.report.html.parts import Section
from voicebench.report.html.trend import trend_of, trend_sections

__all__ = ["Section", "html_report", "trend_of", "trend_sections"]
