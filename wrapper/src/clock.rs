//! Moments: RFC 3339 in UTC with nanoseconds, as docker writes them.

use jiff::Timestamp;

/// What docker shows where something has not happened yet.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// This moment, such as `2024-02-29T12:00:00.123456789Z`.
#[must_use]
pub fn now() -> String {
    format!("{:.9}", Timestamp::now())
}
