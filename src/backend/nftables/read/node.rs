//! JSON as a listing has it, as one flat list of tokens that borrow from its text: read once, no tree is built.
//!
//! A listing of 100,000 rules is some 40 MB; a tree of it would be many times that, and slow to build.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use std::borrow::Cow;
use std::fmt;

#[derive(Debug, Clone)]
enum Token<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    /// The place behind its last value.
    List(usize),
    /// The same; keys and values in turn.
    Object(usize),
}

/// One JSON value with all that is in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Tape<'a>(Vec<Token<'a>>);

impl<'a> Tape<'a> {
    /// The value; null where nothing was read.
    pub(super) fn root(&self) -> Node<'_> {
        if self.0.is_empty() { Node::NULL } else { Node { tokens: &self.0, at: 0 } }
    }

    /// Reads the next value in place of the one that is here.
    pub(super) fn fill(&mut self) -> Fill<'_, 'a> {
        self.0.clear();
        Fill(&mut self.0)
    }
}

/// A value of a tape.
#[derive(Clone, Copy)]
pub(super) struct Node<'t> {
    tokens: &'t [Token<'t>],
    at: usize,
}

impl<'t> Node<'t> {
    pub(super) const NULL: Node<'static> = Node { tokens: &[Token::Null], at: 0 };

    fn token(self) -> &'t Token<'t> {
        &self.tokens[self.at]
    }

    /// The value behind this one, wherever that belongs to.
    fn next(self) -> Self {
        let at = match self.token() {
            Token::List(end) | Token::Object(end) => *end,
            _ => self.at + 1,
        };
        Self { at, ..self }
    }

    pub(super) fn is_null(self) -> bool {
        matches!(self.token(), Token::Null)
    }

    pub(super) fn is_object(self) -> bool {
        matches!(self.token(), Token::Object(_))
    }

    /// Whether it is a number, a text or a list.
    pub(super) fn is_plain(self) -> bool {
        matches!(self.token(), Token::Number(_) | Token::Text(_) | Token::List(_))
    }

    pub(super) fn as_bool(self) -> Option<bool> {
        if let Token::Bool(value) = self.token() { Some(*value) } else { None }
    }

    pub(super) fn as_str(self) -> Option<&'t str> {
        if let Token::Text(text) = self.token() { Some(text) } else { None }
    }

    pub(super) fn as_number(self) -> Option<&'t Number> {
        if let Token::Number(number) = self.token() { Some(number) } else { None }
    }

    pub(super) fn as_u64(self) -> Option<u64> {
        self.as_number()?.as_u64()
    }

    pub(super) fn as_i64(self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// The values of a list.
    pub(super) fn items(self) -> Option<Items<'t>> {
        let Token::List(end) = self.token() else { return None };
        Some(Items { next: Self { at: self.at + 1, ..self }, end: *end })
    }

    /// The keys and values of an object; nothing of anything else.
    pub(super) fn entries(self) -> impl Iterator<Item = (&'t str, Node<'t>)> {
        let end = if let Token::Object(end) = self.token() { *end } else { self.at + 1 };
        let mut items = Items { next: Self { at: self.at + 1, ..self }, end };
        std::iter::from_fn(move || Some((items.next()?.as_str()?, items.next()?)))
    }

    /// What an object has under a key.
    pub(super) fn get(self, key: &str) -> Option<Node<'t>> {
        self.entries().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The text that an object has under a key.
    pub(super) fn text(self, key: &str) -> Option<&'t str> {
        self.get(key)?.as_str()
    }

    /// The value of a list at a place.
    pub(super) fn item(self, place: usize) -> Option<Node<'t>> {
        self.items()?.nth(place)
    }

    /// The one key of an object and what stands under it.
    pub(super) fn single(self) -> Option<(&'t str, Node<'t>)> {
        let mut entries = self.entries();
        let first = entries.next()?;
        entries.next().is_none().then_some(first)
    }
}

/// The values of a list, in order.
#[derive(Clone)]
pub(super) struct Items<'t> {
    next: Node<'t>,
    end: usize,
}

