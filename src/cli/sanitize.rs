//! Text from outside may carry what moves a terminal's cursor, hides or reorders letters. None of it is shown.

use std::borrow::Cow;

/// Whether a character can change what a person sees of the others: control, bidirectional, zero-width, line separators,
/// variation selectors and tags.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Text that is safe to show: what is unsafe stands there as `\u{…}`, newlines too.
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_unsafe(c) {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// A JSON text that is safe to show: what is unsafe stands there as `\uXXXX`, which means the same to a reader of JSON.
pub fn for_json(line: &str) -> Cow<'_, str> {
    if !line.chars().any(is_unsafe) {
        return Cow::Borrowed(line);
    }
    let mut safe = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        match is_unsafe(c) {
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| safe.push_str(&format!("\\u{unit:04x}"))),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_or_hides_gets_through() {
        for text in ["\x1b[2J", "a\rb", "a\nb", "\u{202e}cod", "\u{200b}", "\u{9b}31m", "\u{e0041}", "\u{7f}"] {
            assert!(!for_terminal(text).chars().any(is_unsafe), "{text:?}");
            assert!(!for_json(text).chars().any(is_unsafe), "{text:?}");
        }
        assert_eq!(for_terminal("grün ✓ 防火墙"), "grün ✓ 防火墙");
    }

    #[test]
    fn sanitised_json_means_the_same() {
        let line = serde_json::to_string("a\u{202e}b\u{e0041}c\u{7f}").expect("json");
        let back: String = serde_json::from_str(&for_json(&line)).expect("still json");
        assert_eq!(back, "a\u{202e}b\u{e0041}c\u{7f}");
    }
}
