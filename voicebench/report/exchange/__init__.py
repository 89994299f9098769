"""Results for other programs: JUnit, Markdown, badges, CI, benchmark trackers, monitoring."""
