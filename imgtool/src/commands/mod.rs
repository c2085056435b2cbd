//! The commands, put together from the other modules; one file for each.
