"""Media features -> embeddings of the thinker's width, projector included."""
