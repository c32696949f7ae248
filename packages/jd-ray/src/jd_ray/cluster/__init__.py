"""The cluster: what it offers, which tasks have begun on it, and cancelling them."""
