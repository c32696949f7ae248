"""Where the time of a run went, and what helps: the losses, largest first."""
