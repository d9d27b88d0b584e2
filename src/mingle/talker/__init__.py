"""Text and a voice -> speech."""
