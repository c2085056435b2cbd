//! Values as Go prints them (package fmt).

use serde_json::Value;
use std::iter::Peekable;
use std::str::Chars;

/// A width or a precision above this is a mistake, and would only fill the memory.
const WIDEST: usize = 1000;

/// A value that stands alone: what is not there is told as docker tells it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        value => text(value),
    }
}

/// A value as `%v` has it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(text).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name}:{}", text(value))).collect();
            fields.sort();
            format!("map[{}]", fields.join(" "))
        }
        other => other.to_string(),
    }
}

/// Values side by side: `println` puts blanks between all of them, `print` between two that are no text.
pub(super) fn go(values: &[Value], blanks: bool) -> String {
    let mut line = String::new();
    for (place, value) in values.iter().enumerate() {
        let between = place > 0 && (blanks || !(value.is_string() || values[place - 1].is_string()));
        if between {
            line.push(' ');
        }
        line.push_str(&text(value));
    }
    line
}

/// What stands between `%` and the letter.
#[derive(Default)]
struct Spec {
    left: bool,
    zeros: bool,
    plus: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `printf` with the verbs s, v, d, q, t, x and f.
pub(super) fn printf(format: &str, values: &[Value]) -> Result<String, String> {
    let mut line = String::new();
    let mut values = values.iter();
    let mut characters = format.chars().peekable();
    while let Some(c) = characters.next() {
        if c != '%' {
            line.push(c);
            continue;
        }
        let spec = Spec::read(&mut characters)?;
        match characters.next() {
            Some('%') => line.push('%'),
            Some(verb) => {
                let value = values.next().ok_or_else(|| format!("'printf' has no argument for '%{verb}'"))?;
                line.push_str(&spec.format(verb, value)?);
            }
            None => return Err("the format of 'printf' ends with '%'".to_owned()),
        }
    }
    match values.next() {
        Some(value) => Err(format!("'printf' has no verb for its argument {value}")),
        None => Ok(line),
    }
}

impl Spec {
    fn read(characters: &mut Peekable<Chars<'_>>) -> Result<Self, String> {
        let mut spec = Self::default();
        while let Some(flag) = characters.next_if(|c| matches!(c, '-' | '0' | '+')) {
            match flag {
                '-' => spec.left = true,
                '+' => spec.plus = true,
                _ => spec.zeros = true,
            }
        }
        spec.width = number(characters)?;
        if characters.next_if_eq(&'.').is_some() {
            spec.precision = Some(number(characters)?.unwrap_or(0));
        }
        Ok(spec)
    }

    fn format(&self, verb: char, value: &Value) -> Result<String, String> {
        let text = match (verb, value) {
            ('s' | 'v', value) => self.cut(text(value)),
            ('q', Value::String(text)) => format!("{:?}", self.cut(text.clone())),
            ('t', Value::Bool(value)) => value.to_string(),
            ('d', Value::Number(number)) if !number.is_f64() => self.signed(number.to_string()),
            ('x', Value::Number(number)) if number.is_u64() => {
                format!("{:x}", number.as_u64().unwrap_or_default())
            }
            ('x', Value::String(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            ('f', Value::Number(number)) => {
                let number = number.as_f64().unwrap_or_default();
                self.signed(format!("{number:.*}", self.precision.unwrap_or(6)))
            }
            ('q' | 't' | 'd' | 'x' | 'f', value) => {
                return Err(format!("'%{verb}' of 'printf' cannot print {}", super::functions::kind(value)));
            }
            _ => return Err(format!("'%{verb}' of 'printf' is not supported; s, v, d, q, t, x and f are")),
        };
        Ok(self.fill(text, value.is_number()))
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text,
        }
    }

    fn signed(&self, digits: String) -> String {
        if self.plus && !digits.starts_with('-') { format!("+{digits}") } else { digits }
    }

    fn fill(&self, text: String, is_number: bool) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        if self.left {
            return text + &" ".repeat(missing);
        }
        if self.zeros && is_number {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        " ".repeat(missing) + &text
    }
}

fn number(characters: &mut Peekable<Chars<'_>>) -> Result<Option<usize>, String> {
    let mut found = None;
    while let Some(digit) = characters.peek().and_then(|c| c.to_digit(10)) {
        characters.next();
        let number = found.unwrap_or(0) * 10 + digit as usize;
        if number > WIDEST {
            return Err(format!("'printf' is to fill more than {WIDEST} columns"));
        }
        found = Some(number);
    }
    Ok(found)
}
