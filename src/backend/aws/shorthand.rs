//! The shorthand in which `aws` takes structures: `IpProtocol=tcp,FromPort=22,IpRanges=[{CidrIp=203.0.113.0/24}]` (AWS CLI User Guide,
//! "Using shorthand syntax").

use serde_json::{Map, Value};

/// Deeper no permission is.
const DEEPEST: usize = 8;

/// Reads a structure.
///
/// # Errors
/// The words for what is wrong.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let mut rest = Rest { text, depth: 0 };
    let fields = rest.fields()?;
    match rest.text.is_empty() {
        true => Ok(Value::Object(fields)),
        false => Err(format!("`{}` is too much", shown(rest.text))),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

struct Rest<'a> {
    text: &'a str,
    depth: usize,
}

impl<'a> Rest<'a> {
    fn eat(&mut self, c: char) -> bool {
        let rest = self.text.trim_start().strip_prefix(c);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    fn wanted(&mut self, c: char) -> Result<(), String> {
        if self.eat(c) { Ok(()) } else { Err(format!("`{c}` is expected before `{}`", shown(self.text))) }
    }

    /// `NAME=VALUE,…`.
    fn fields(&mut self) -> Result<Map<String, Value>, String> {
        let mut fields = Map::new();
        loop {
            let name = self.name()?.to_owned();
            let value = self.value()?;
            if fields.insert(name.clone(), value).is_some() {
                return Err(format!("`{name}` stands there twice"));
            }
            if !self.eat(',') {
                return Ok(fields);
            }
        }
    }

    fn name(&mut self) -> Result<&'a str, String> {
        let text = self.text.trim_start();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        match (end, text[end..].strip_prefix('=')) {
            (1.., Some(rest)) => {
                self.text = rest;
                Ok(&text[..end])
            }
            _ => Err(format!("`{}` begins with no name and `=`", shown(text))),
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("lists and structures stand more than {DEEPEST} deep in one another"));
        }
        let value = match () {
            () if self.eat('[') => self.list()?,
            () if self.eat('{') => {
                let fields = self.fields()?;
                self.wanted('}')?;
                Value::Object(fields)
            }
            () => Value::String(self.word()?),
        };
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, String> {
        let mut list = Vec::new();
        if self.eat(']') {
            return Ok(Value::Array(list));
        }
        loop {
            list.push(self.value()?);
            if !self.eat(',') {
                self.wanted(']')?;
                return Ok(Value::Array(list));
            }
        }
    }

    /// A word, up to what ends a value, or in quotes.
    fn word(&mut self) -> Result<String, String> {
        let text = self.text.trim_start();
        let Some(quote) = text.chars().next().filter(|c| ['"', '\''].contains(c)) else {
            let end = text.find([',', ']', '}']).unwrap_or(text.len());
            self.text = &text[end..];
            return Ok(text[..end].trim_end().to_owned());
        };
        let mut word = String::new();
        let mut chars = text.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => word.extend(chars.next().map(|(_, c)| c)),
                c if c == quote => {
                    self.text = &text[at + 1..];
                    return Ok(word);
                }
                c => word.push(c),
            }
        }
        Err(format!("a quotation begins with {quote} and does not end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn structures_are_read() {
        assert_eq!(
            read(
                "IpProtocol=tcp, FromPort=22,IpRanges=[{CidrIp=203.0.113.0/24,Description=\"a, \\\"b\\\"\"},{CidrIp=192.0.2.1/32}],PrefixListIds=[]"
            ),
            Ok(
                json!({"IpProtocol": "tcp", "FromPort": "22", "IpRanges": [{"CidrIp": "203.0.113.0/24", "Description": "a, \"b\""}, {"CidrIp": "192.0.2.1/32"}], "PrefixListIds": []})
            )
        );
        for (text, words) in [
            ("", "`` begins with no name and `=`"),
            ("a=1,b", "`b` begins with no name and `=`"),
            ("a=1,a=2", "`a` stands there twice"),
            ("a=[{b=1]", "`}` is expected before `]`"),
            ("a=[1", "`]` is expected before ``"),
            ("a=1]", "`]` is too much"),
            ("a='b", "a quotation begins with ' and does not end"),
            ("a=[[[[[[[[[[[", "lists and structures stand more than 8 deep in one another"),
        ] {
            assert_eq!(read(text), Err(words.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-c=,\\[\\]{}\"' \\\\é]{0,40}", any in "\\PC{0,30}") {
            for text in [text, any] {
                prop_assert!(read(&text).is_ok_and(|value| value.is_object()) || read(&text).is_err_and(|why| !why.is_empty()));
            }
        }
    }
}
