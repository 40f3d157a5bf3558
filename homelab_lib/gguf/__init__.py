"""What a GGUF file says of itself: read within bounds, and what it takes when it is run."""
