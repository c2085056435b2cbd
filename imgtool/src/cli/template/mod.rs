//! Lists and documents as docker prints them: a table, JSON, or one of Go's templates (package text/template).
//!
//! ```text
//! lex         text, actions, words
//! parse       a tree
//! eval        the tree and a value to text
//! functions   what templates can call
//! print       values as Go prints them
//! columns     tables
//! ```

mod columns;
mod eval;
mod functions;
mod lex;
mod parse;
mod print;

use parse::{Command, Node, Pipeline, Term};
use serde_json::Value;
use std::collections::BTreeMap;

/// A row: the names of its fields, as templates call them, with their values.
pub type Row = Vec<(&'static str, String)>;

/// What `.Label "name"` looks into.
pub type Labels = BTreeMap<String, String>;

/// What a list or a document is to look like.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    nodes: Vec<Node>,
    is_table: bool,
}

/// Why a format is none, or does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Braces are not closed.
    #[error("format {0:?} has '{{{{' without '}}}}'")]
    Open(String),
    /// What stands between braces is nothing that can be done.
    #[error("'{{{{{action}}}}}' in a format is not supported: {problem}")]
    Syntax {
        /// What stands there.
        action: String,
        /// What is wrong.
        problem: String,
    },
    /// What stands between braces cannot be done with this value.
    #[error("'{{{{{action}}}}}' in a format does not fit: {problem}")]
    Execute {
        /// What stands there.
        action: String,
        /// What is wrong.
        problem: String,
    },
    /// A field that a row does not have.
    #[error("'{{{{{action}}}}}' in a format is not supported: there is no .{field}; there are {known}")]
    Field {
        /// What stands there.
        action: String,
        /// The field.
        field: String,
        /// Those that exist.
        known: String,
    },
}

impl TemplateError {
    fn syntax(action: &str, problem: &str) -> Self {
        Self::Syntax { action: action.to_owned(), problem: problem.to_owned() }
    }

    fn execute(action: &str, problem: String) -> Self {
        Self::Execute { action: action.to_owned(), problem }
    }
}

/// Whether a format asks for what is printed without any: as with docker, also an empty one, which scripts have from a variable
/// that is not set.
#[must_use]
pub fn is_usual(format: &str) -> bool {
    matches!(format, "" | "table")
}

impl Template {
    /// Parses a format for rows with the fields `known`. It may be `json`, or begin with `table`.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(format: &str, known: &[&str]) -> Result<Self, TemplateError> {
        let (is_table, text) = match format.strip_prefix("table") {
            Some(rest) if rest.is_empty() || rest.starts_with([' ', '\t', '\\', '{']) => {
                (true, rest.trim_start())
            }
            _ => (false, format),
        };
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let template = Self { is_table, ..Self::of_value(&text)? };
        check_list(&template.nodes, known, true)?;
        Ok(template)
    }

    /// Parses a format for a document, whose fields are known only when it is there.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn of_value(format: &str) -> Result<Self, TemplateError> {
        let format = if format == "json" { "{{json .}}" } else { format };
        Ok(Self { nodes: parse::parse(format)?, is_table: false })
    }

    /// A document as text, without a line's end.
    ///
    /// # Errors
    /// [`TemplateError::Execute`].
    pub fn render_value(&self, value: &Value) -> Result<String, TemplateError> {
        eval::render(&self.nodes, value, None, false)
    }

    /// The rows as text; a table has a line of `titles` first, which name a field's column.
    ///
    /// # Errors
    /// [`TemplateError::Execute`].
    pub fn render(&self, titles: &[(&'static str, &str)], rows: &[Row]) -> Result<String, TemplateError> {
        self.render_all(titles, rows.iter().map(|row| (row, None)))
    }

    /// The same for rows of things that have labels.
    ///
    /// # Errors
    /// [`TemplateError::Execute`].
    pub fn render_labelled(
        &self,
        titles: &[(&'static str, &str)],
        rows: &[(Row, &Labels)],
    ) -> Result<String, TemplateError> {
        self.render_all(titles, rows.iter().map(|(row, labels)| (row, Some(*labels))))
    }

    fn render_all<'a>(
        &self,
        titles: &[(&'static str, &str)],
        rows: impl Iterator<Item = (&'a Row, Option<&'a Labels>)>,
    ) -> Result<String, TemplateError> {
        let value = |row: &Row| {
            let fields = row.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
            Value::Object(fields.collect())
        };
        let lines = rows.map(|(row, labels)| eval::render(&self.nodes, &value(row), labels, false));
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        if !self.is_table {
            return Ok(lines.into_iter().map(|line| line + "\n").collect());
        }
        let titles: Row = titles.iter().map(|(field, title)| (*field, (*title).to_owned())).collect();
        let first = eval::render(&self.nodes, &value(&titles), None, true)?;
        let all: Vec<String> = std::iter::once(first).chain(lines).collect();
        Ok(columns::columns(&all))
    }
}

/// Demands that fields of a row exist; `is_row` tells whether `.` stands for one.
fn check_list(nodes: &[Node], known: &[&str], is_row: bool) -> Result<(), TemplateError> {
    for node in nodes {
        match node {
            Node::Text(_) | Node::Break | Node::Continue => {}
            Node::Print(pipeline) => check(pipeline, known, is_row)?,
            Node::If(pipeline, body, otherwise) => {
                check(pipeline, known, is_row)?;
                check_list(body, known, is_row)?;
                check_list(otherwise, known, is_row)?;
            }
            Node::With(pipeline, body, otherwise) | Node::Range { over: pipeline, body, otherwise, .. } => {
                check(pipeline, known, is_row)?;
                check_list(body, known, false)?;
                check_list(otherwise, known, is_row)?;
            }
        }
    }
    Ok(())
}

fn check(pipeline: &Pipeline, known: &[&str], is_row: bool) -> Result<(), TemplateError> {
    let terms = pipeline.commands.iter().flat_map(|command| match command {
        Command::Value(term) => std::slice::from_ref(term),
        Command::Call(_, terms) => terms,
        Command::Label(_) => &[],
    });
    for term in terms {
        let names = match term {
            Term::Group(inside, _) => {
                check(inside, known, is_row)?;
                continue;
            }
            Term::Field(names) if is_row => names,
            Term::Variable(name, names) if name.is_empty() => names,
            _ => continue,
        };
        if let Some(field) = names.first().filter(|name| !known.contains(&name.as_str())) {
            let known = known.iter().map(|field| format!(".{field}")).collect::<Vec<_>>().join(", ");
            let (action, field) = (pipeline.source.clone(), field.clone());
            return Err(TemplateError::Field { action, field, known });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
