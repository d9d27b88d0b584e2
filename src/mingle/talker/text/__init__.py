"""The text front end: written text becomes what a voice says, cut into pieces as it arrives."""
