"""The compute backend of just-distribute: processes, started by pathos, each with a private channel."""
