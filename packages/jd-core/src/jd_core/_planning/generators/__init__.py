"""Random generators that the calls of a run in processes only seem to share."""
