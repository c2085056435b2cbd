//! The functions of templates: Go's own (text/template), and docker's beside them.

use super::print::{go, printf};
use serde_json::{Number, Value};
use std::cmp::Ordering;

macro_rules! functions {
    ($($variant:ident = $name:literal,)*) => {
        /// A function.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Function {
            $($variant,)*
        }

        impl Function {
            /// What a name in a template stands for.
            pub(super) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its name.
            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        const NAMES: &[&str] = &[$($name,)*];
    };
}

functions! {
    And = "and", Or = "or", Not = "not",
    Eq = "eq", Ne = "ne", Lt = "lt", Le = "le", Gt = "gt", Ge = "ge",
    Len = "len", Index = "index", Slice = "slice",
    Print = "print", Printf = "printf", Println = "println",
    Json = "json", Join = "join", Split = "split",
    Lower = "lower", Upper = "upper", Title = "title", Pad = "pad", Truncate = "truncate",
}

/// What is said of a function that does not exist.
pub(super) fn unknown(name: &str) -> String {
    format!("there is no function {name:?}; there are {}", NAMES.join(", "))
}

/// What counts as true: anything that is not empty, 0 or false.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

impl Function {
    /// Calls the function. In the titles of a table, text stays as it is.
    pub(super) fn call(self, mut arguments: Vec<Value>, is_title: bool) -> Result<Value, String> {
        if is_title && self.keeps_titles() {
            return arguments.drain(..).next().ok_or_else(|| self.misused(&[]));
        }
        match (self, &arguments[..]) {
            // Both give one of their arguments; which of them were worth evaluating is decided by the caller.
            (Self::And, [_, ..]) => Ok(pick(arguments, false)),
            (Self::Or, [_, ..]) => Ok(pick(arguments, true)),
            (Self::Not, [value]) => Ok((!truth(value)).into()),
            (Self::Eq, [one, others @ ..]) if !others.is_empty() => equals_any(one, others).map(Value::Bool),
            (Self::Ne, [one, other]) => equals(one, other).map(|same| (!same).into()),
            (Self::Lt | Self::Le | Self::Gt | Self::Ge, [one, other]) => self.compare(one, other),
            (Self::Len, [value]) => length(value),
            (Self::Index, [value, keys @ ..]) => index(value, keys),
            (Self::Slice, [value, bounds @ ..]) if bounds.len() <= 2 => slice(value, bounds),
            (Self::Print, _) => Ok(go(&arguments, false).into()),
            (Self::Println, _) => Ok((go(&arguments, true) + "\n").into()),
            (Self::Printf, [Value::String(format), values @ ..]) => printf(format, values).map(Value::from),
            (Self::Json, [value]) => Ok(value.to_string().into()),
            (Self::Join, [Value::Array(items), Value::String(between)]) => {
                let items: Vec<_> = items.iter().map(super::print::text).collect();
                Ok(items.join(between).into())
            }
            (Self::Join, [Value::Null, Value::String(_)]) => Ok("".into()),
            (Self::Split, [Value::String(text), Value::String(between)]) => Ok(split(text, between)),
            (Self::Lower, [Value::String(text)]) => Ok(text.to_lowercase().into()),
            (Self::Upper, [Value::String(text)]) => Ok(text.to_uppercase().into()),
            (Self::Title, [Value::String(text)]) => Ok(title(text).into()),
            (Self::Pad, [Value::String(text), Value::Number(before), Value::Number(after)]) => {
                let blanks = |number: &Number| " ".repeat(number.as_u64().unwrap_or(0).min(1000) as usize);
                let pad = |text: &str| format!("{}{text}{}", blanks(before), blanks(after));
                Ok(if text.is_empty() { String::new() } else { pad(text) }.into())
            }
            (Self::Truncate, [Value::String(text), Value::Number(length)]) => {
                let length = length.as_u64().map_or(usize::MAX, |length| length as usize);
                Ok(text.chars().take(length).collect::<String>().into())
            }
            _ => Err(self.misused(&arguments)),
        }
    }

    /// Whether a column's title goes through it unchanged, as docker has it.
    fn keeps_titles(self) -> bool {
        matches!(
            self,
            Self::Json | Self::Join | Self::Split | Self::Lower | Self::Upper | Self::Title | Self::Truncate
        )
    }

