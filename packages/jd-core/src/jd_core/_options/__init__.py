"""The options of `distribute`, checked once."""
