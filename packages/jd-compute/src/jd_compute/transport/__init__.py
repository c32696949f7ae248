"""How messages and large buffers are sent between the caller and its workers."""
