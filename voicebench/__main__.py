"""``python -m voicebench``."""

from voicebench.cli import main

main()
