"""What tells one call from another, and one state of a function's code from another, in every process."""