    fn misused(self, arguments: &[Value]) -> String {
        let kinds: Vec<_> = arguments.iter().map(kind).collect();
        let given = if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") };
        format!("'{}' cannot be used on {given}", self.name())
    }

    fn compare(self, one: &Value, other: &Value) -> Result<Value, String> {
        let order = match (one, other) {
            (Value::Number(one), Value::Number(other)) => compare_numbers(one, other),
            (Value::String(one), Value::String(other)) => one.cmp(other),
            _ => return Err(self.misused(&[one.clone(), other.clone()])),
        };
        Ok(match self {
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
            Self::Gt => order.is_gt(),
            _ => order.is_ge(),
        }
        .into())
    }
}

/// What a value is, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The first argument whose truth is `wanted`, else the last.
fn pick(mut arguments: Vec<Value>, wanted: bool) -> Value {
    let last = arguments.len() - 1;
    let at = arguments.iter().position(|value| truth(value) == wanted).unwrap_or(last);
    arguments.swap_remove(at)
}

fn equals_any(one: &Value, others: &[Value]) -> Result<bool, String> {
    for other in others {
        if equals(one, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equals(one: &Value, other: &Value) -> Result<bool, String> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => Ok(compare_numbers(one, other).is_eq()),
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => Ok(one == other),
        (Value::Null, _) | (_, Value::Null) => Ok(one == other),
        _ => Err(format!("{} and {} cannot be compared", kind(one), kind(other))),
    }
}

fn compare_numbers(one: &Number, other: &Number) -> Ordering {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Equal),
    }
}

fn length(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) => Ok(text.len().into()),
        Value::Array(items) => Ok(items.len().into()),
        Value::Object(fields) => Ok(fields.len().into()),
        Value::Null => Ok(0.into()),
        other => Err(format!("{} has no length", kind(other))),
    }
}

/// Go gives the empty value for a key that is not in a map, and fails for a place that is not in a list.
fn index(value: &Value, keys: &[Value]) -> Result<Value, String> {
    let mut value = value;
    const NOTHING: &Value = &Value::Null;
    for key in keys {
        value = match (value, key) {
            (Value::Array(items), Value::Number(place)) => {
                let item = place.as_u64().and_then(|place| items.get(place as usize));
                item.ok_or_else(|| format!("the list has {} items, and none at {place}", items.len()))?
            }
            (Value::Object(fields), Value::String(name)) => fields.get(name).unwrap_or(NOTHING),
            (Value::Null, Value::String(_)) => NOTHING,
            (Value::Null, Value::Number(place)) => {
                return Err(format!("the list has no items, and none at {place}"));
            }
            (value, key) => return Err(format!("{} has nothing at {}", kind(value), kind(key))),
        };
    }
    // A map of texts has an empty text for what it lacks; that is what people see of docker.
    Ok(if value.is_null() && !keys.is_empty() { "".into() } else { value.clone() })
}

fn slice(value: &Value, bounds: &[Value]) -> Result<Value, String> {
    let length = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        other => return Err(format!("{} cannot be cut", kind(other))),
    };
    let bound = |place: usize, usual: usize| match bounds.get(place) {
        None => Some(usual),
        Some(bound) => bound.as_u64().map(|bound| bound as usize),
    };
    let range = bound(0, 0).zip(bound(1, length)).filter(|(from, to)| from <= to && *to <= length);
    let (from, to) = range.ok_or_else(|| format!("the bounds of 'slice' do not fit into 0 to {length}"))?;
    match value {
        Value::Array(items) => Ok(items[from..to].to_vec().into()),
        Value::String(text) => match text.get(from..to) {
            Some(part) => Ok(part.into()),
            None => Err("the bounds of 'slice' cut a character".to_owned()),
        },
        _ => Ok(Value::Null),
    }
}

fn split(text: &str, between: &str) -> Value {
    let parts: Vec<Value> = match between {
        "" => text.chars().map(|c| c.to_string().into()).collect(),
        between => text.split(between).map(Value::from).collect(),
    };
    parts.into()
}

/// Each word with a capital at its beginning.
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins {
            titled.extend(c.to_uppercase())
        } else {
            titled.push(c)
        }
        begins = !(c.is_alphanumeric() || matches!(c, '_' | '\''));
    }
    titled
}
