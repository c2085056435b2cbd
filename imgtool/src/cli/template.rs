//! Lists as docker prints them: a table, JSON, or one of Go's templates with fields of the rows.

use serde_json::Value;

/// A row: the names of its fields, as templates call them, with their values.
pub type Row = Vec<(&'static str, String)>;

/// What a list is to look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    is_table: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
    /// As a JSON string.
    JsonField(String),
    /// The whole row as a JSON object.
    Json,
}

/// Why a format is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Braces are not closed.
    #[error("format {0:?} has '{{{{' without '}}}}'")]
    Open(String),
    /// What stands between braces is not known.
    #[error(
        "'{{{{{action}}}}}' in a format is not supported; there are {known}, and 'json' before one or before '.'"
    )]
    Action {
        /// What stands there.
        action: String,
        /// What could.
        known: String,
    },
}

impl Template {
    /// Parses a format for rows with the fields `known`.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(format: &str, known: &[&str]) -> Result<Self, TemplateError> {
        if format == "json" {
            return Ok(Self { parts: vec![Part::Json], is_table: false });
        }
        let (is_table, text) = match format.strip_prefix("table") {
            Some(rest) if rest.is_empty() || rest.starts_with([' ', '\t', '\\', '{']) => {
                (true, rest.trim_start())
            }
            _ => (false, format),
        };
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            let (action, after) =
                after.split_once("}}").ok_or_else(|| TemplateError::Open(format.to_owned()))?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(part(action.trim(), known)?);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { parts, is_table })
    }

    /// The rows as text; a table has a line of `titles` first, which name a field's column.
    #[must_use]
    pub fn render(&self, titles: &[(&'static str, &str)], rows: &[Row]) -> String {
        let lines = rows.iter().map(|row| self.line(row, false));
        if !self.is_table {
            return lines.map(|line| line + "\n").collect();
        }
        let titles: Row = titles.iter().map(|(field, title)| (*field, (*title).to_owned())).collect();
        let all: Vec<String> = std::iter::once(self.line(&titles, true)).chain(lines).collect();
        columns(&all)
    }

    fn line(&self, row: &Row, is_title: bool) -> String {
        let value = |name: &str| {
            row.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(name) => value(name).to_owned(),
            Part::JsonField(name) if is_title => value(name).to_owned(),
            Part::JsonField(name) => Value::from(value(name)).to_string(),
            Part::Json => {
                let fields =
                    row.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
                Value::Object(fields.collect()).to_string()
            }
        };
        self.parts.iter().map(text).collect()
    }
}

fn part(action: &str, known: &[&str]) -> Result<Part, TemplateError> {
    let (is_json, name) = match action.strip_prefix("json ") {
        Some(rest) => (true, rest.trim()),
        None => (false, action),
    };
    if is_json && name == "." {
        return Ok(Part::Json);
    }
    match name.strip_prefix('.').filter(|field| known.contains(field)) {
        Some(field) if is_json => Ok(Part::JsonField(field.to_owned())),
        Some(field) => Ok(Part::Field(field.to_owned())),
        None => {
            let known = known.iter().map(|field| format!(".{field}")).collect::<Vec<_>>().join(", ");
            Err(TemplateError::Action { action: action.to_owned(), known })
        }
    }
}

/// Lines with tabs as columns: each as wide as its widest cell and three blanks, ten at the least, as docker's.
fn columns(lines: &[String]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        let mut cells: Vec<_> = line.split('\t').collect();
        // The last one of a line ends where it ends.
        cells.pop();
        for (column, cell) in cells.into_iter().enumerate() {
            let width = (cell.chars().count() + 3).max(10);
            match widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for line in lines {
        let cells: Vec<_> = line.split('\t').collect();
        for (column, cell) in cells.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < cells.len() {
                let blanks = widths.get(column).copied().unwrap_or(0).saturating_sub(cell.chars().count());
                text.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLES: &[(&str, &str)] = &[("ID", "IMAGE ID"), ("Tag", "TAG")];

    fn render(format: &str) -> Result<String, TemplateError> {
        let row = vec![("ID", "0123456789ab".to_owned()), ("Tag", "a \"b\"".to_owned())];
        Template::parse(format, &["ID", "Tag"]).map(|template| template.render(TITLES, &[row]))
    }

    #[test]
    fn a_template_puts_fields_into_text() {
        assert_eq!(render("{{.ID}}:{{ .Tag }}!").as_deref(), Ok("0123456789ab:a \"b\"!\n"));
        assert_eq!(render("{{json .Tag}}\\t").as_deref(), Ok("\"a \\\"b\\\"\"\t\n"));
        assert_eq!(render("json").as_deref(), Ok("{\"ID\":\"0123456789ab\",\"Tag\":\"a \\\"b\\\"\"}\n"));
        assert_eq!(render("json"), render("{{json .}}"));
    }

    #[test]
    fn a_table_has_titles_and_columns() {
        let table = "IMAGE ID       TAG\n0123456789ab   a \"b\"\n";
        assert_eq!(render("table {{.ID}}\\t{{.Tag}}").as_deref(), Ok(table));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let error = render("{{range .}}").expect_err("an action").to_string();
        assert!(error.contains("{{range .}}") && error.contains(".ID, .Tag"), "{error}");
        assert!(render("{{.Nothing}}").is_err() && render("{{.ID").is_err());
    }
}
