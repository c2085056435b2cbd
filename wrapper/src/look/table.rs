//! Formats of lists.

use mydocker_img::cli::{Template, TemplateError};

/// The fields of a row, and the titles of their columns.
pub type Titles = [(&'static str, &'static str)];

/// What was asked of a list: `--format`, or `-q`, or the table `usual`; `quiet` is the format of `-q`.
///
/// # Errors
/// [`TemplateError`].
pub fn template(
    format: Option<&str>,
    quiet: Option<&str>,
    usual: &str,
    titles: &Titles,
) -> Result<Template, TemplateError> {
    let format = match (format, quiet) {
        (Some(format), None) if !format.is_empty() && format != "table" => format,
        (_, Some(quiet)) => quiet,
        _ => usual,
    };
    let known: Vec<&str> = titles.iter().map(|(field, _)| *field).collect();
    Template::parse(format, &known)
}
