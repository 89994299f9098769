"""What people read: tables in the terminal, CSV, Markdown. Reads results, never targets."""
