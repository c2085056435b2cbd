//! Words to a tree.

use super::TemplateError;
use super::functions::{self, Function};
use super::lex::{Piece, Spaced, Token, pieces, tokens};
use serde_json::Value;
use std::collections::VecDeque;

/// How deep actions, and parentheses, may be in each other.
const DEPTH_LIMIT: usize = 100;

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// Its value is printed, unless it goes into a variable.
    Print(Pipeline),
    If(Pipeline, Vec<Self>, Vec<Self>),
    With(Pipeline, Vec<Self>, Vec<Self>),
    Range {
        /// The variables for the place and for the item.
        variables: (Option<String>, Option<String>),
        over: Pipeline,
        body: Vec<Self>,
        otherwise: Vec<Self>,
    },
    Break,
    Continue,
}

/// Commands, each of which gives its value to the next as the last argument.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipeline {
    /// The action that it stands in, for messages.
    pub source: String,
    /// The variable that takes the value, and whether it is a new one.
    pub variable: Option<(String, bool)>,
    pub commands: Vec<Command>,
}

/// A function with its arguments, docker's only method, or a value alone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Call(Function, Vec<Term>),
    /// What the row has under a label: `.Label "name"`.
    Label(String),
    Value(Term),
}

/// What has a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    Literal(Value),
    /// A field of what `.` stands for.
    Field(Vec<String>),
    /// A field of a variable; the empty name is the whole.
    Variable(String, Vec<String>),
    /// A field of what parentheses give.
    Group(Box<Pipeline>, Vec<String>),
    /// A function without arguments as an argument.
    Call(Function),
}

/// What ended a list of parts.
#[derive(Debug, Clone, PartialEq)]
enum End {
    Format,
    Here,
    /// With what follows `else`.
    Else(Vec<Spaced>, String),
}

/// Parses a whole format.
pub(super) fn parse(format: &str) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser { format, pieces: pieces(format)?.into(), loops: 0, depth: 0 };
    match parser.list()? {
        (nodes, End::Format) => Ok(nodes),
        (_, End::Here) => Err(TemplateError::syntax("end", "it ends nothing")),
        (_, End::Else(..)) => {
            Err(TemplateError::syntax("else", "there is no 'if', 'with' or 'range' before"))
        }
    }
}

struct Parser<'a> {
    format: &'a str,
    pieces: VecDeque<Piece<'a>>,
    /// How many ranges this is in.
    loops: usize,
    /// How many actions with an end this is in.
    depth: usize,
}

impl Parser<'_> {
    fn list(&mut self) -> Result<(Vec<Node>, End), TemplateError> {
        self.deeper(Self::list_here)
    }

    /// A list within a list within a list ends in a stack that is full.
    fn deeper<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(TemplateError::syntax("...", "actions are too deep in each other"));
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn list_here(&mut self) -> Result<(Vec<Node>, End), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.pop_front() {
            let action = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(action) => action,
            };
            let words = tokens(action).map_err(|problem| TemplateError::syntax(action, &problem))?;
            match self.action(action, words)? {
                Ok(node) => nodes.push(node),
                Err(end) => return Ok((nodes, end)),
            }
        }
        Ok((nodes, End::Format))
    }

    fn action(&mut self, action: &str, mut words: Vec<Spaced>) -> Result<Result<Node, End>, TemplateError> {
        let keyword = match words.first() {
            Some((Token::Name(name), _)) => name.clone(),
            _ => String::new(),
        };
        let mut rest = || words.split_off(1);
        let node = match keyword.as_str() {
            "end" => return Ok(Err(End::Here)),
            "else" => return Ok(Err(End::Else(rest(), action.to_owned()))),
            "if" | "with" => self.branch(&keyword, action, rest())?,
            "range" => self.range(action, rest())?,
            "break" | "continue" if self.loops == 0 => {
                return Err(TemplateError::syntax(action, "it is not in a 'range'"));
            }
            "break" => Node::Break,
            "continue" => Node::Continue,
            "define" | "template" | "block" => {
                return Err(TemplateError::syntax(action, "templates in templates are not supported"));
            }
            _ => Node::Print(pipeline(action, words)?),
        };
        Ok(Ok(node))
    }

    /// `if` or `with`, up to its end; `else if` and `else with` are one inside the other.
    fn branch(&mut self, keyword: &str, action: &str, words: Vec<Spaced>) -> Result<Node, TemplateError> {
        let condition = pipeline(action, words)?;
        let (body, end) = self.list()?;
        let otherwise = match end {
            End::Here => Vec::new(),
            End::Format => return Err(self.not_ended(action)),
            End::Else(words, action) => match words.first() {
                None => self.rest(&action)?,
                Some((Token::Name(name), _)) if name == keyword => {
                    vec![self.deeper(|parser| parser.branch(keyword, &action, words[1..].to_vec()))?]
                }
                Some(_) => return Err(TemplateError::syntax(&action, "nothing of this can follow 'else'")),
            },
        };
        let node = if keyword == "if" { Node::If } else { Node::With };
        Ok(node(condition, body, otherwise))
    }

    /// What follows a plain `else`.
    fn rest(&mut self, action: &str) -> Result<Vec<Node>, TemplateError> {
        match self.list()? {
            (nodes, End::Here) => Ok(nodes),
            (_, End::Format) => Err(self.not_ended(action)),
            (_, End::Else(_, action)) => Err(TemplateError::syntax(&action, "there is one 'else' already")),
        }
    }

    fn range(&mut self, action: &str, words: Vec<Spaced>) -> Result<Node, TemplateError> {
        let (variables, words) = range_variables(words);
        let over = pipeline(action, words)?;
        self.loops += 1;
        let (body, end) = self.list()?;
        self.loops -= 1;
        let otherwise = match end {
            End::Here => Vec::new(),
            End::Else(words, action) if words.is_empty() => self.rest(&action)?,
            End::Else(_, action) => {
                return Err(TemplateError::syntax(&action, "nothing can follow the 'else' of a 'range'"));
            }
            End::Format => return Err(self.not_ended(action)),
        };
        Ok(Node::Range { variables, over, body, otherwise })
    }

    fn not_ended(&self, action: &str) -> TemplateError {
        TemplateError::syntax(action, &format!("there is no '{{{{end}}}}' for it in {:?}", self.format))
    }
}

