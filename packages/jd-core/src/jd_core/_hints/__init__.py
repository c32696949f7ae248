"""What type hints say about a function's parameters and its result."""
