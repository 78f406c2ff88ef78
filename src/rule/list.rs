use crate::packet::Malformed;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeSeq, Serializer};
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

/// A match against a list: one of the items, or, negated, none of them. The empty list matches everything.
///
/// On the wire an array of strings; a `!` as the first character of the first string negates the whole list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OneOf<T> {
    negated: bool,
    /// Shared by the copies of a rule, of which a deployment makes many; none where nothing is listed.
    items: Option<Arc<[T]>>,
}

impl<T> OneOf<T> {
    /// Matches everything.
    pub const fn any() -> Self {
        Self { negated: false, items: None }
    }

    /// Matches each of `items`; everything when there are none.
    pub fn of(items: Vec<T>) -> Self {
        Self::with(false, items)
    }

    /// Matches what is none of `items`; everything when there are none.
    pub fn none_of(items: Vec<T>) -> Self {
        Self::with(true, items)
    }

    fn with(negated: bool, items: Vec<T>) -> Self {
        match items.is_empty() {
            true => Self::any(),
            false => Self { negated, items: Some(items.into()) },
        }
    }

    /// Whether everything matches.
    pub fn is_any(&self) -> bool {
        self.items.is_none()
    }

    /// Whether what is listed does not match, rather than matches.
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// What is listed.
    pub fn items(&self) -> &[T] {
        self.items.as_deref().unwrap_or_default()
    }

    /// Whether a value matches, `holds` saying of an item whether the value is in it.
    pub fn matches(&self, holds: impl Fn(&T) -> bool) -> bool {
        self.is_any() || self.items().iter().any(holds) != self.negated
    }
}

impl<T> Default for OneOf<T> {
    fn default() -> Self {
        Self::any()
    }
}

impl<T> FromIterator<T> for OneOf<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::of(items.into_iter().collect())
    }
}

impl<T: fmt::Display> fmt::Display for OneOf<T> {
    /// `any`, or the items with commas, behind a `!` when negated.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_any() {
            return f.write_str("any");
        }
        f.write_str(if self.negated { "!" } else { "" })?;
        for (n, item) in self.items().iter().enumerate() {
            write!(f, "{}{item}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl<T: fmt::Display> serde::Serialize for OneOf<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut seq = s.serialize_seq(Some(self.items().len()))?;
        let mut text = String::new();
        for (n, item) in self.items().iter().enumerate() {
            text.clear();
            text.push_str(if self.negated && n == 0 { "!" } else { "" });
            write!(text, "{item}").map_err(S::Error::custom)?;
            seq.serialize_element(&text)?;
        }
        seq.end()
    }
}

impl<'de, T> serde::Deserialize<'de> for OneOf<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T> Visitor<'de> for Items<T>
        where
            T: FromStr,
            T::Err: fmt::Display,
        {
            type Value = OneOf<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOf<T>, A::Error> {
                let (mut negated, mut items) = (false, Vec::new());
                while let Some(text) = seq.next_element::<Cow<'de, str>>()? {
                    let bare = text.strip_prefix('!').filter(|_| items.is_empty());
                    negated |= bare.is_some();
                    items.push(bare.unwrap_or(&text).parse().map_err(A::Error::custom)?);
                }
                Ok(OneOf::with(negated, items))
            }
        }
        d.deserialize_seq(Items(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for OneOf<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOf{}", T::schema_name()).into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array", "items": { "type": "string" },
            "description": "one of these; none of these when the first begins with `!`; empty: anything"
        })
    }
}

/// Reads a list out of one string, as [`OneOf`]'s `Display` writes it.
impl<T: FromStr<Err = Malformed>> FromStr for OneOf<T> {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text == "any" {
            return Ok(Self::any());
        }
        let bare = text.strip_prefix('!');
        let items = bare.unwrap_or(text).split(',').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self::with(bare.is_some(), items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PortRange;

    fn read(json: &str) -> Result<OneOf<PortRange>, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_bang_on_the_first_negates_the_whole_list() {
        let list = read(r#"["!22","80-81"]"#).expect("list");
        assert!(list.is_negated() && list.items().len() == 2);
        assert_eq!(serde_json::to_string(&list).expect("json"), r#"["!22","80-81"]"#);
        assert_eq!(list.to_string().parse(), Ok(list.clone()));
        assert!(!list.matches(|p| p.contains(81)) && list.matches(|p| p.contains(443)));
    }

    #[test]
    fn a_bang_elsewhere_is_refused() {
        assert_eq!(
            read(r#"["22","!80"]"#).expect_err("late").to_string(),
            "`!80` is not a port number at line 1 column 12"
        );
        assert!(read("22").is_err() && read(r#"[22]"#).is_err());
    }

    #[test]
    fn empty_matches_everything() {
        assert!(OneOf::<PortRange>::none_of(vec![]).matches(|_| false));
    }
}
