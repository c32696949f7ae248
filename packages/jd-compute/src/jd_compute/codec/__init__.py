"""How objects are serialized between the caller and its workers."""
