"""Sound as samples: PCM analysis, WAV files, the loudspeaker."""
