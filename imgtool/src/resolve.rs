//! A name to the documents behind it.
