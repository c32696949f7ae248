"""The connection of this process to a cluster: found or started, watched, and closed to other users."""
