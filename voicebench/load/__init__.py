"""Load: callers and their turns as a plan, judged levels, and the search for capacity."""
