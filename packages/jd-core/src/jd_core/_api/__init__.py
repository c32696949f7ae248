"""The decorator and the object that it returns: what users call."""
