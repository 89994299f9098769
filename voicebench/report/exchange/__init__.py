"""Results for other programs: JUnit, Markdown, badges, CI services, benchmark trackers."""
