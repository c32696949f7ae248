"""How messages and large buffers travel between the caller and its workers."""