/// `$item :=` or `$place, $item :=`, and what follows.
fn range_variables(mut words: Vec<Spaced>) -> ((Option<String>, Option<String>), Vec<Spaced>) {
    let plain: Vec<&Token> = words.iter().map(|(token, _)| token).take(4).collect();
    match plain[..] {
        [Token::Variable(item), Token::Declare, ..] => {
            let item = item.clone();
            ((None, Some(item)), words.split_off(2))
        }
        [Token::Variable(place), Token::Comma, Token::Variable(item), Token::Declare] => {
            let variables = (Some(place.clone()), Some(item.clone()));
            (variables, words.split_off(4))
        }
        _ => ((None, None), words),
    }
}

fn pipeline(action: &str, words: Vec<Spaced>) -> Result<Pipeline, TemplateError> {
    if words.iter().filter(|(token, _)| *token == Token::Open).count() > DEPTH_LIMIT {
        return Err(TemplateError::syntax(action, "it has too many parentheses"));
    }
    let mut words = VecDeque::from(words);
    let pipeline = Words { words: &mut words }
        .pipeline(action, true)
        .map_err(|problem| TemplateError::syntax(action, &problem))?;
    match words.is_empty() {
        true => Ok(pipeline),
        false => Err(TemplateError::syntax(action, "a ')' has no '('")),
    }
}

struct Words<'a> {
    words: &'a mut VecDeque<Spaced>,
}

impl Words<'_> {
    fn pipeline(&mut self, source: &str, may_declare: bool) -> Result<Pipeline, String> {
        let variable = if may_declare { self.variable() } else { None };
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let command = self.command(source)?;
            if !commands.is_empty() && matches!(command, Command::Value(_)) {
                return Err("only a function can follow '|'".to_owned());
            }
            commands.push(command);
            match self.words.front() {
                Some((Token::Pipe, _)) => drop(self.words.pop_front()),
                _ => return Ok(Pipeline { source: source.to_owned(), variable, commands }),
            }
        }
    }

    fn variable(&mut self) -> Option<(String, bool)> {
        let (Token::Variable(name), is_new) = (match (self.words.front(), self.words.get(1)) {
            (Some((name, _)), Some((Token::Declare, _))) => (name.clone(), true),
            (Some((name, _)), Some((Token::Assign, _))) => (name.clone(), false),
            _ => return None,
        }) else {
            return None;
        };
        self.words.drain(..2);
        Some((name, is_new))
    }

    fn command(&mut self, source: &str) -> Result<Command, String> {
        let mut terms = Vec::new();
        while !matches!(self.words.front(), None | Some((Token::Pipe | Token::Close, _))) {
            terms.push(self.term(source)?);
        }
        if terms.is_empty() {
            return Err("a value or a function is missing".to_owned());
        }
        let first = terms.remove(0);
        if let (Term::Field(names), [Term::Literal(Value::String(label))]) = (&first, &terms[..])
            && names == &["Label"]
        {
            return Ok(Command::Label(label.clone()));
        }
        match first {
            Term::Call(function) => Ok(Command::Call(function, terms)),
            value if terms.is_empty() => Ok(Command::Value(value)),
            _ => Err("only a function can have arguments".to_owned()),
        }
    }

    fn term(&mut self, source: &str) -> Result<Term, String> {
        let (token, _) = self.words.pop_front().ok_or("a value is missing")?;
        match token {
            Token::Name(name) => {
                let function = Function::named(&name).ok_or_else(|| functions::unknown(&name))?;
                Ok(Term::Call(function))
            }
            Token::Field(names) => Ok(Term::Field(names)),
            Token::Literal(value) => Ok(Term::Literal(value)),
            Token::Variable(name) => Ok(Term::Variable(name, self.fields())),
            Token::Open => {
                let inside = self.pipeline(source, false)?;
                match self.words.pop_front() {
                    Some((Token::Close, _)) => Ok(Term::Group(Box::new(inside), self.fields())),
                    _ => Err("a '(' is not closed".to_owned()),
                }
            }
            other => Err(format!("{other:?} is not where it can be")),
        }
    }

    /// Fields directly behind a variable or a parenthesis.
    fn fields(&mut self) -> Vec<String> {
        match self.words.front() {
            Some((Token::Field(names), false)) if !names.is_empty() => {
                let names = names.clone();
                self.words.pop_front();
                names
            }
            _ => Vec::new(),
        }
    }
}
