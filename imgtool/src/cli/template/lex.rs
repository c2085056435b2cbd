//! A format as text and actions, and an action as words.

use super::TemplateError;
use serde_json::{Number, Value};

/// A part of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(String),
    /// What stands between braces.
    Action(&'a str),
}

/// Splits a format, and trims the text beside `{{-` and `-}}`. Comments are left out.
pub(super) fn pieces(format: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let (mut rest, mut trims) = (format, false);
    loop {
        let (before, after) = rest.split_once("{{").map_or((rest, None), |(text, rest)| (text, Some(rest)));
        let before = if trims { before.trim_start() } else { before };
        let Some(after) = after else {
            pieces.push(Piece::Text(before.to_owned()));
            return Ok(pieces);
        };
        let end = action_end(after).ok_or_else(|| TemplateError::Open(format.to_owned()))?;
        let (mut action, trimmed) = (&after[..end], minus_before(&after[..end]));
        let before = if trimmed { before.trim_end() } else { before };
        if trimmed {
            action = &action[1..];
        }
        trims = action.ends_with('-') && action[..action.len() - 1].ends_with(char::is_whitespace);
        if trims {
            action = &action[..action.len() - 1];
        }
        pieces.push(Piece::Text(before.to_owned()));
        if !action.trim().starts_with("/*") {
            pieces.push(Piece::Action(action.trim()));
        }
        rest = &after[end + 2..];
    }
}

/// A minus trims only if a blank follows; else it begins a number.
fn minus_before(action: &str) -> bool {
    action.strip_prefix('-').is_some_and(|rest| rest.starts_with(char::is_whitespace))
}

/// Where `}}` ends an action; braces in quotes do not.
fn action_end(text: &str) -> Option<usize> {
    let comment = text.strip_prefix('-').unwrap_or(text).trim_start();
    if comment.starts_with("/*") {
        let close = text.find("*/")?;
        return text[close..].find("}}").map(|end| close + end);
    }
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match quote {
            Some(open) if c == open => quote = None,
            Some('"' | '\'') if c == '\\' => drop(characters.next()),
            Some(_) => {}
            None if matches!(c, '"' | '`' | '\'') => quote = Some(c),
            None if text[at..].starts_with("}}") => return Some(at),
            None => {}
        }
    }
    None
}

/// A word of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name: of a function, or `if`, `range`, ...
    Name(String),
    /// `.`, or `.A.B`; directly behind a variable or a parenthesis it belongs to that.
    Field(Vec<String>),
    /// `$` or `$name`.
    Variable(String),
    /// Text, a number, true or false, nil.
    Literal(Value),
    /// `|`
    Pipe,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

/// A word, and whether a blank is before it.
pub(super) type Spaced = (Token, bool);

/// Splits an action.
pub(super) fn tokens(action: &str) -> Result<Vec<Spaced>, String> {
    let mut tokens = Vec::new();
    let mut rest = action;
    loop {
        let trimmed = rest.trim_start();
        let spaced = trimmed.len() < rest.len();
        let Some(first) = trimmed.chars().next() else { return Ok(tokens) };
        let (token, length) = token(trimmed, first)?;
        tokens.push((token, spaced));
        rest = &trimmed[length..];
    }
}

fn token(text: &str, first: char) -> Result<(Token, usize), String> {
    let sign = |token| Ok((token, 1));
    match first {
        '|' => sign(Token::Pipe),
        '(' => sign(Token::Open),
        ')' => sign(Token::Close),
        ',' => sign(Token::Comma),
        '=' => sign(Token::Assign),
        ':' if text.starts_with(":=") => Ok((Token::Declare, 2)),
        '"' => quoted(text),
        '`' => raw(text),
        '.' if !text[1..].starts_with(|c: char| c.is_ascii_digit()) => Ok(field(text)),
        '$' => {
            let name = word(&text[1..]);
            Ok((Token::Variable(name.to_owned()), 1 + name.len()))
        }
        '-' | '+' | '.' | '0'..='9' => number(text),
        c if c.is_alphabetic() || c == '_' => {
            let name = word(text);
            let token = match name {
                "true" | "false" => Token::Literal(Value::Bool(name == "true")),
                "nil" => Token::Literal(Value::Null),
                _ => Token::Name(name.to_owned()),
            };
            Ok((token, name.len()))
        }
        c => Err(format!("{c:?} means nothing in a format")),
    }
}

fn word(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())]
}

fn field(text: &str) -> (Token, usize) {
    let (mut names, mut length) = (Vec::new(), 0);
    while text[length..].starts_with('.') {
        let name = word(&text[length + 1..]);
        if name.is_empty() {
            // The top alone; a second dot is then told as what does not fit.
            length += usize::from(names.is_empty());
            break;
        }
        names.push(name.to_owned());
        length += 1 + name.len();
    }
    (Token::Field(names), length)
}

fn number(text: &str) -> Result<(Token, usize), String> {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_');
    let digits = &text[..text.find(|c| !part(c)).unwrap_or(text.len())];
    let number = digits.parse::<i64>().map(Number::from).ok();
    let number = number.or_else(|| digits.parse::<f64>().ok().and_then(Number::from_f64));
    let number = number.ok_or_else(|| format!("{digits:?} is no number"))?;
    Ok((Token::Literal(Value::Number(number)), digits.len()))
}

fn raw(text: &str) -> Result<(Token, usize), String> {
    let (inside, _) = text[1..].split_once('`').ok_or("a '`' is not closed")?;
    Ok((Token::Literal(inside.into()), inside.len() + 2))
}

/// A quoted text with the escapes that Go shares with everybody.
fn quoted(text: &str) -> Result<(Token, usize), String> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Ok((Token::Literal(value.into()), at + 1)),
            '\\' => {
                let escaped = characters.next().map(|(_, c)| c);
                value.push(match escaped {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(c @ ('"' | '\\' | '\'')) => c,
                    other => return Err(format!("'\\{}' in quotes is not known", other.unwrap_or(' '))),
                });
            }
            c => value.push(c),
        }
    }
    Err("a '\"' is not closed".to_owned())
}
