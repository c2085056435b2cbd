//! The tests that run in the machine.
