"""The thinker's hidden states -> a picture."""
