"""What the fork server imports before it forks: which modules, and where they are."""
