//! Just enough of Rust's lexical grammar to tell code from comments and literals, and product code from tests.

use std::ops::Range;

/// Gives `source` with every byte of a comment, string or character literal replaced by a blank, line by line the
/// same, so that a search finds code alone.
pub fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = literal_or_comment(rest, code.chars().next_back());
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    code
}

/// The length in bytes of the comment or literal that `rest` begins with; 0 when it begins with code.
fn literal_or_comment(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    let continues_a_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if continues_a_word { 0 } else { raw_string(rest) }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of a literal with backslash escapes, its quotes included.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    rest.len()
}

/// A character literal; 0 for a lifetime or a loop label.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => quoted(rest, '\''),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

/// `r"..."`, `r#"..."#` and the same with `b` or `c` before; 0 for anything else.
fn raw_string(rest: &str) -> usize {
    let prefix = usize::from(rest.starts_with(['b', 'c']));
    let Some(after_r) = rest[prefix..].strip_prefix('r') else { return 0 };
    let hashes = after_r.len() - after_r.trim_start_matches('#').len();
    let Some(body) = after_r[hashes..].strip_prefix('"') else { return 0 };
    let end = format!("\"{}", "#".repeat(hashes));
    let opening = rest.len() - body.len();
    body.find(&end).map_or(rest.len(), |at| opening + at + end.len())
}

/// The lines of each inline `#[cfg(test)] mod ... { ... }`, in code that rustfmt has formatted.
pub fn test_modules(code: &str) -> Vec<Range<usize>> {
    let lines: Vec<&str> = code.lines().collect();
    let mut modules = Vec::new();
    for (start, _) in lines.iter().enumerate().filter(|(_, line)| **line == "#[cfg(test)]") {
        let opens =
            lines[start..].iter().take(4).any(|l| l.starts_with("mod ") && l.trim_end().ends_with('{'));
        let end = lines[start..].iter().position(|line| line.starts_with('}'));
        if let (true, Some(end)) = (opens, end) {
            modules.push(start..start + end + 1);
        }
    }
    modules
}

/// Whether `line` holds `word` as a whole word.
pub fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let source =
            "a(\"x \\\" y\"); // z\n/* b /* c */\n d */ e('\"', 'l', r#\"f\"g\"#, b'\\'', br\"h\") 'label: i";
        let code = code_only(source);
        assert_eq!(code.lines().count(), source.lines().count());
        let words: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(words, ["a(", ");", "e(", ",", ",", ",", "b", ",", ")", "'label:", "i"]);
    }

    #[test]
    fn a_name_that_ends_in_r_does_not_begin_a_raw_string() {
        assert_eq!(code_only("for\"x\" after").split_whitespace().collect::<Vec<_>>(), ["for", "after"]);
    }

    #[test]
    fn lifetimes_are_code() {
        assert_eq!(code_only("fn f<'a>(x: &'a str)"), "fn f<'a>(x: &'a str)");
    }

    #[test]
    fn test_modules_are_found_by_their_lines() {
        let code = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        assert_eq!(test_modules(code), vec![std::ops::Range { start: 2, end: 6 }]);
        assert!(test_modules("#[cfg(test)]\nmod tests;\nfn a() {\n}\n").is_empty());
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("unsafe {", "unsafe"));
        assert!(!has_word("#![forbid(unsafe_code)]", "unsafe"));
        assert!(!has_word("is_unsafe()", "unsafe"));
    }
}
