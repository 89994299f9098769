"""How often the check for speech is wrong: on speech, damaged speech and other sounds."""
