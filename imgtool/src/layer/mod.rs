//! A layer to a directory, and a directory back to a layer.
