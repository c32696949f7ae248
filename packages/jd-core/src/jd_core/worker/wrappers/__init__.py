"""What a run adds to the user's function, as a function around it, so that every backend makes its calls alike."""
