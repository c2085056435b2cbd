//! What docker and podman keep to log in with.
