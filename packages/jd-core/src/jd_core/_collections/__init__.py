"""The kinds of collections: how each is recognised, cut and joined."""
