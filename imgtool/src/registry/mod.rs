//! Registries: HTTP, who to ask, and how to be let in.
