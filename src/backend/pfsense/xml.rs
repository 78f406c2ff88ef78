//! XML as the tree that places are told of: elements are objects, elements of one name in a row are lists, text is text.
//!
//! Nothing is fetched and nothing is expanded: a document type and entities of one's own are refused, and so is what is too deep.

use crate::backend::document::ReadError;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};
use serde_json::{Map, Value};

/// Deeper no configuration is.
const DEEPEST: usize = 32;

/// An element that is being read.
struct Open {
    name: String,
    text: String,
    fields: Map<String, Value>,
}

impl Open {
    fn new(name: String) -> Self {
        Self { name, text: String::new(), fields: Map::new() }
    }

    fn value(self) -> Value {
        match self.fields.is_empty() {
            true => Value::String(self.text.trim().to_owned()),
            false => Value::Object(self.fields),
        }
    }

    /// Puts an element in; one of a name that is there already makes a list.
    fn put(&mut self, name: String, value: Value) {
        match self.fields.get_mut(&name) {
            None => drop(self.fields.insert(name, value)),
            Some(Value::Array(list)) => list.push(value),
            Some(one) => {
                let first = one.take();
                *one = Value::Array(vec![first, value]);
            }
        }
    }
}

/// Reads a document as the tree below its outermost element, and the name of that.
///
/// # Errors
/// Where it is no XML, or has what is not read.
pub(super) fn tree(text: &str) -> Result<(String, Value), ReadError> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Open::new(String::new())];
    loop {
        let event = reader.read_event();
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX).min(text.len());
        let wrong = |cause: String| wrong(text, at, cause);
        match event.map_err(|e| wrong(e.to_string()))? {
            Event::Start(tag) => {
                if open.len() > DEEPEST {
                    return Err(wrong(format!("elements stand more than {DEEPEST} deep in one another")));
                }
                open.push(Open::new(tag.name().as_ref().to_owned()));
            }
            Event::Empty(tag) => {
                let name = tag.name().as_ref().to_owned();
                if let Some(outer) = open.last_mut() {
                    outer.put(name, Value::String(String::new()));
                }
            }
            Event::End(_) => close(&mut open),
            Event::Text(part) => push(&mut open, &part),
            Event::CData(part) => push(&mut open, &part),
            Event::GeneralRef(reference) => {
                let character = character(&reference);
                push(
                    &mut open,
                    character
                        .ok_or_else(|| wrong("an entity of its own is not read".to_owned()))?
                        .encode_utf8(&mut [0; 4]),
                );
            }
            Event::DocType(_) => return Err(wrong("a document type is not read".to_owned())),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    let wrong = |cause: &str| wrong(text, text.len(), cause.to_owned());
    let mut root =
        open.pop().filter(|_| open.is_empty()).ok_or_else(|| wrong("the document ends inside an element"))?;
    let first = root.fields.keys().next().cloned().ok_or_else(|| wrong("there is no element in it"))?;
    Ok((first.clone(), root.fields.get_mut(&first).map(Value::take).unwrap_or_default()))
}

fn push(open: &mut [Open], text: &str) {
    if let Some(open) = open.last_mut() {
        open.text.push_str(text);
    }
}

fn close(open: &mut Vec<Open>) {
    // The outermost is no element, and the reader holds ends to their beginnings.
    if let Some(inner) = open.pop_if(|open| !open.name.is_empty())
        && let Some(outer) = open.last_mut()
    {
        let name = inner.name.clone();
        outer.put(name, inner.value());
    }
}

/// The character that a reference of XML itself stands for.
fn character(reference: &BytesRef) -> Option<char> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character);
    }
    match &**reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

fn wrong(text: &str, at: usize, cause: String) -> ReadError {
    let line = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    ReadError { place: format!("line {line}"), cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_document_is_a_tree() {
        let text = "<?xml version=\"1.0\"?>\n<a><!-- x --><b/><c>1 &amp; &#50;</c><r>x</r><r><![CDATA[<y>]]></r></a>";
        let (name, value) = tree(text).expect("a tree");
        assert_eq!((name.as_str(), value), ("a", json!({"b": "", "c": "1 & 2", "r": ["x", "<y>"]})));
    }

    #[test]
    fn what_expands_or_is_too_deep_is_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"cc\"><!ENTITY c \"&b;&b;\">]>\n<a>&c;</a>";
        assert_eq!(tree(bomb).expect_err("a bomb").to_string(), "line 1: a document type is not read");
        assert_eq!(
            tree("<a>\n&x;</a>").expect_err("an entity").to_string(),
            "line 2: an entity of its own is not read"
        );
        let deep = "<a>".repeat(5000);
        assert_eq!(
            tree(&deep).expect_err("deep").to_string(),
            "line 1: elements stand more than 32 deep in one another"
        );
        assert_eq!(tree("").expect_err("empty").to_string(), "line 1: there is no element in it");
        assert_eq!(tree("<a>").expect_err("open").to_string(), "line 1: the document ends inside an element");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}", mixed in "[<>/a-c&;!\\[\\]\"= \n-]{0,80}") {
            let _ = (tree(&text), tree(&mixed), tree(&format!("<a>{mixed}</a>")));
        }
    }
}