impl<'t> Iterator for Items<'t> {
    type Item = Node<'t>;

    fn next(&mut self) -> Option<Node<'t>> {
        let one = (self.next.at < self.end).then_some(self.next)?;
        self.next = one.next();
        Some(one)
    }
}

impl fmt::Display for Node<'_> {
    /// As JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = |f: &mut fmt::Formatter<'_>, n: usize| if n > 0 { f.write_str(",") } else { Ok(()) };
        match self.token() {
            Token::Null => f.write_str("null"),
            Token::Bool(value) => write!(f, "{value}"),
            Token::Number(number) => write!(f, "{number}"),
            Token::Text(text) => quoted(f, text),
            Token::List(_) => {
                f.write_str("[")?;
                for (n, item) in self.items().into_iter().flatten().enumerate() {
                    between(f, n)?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Token::Object(_) => {
                f.write_str("{")?;
                for (n, (key, value)) in self.entries().enumerate() {
                    between(f, n)?;
                    quoted(f, key)?;
                    f.write_str(":")?;
                    value.fmt(f)?;
                }
                f.write_str("}")
            }
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

/// Puts one value behind those of a tape.
pub(super) struct Fill<'x, 'a>(&'x mut Vec<Token<'a>>);

impl<'de> DeserializeSeed<'de> for Fill<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fill<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push(Token::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.push(Token::Bool(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.push(Token::Number(value.into()));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.push(Token::Number(value.into()));
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number that JSON does not have"))?;
        self.0.push(Token::Number(number));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.0.push(Token::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.push(Token::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let start = self.0.len();
        self.0.push(Token::Null);
        while items.next_element_seed(Fill(self.0))?.is_some() {}
        self.0[start] = Token::List(self.0.len());
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let start = self.0.len();
        self.0.push(Token::Null);
        while entries.next_key_seed(Fill(self.0))?.is_some() {
            entries.next_value_seed(Fill(self.0))?;
        }
        self.0[start] = Token::Object(self.0.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            "\\PC{0,6}|[\"\\\\\n]{1,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec(("[a-c\"]{0,2}", inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    /// Every value of a tree, by the ways of a tape.
    fn same(node: Node<'_>, value: &Value) -> bool {
        match value {
            Value::Array(list) => node
                .items()
                .is_some_and(|items| items.clone().count() == list.len() && items.zip(list).all(|(n, v)| same(n, v))),
            Value::Object(map) => {
                node.is_object()
                    && node.entries().count() == map.len()
                    && map.iter().all(|(key, v)| node.get(key).is_some_and(|n| same(n, v)))
            }
            _ => {
                let written = value.to_string();
                node.to_string() == written
            }
        }
    }

    proptest! {
        #[test]
        fn a_tape_is_what_was_written(value in json()) {
            for text in [value.to_string(), format!("{value:#}")] {
                let mut tape = Tape::default();
                tape.fill().deserialize(&mut serde_json::Deserializer::from_str(&text)).expect("JSON");
                prop_assert!(same(tape.root(), &value), "{text}");
                prop_assert_eq!(tape.root().to_string(), value.to_string());
            }
            let mut tape = Tape::default();
            tape.fill().deserialize(&value).expect("JSON");
            prop_assert_eq!(tape.root().to_string(), value.to_string());
        }
    }

    #[test]
    fn a_value_has_one_kind() {
        let mut tape = Tape::default();
        let text = r#"{"a":[1,-2,"x",null,true]}"#;
        tape.fill().deserialize(&mut serde_json::Deserializer::from_str(text)).expect("JSON");
        let (key, list) = tape.root().single().expect("one key");
        let at = |n| list.item(n).expect("there");
        assert_eq!((key, at(0).as_u64(), at(1).as_i64(), at(2).as_str()), ("a", Some(1), Some(-2), Some("x")));
        assert!(at(3).is_null() && at(4).as_bool() == Some(true) && list.item(5).is_none() && at(0).get("a").is_none());
        assert!(at(2).is_plain() && list.is_plain() && !at(3).is_plain() && !tape.root().is_plain());
        assert!(Tape::default().root().is_null());
    }
}
