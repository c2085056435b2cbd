//! What containers print, as the lines of a log: cut, escaped, and put into docker's or Kubernetes' form.
//!
//! ```text
//! escape   bytes as the inside of a JSON string
//! frame    one line, with what belongs around it
//! encoder  the two streams of a container, cut into lines
//! ```
//!
//! Every byte that a container prints passes here, in a process that is to cost little. That is why this is a crate of its
//! own: it is built for speed, and most of the product for size.
#![forbid(unsafe_code)]

mod encoder;
mod escape;
mod frame;

pub use encoder::{Encoder, LINE_LIMIT};
pub use escape::append_json;
pub use frame::{Format, Stream};
