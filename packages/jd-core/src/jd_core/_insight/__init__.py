"""Says what a call would do, before it is made."""
