//! Documents as `inspect` prints them: a list of them, or each through a template.

use crate::cli::{Outcome, complain_of};
use mydocker_img::cli::{Template, print_value};
use serde_json::Value;
use std::error::Error;

/// Prints the documents of the things of these names; those that cannot be had are told afterwards, with status 1.
///
/// # Errors
/// A format that is none, or does not fit; standard output.
pub fn print_each<E: Into<Box<dyn Error>>>(
    names: &[String],
    format: Option<&str>,
    mut read: impl FnMut(&str) -> Result<Value, E>,
) -> Outcome {
    let format = format.filter(|format| !format.is_empty());
    // A format is refused before anything is printed.
    let template = format.map(Template::of_value).transpose()?;
    let (mut documents, mut errors) = (Vec::new(), Vec::new());
    for name in names {
        match read(name) {
            Ok(document) => documents.push(document),
            Err(error) => errors.push(error),
        }
    }
    match template {
        None => print_value(&format!("{}\n", indented(&Value::Array(documents))))?,
        Some(template) => {
            for document in documents {
                print_value(&format!("{}\n", template.render_value(&document)?))?;
            }
        }
    }
    let status = u8::from(!errors.is_empty());
    errors.into_iter().for_each(complain_of);
    Ok(status)
}

/// JSON as docker indents it: by four blanks.
#[must_use]
pub fn indented(value: &Value) -> String {
    use serde::Serialize as _;
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        // A Value always has a text; this one is the same without the blanks.
        Err(_) => value.to_string(),
    }
}
