//! The elements of a listing, one after the other: its text is gone through once and never held as a tree.

use super::node::{Node, Tape};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;
use std::fmt;

/// Why a text is no listing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("not JSON: {0}")]
    Broken(String),
    #[error(
        "the listing of nft breaks off: {0}; nft 1.0.6 spoils it where a table is dormant: wake that table, or list it with another version of nft"
    )]
    BrokenOff(String),
    #[error("not a listing of nft: there is no array `nftables` at the top")]
    NoListing,
}

impl From<serde_json::Error> for ReadError {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            Category::Data => Self::NoListing,
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl ReadError {
    fn of(error: serde_json::Error, text: &str) -> Self {
        match Self::from(error) {
            Self::Broken(why) if is_of_nft(text) => Self::BrokenOff(why),
            other => other,
        }
    }
}

/// A listing as a tree, to be passed on.
///
/// # Errors
/// When the text is none.
pub fn listing(text: &str) -> Result<Value, ReadError> {
    let whole: Value = serde_json::from_str(text).map_err(|error| ReadError::of(error, text))?;
    if whole.get("nftables").is_some_and(Value::is_array) { Ok(whole) } else { Err(ReadError::NoListing) }
}

/// Where a listing comes from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Text(&'a str),
    Parsed(&'a Value),
}

impl<'a> Source<'a> {
    /// Shows every element in turn, all on the same tape unless it is taken.
    ///
    /// # Errors
    /// When it is no listing.
    pub(super) fn each(self, visit: &mut dyn FnMut(&mut Tape<'a>)) -> Result<(), ReadError> {
        let found = match self {
            Self::Text(text) => {
                let mut json = serde_json::Deserializer::from_str(text);
                let found = (&mut json).deserialize_map(Top(visit)).and_then(|found| json.end().map(|()| found));
                found.map_err(|error| ReadError::of(error, text))?
            }
            Self::Parsed(value) => value.deserialize_map(Top(visit))?,
        };
        if found { Ok(()) } else { Err(ReadError::NoListing) }
    }
}

/// Whether a text begins as nft begins its listings.
fn is_of_nft(text: &str) -> bool {
    let rest = text.trim_start().strip_prefix('{').map(str::trim_start);
    rest.and_then(|rest| rest.strip_prefix("\"nftables\"")).is_some_and(|rest| rest.contains("\"metainfo\""))
}

/// The one key of an object and its value; a command such as `{"add": {…}}` is what it adds.
pub(super) fn object(value: Node<'_>) -> Option<(&str, Node<'_>)> {
    let (key, body) = value.single()?;
    match key {
        "add" | "create" | "insert" => object(body),
        _ => Some((key, body)),
    }
}

type Visit<'x, 'a> = &'x mut dyn FnMut(&mut Tape<'a>);

struct Top<'x, 'a>(Visit<'x, 'a>);

impl<'de> Visitor<'de> for Top<'_, 'de> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a listing of nft")
    }

    /// Whether the array was there.
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(key) = entries.next_key::<String>()? {
            match key.as_str() {
                "nftables" => {
                    entries.next_value_seed(Objects(&mut *self.0))?;
                    found = true;
                }
                _ => {
                    let IgnoredAny = entries.next_value()?;
                }
            }
        }
        Ok(found)
    }
}

struct Objects<'x, 'a>(Visit<'x, 'a>);

impl<'de> DeserializeSeed<'de> for Objects<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Objects<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the array of a listing of nft")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut tape = Tape::default();
        while items.next_element_seed(tape.fill())?.is_some() {
            (self.0)(&mut tape);
        }
        Ok(())
    }
}
