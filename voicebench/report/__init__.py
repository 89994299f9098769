"""Reports on recorded runs: tables in the terminal, Markdown, HTML, formats for programs."""
