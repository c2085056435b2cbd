//! A tree and a value to text.

use super::functions::{Function, kind, truth};
use super::parse::{Command, Node, Pipeline, Term};
use super::{Labels, TemplateError, print};
use serde_json::Value;

/// What a part of a template has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

/// Carries out a template; `labels` are those of the row, if it is one.
pub(super) fn render(
    nodes: &[Node],
    whole: &Value,
    labels: Option<&Labels>,
    is_title: bool,
) -> Result<String, TemplateError> {
    let variables = vec![(String::new(), whole.clone())];
    let mut run = Run { text: String::new(), variables, labels, is_title };
    run.list(nodes, whole)?;
    Ok(run.text)
}

struct Run<'a> {
    text: String,
    /// Later ones hide earlier ones of the same name.
    variables: Vec<(String, Value)>,
    labels: Option<&'a Labels>,
    is_title: bool,
}

impl Run<'_> {
    /// Variables end with the list that they were made in.
    fn list(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        let known = self.variables.len();
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        self.variables.truncate(known);
        Ok(flow)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, TemplateError> {
        match node {
            Node::Text(text) => self.text.push_str(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variable.is_none() {
                    self.text.push_str(&print::shown(&value));
                }
            }
            Node::If(condition, body, otherwise) => {
                return self.scoped(|run| {
                    let is_true = truth(&run.pipeline(condition, dot)?);
                    run.list(if is_true { body } else { otherwise }, dot)
                });
            }
            Node::With(condition, body, otherwise) => {
                return self.scoped(|run| {
                    let value = run.pipeline(condition, dot)?;
                    if truth(&value) { run.list(body, &value) } else { run.list(otherwise, dot) }
                });
            }
            Node::Range { .. } => return self.scoped(|run| run.range(node, dot)),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    /// A variable of a condition is known up to the end of what depends on it.
    fn scoped(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<Flow, TemplateError>,
    ) -> Result<Flow, TemplateError> {
        let known = self.variables.len();
        let flow = work(self);
        self.variables.truncate(known);
        flow
    }

    fn range(&mut self, node: &Node, dot: &Value) -> Result<Flow, TemplateError> {
        let Node::Range { variables, over, body, otherwise } = node else { return Ok(Flow::On) };
        let items = items(self.pipeline(over, dot)?)
            .map_err(|problem| TemplateError::execute(&over.source, problem))?;
        if items.is_empty() {
            return self.list(otherwise, dot);
        }
        for (place, item) in items {
            let known = self.variables.len();
            for (name, value) in [(&variables.0, &place), (&variables.1, &item)] {
                self.variables.extend(name.iter().map(|name| (name.clone(), value.clone())));
            }
            let flow = self.list(body, &item)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, dot, value.take(), &pipeline.source)?);
        }
        let value = value.unwrap_or_default();
        match &pipeline.variable {
            Some((name, true)) => self.variables.push((name.clone(), value.clone())),
            Some((name, false)) => self.assign(name, &value, &pipeline.source)?,
            None => {}
        }
        Ok(value)
    }

    fn assign(&mut self, name: &str, value: &Value, source: &str) -> Result<(), TemplateError> {
        match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.clone(),
            None => return Err(TemplateError::execute(source, format!("there is no variable ${name}"))),
        }
        Ok(())
    }

    /// `last` is what the command before in the pipeline gave.
    fn command(
        &mut self,
        command: &Command,
        dot: &Value,
        last: Option<Value>,
        source: &str,
    ) -> Result<Value, TemplateError> {
        let (function, terms) = match command {
            Command::Value(term) => return self.term(term, dot, source),
            Command::Label(name) => return self.label(name, source),
            Command::Call(function, terms) => (*function, terms),
        };
        let mut arguments = Vec::new();
        for term in terms {
            arguments.push(self.term(term, dot, source)?);
            let is_decided = arguments.last().is_some_and(|value| match function {
                Function::And => !truth(value),
                Function::Or => truth(value),
                _ => false,
            });
            // What follows may not even have a value: {{if and .A .A.B}}.
            if is_decided {
                return Ok(arguments.pop().unwrap_or_default());
            }
        }
        arguments.extend(last);
        function.call(arguments, self.is_title).map_err(|problem| TemplateError::execute(source, problem))
    }

    /// The title of a label's column is the last part of its name, as docker has it.
    fn label(&self, name: &str, source: &str) -> Result<Value, TemplateError> {
        if self.is_title {
            let last = name.rsplit('.').next().unwrap_or(name);
            return Ok(last.replace(['-', '_'], " ").into());
        }
        match self.labels {
            Some(labels) => Ok(labels.get(name).cloned().unwrap_or_default().into()),
            None => Err(TemplateError::execute(source, "there are no labels here".to_owned())),
        }
    }

    fn term(&mut self, term: &Term, dot: &Value, source: &str) -> Result<Value, TemplateError> {
        let failed = |problem| TemplateError::execute(source, problem);
        match term {
            Term::Literal(value) => Ok(value.clone()),
            Term::Field(names) => field(dot, names).map_err(failed),
            Term::Variable(name, names) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let (_, value) = known.ok_or_else(|| failed(format!("there is no variable ${name}")))?;
                field(value, names).map_err(failed)
            }
            Term::Group(pipeline, names) => {
                let value = self.pipeline(pipeline, dot)?;
                field(&value, names).map_err(failed)
            }
            Term::Call(function) => function.call(Vec::new(), self.is_title).map_err(failed),
        }
    }
}

/// What a range goes through, with its places or names.
fn items(value: Value) -> Result<Vec<(Value, Value)>, String> {
    let numbered = |(place, item): (usize, Value)| (Value::from(place), item);
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items.into_iter().enumerate().map(numbered).collect()),
        Value::Object(fields) => {
            let mut items: Vec<_> = fields.into_iter().collect();
            items.sort_by(|(one, _), (other, _)| one.cmp(other));
            Ok(items.into_iter().map(|(name, item)| (name.into(), item)).collect())
        }
        other => Err(format!("'range' cannot go through {}", kind(&other))),
    }
}

/// Follows names. One that begins with a small letter can only be a key of a map, which need not be there; any other is a
/// field, and one that is not there is a mistake.
fn field(value: &Value, names: &[String]) -> Result<Value, String> {
    let mut value = value;
    for name in names {
        value = match value {
            Value::Object(fields) => match fields.get(name) {
                Some(value) => value,
                None if name.starts_with(char::is_lowercase) => &Value::Null,
                None => {
                    let known: Vec<_> = fields.keys().map(|name| format!(".{name}")).collect();
                    return Err(format!("there is no .{name}; there are {}", known.join(", ")));
                }
            },
            Value::Null if name.starts_with(char::is_lowercase) => &Value::Null,
            other => return Err(format!("{} has no .{name}", kind(other))),
        };
    }
    Ok(value.clone())
}
