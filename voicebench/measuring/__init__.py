"""Taking turns: one run, two set-ups in turn, a sweep, speech that is heard."""
