"""What type checkers see of a distributed function."""
