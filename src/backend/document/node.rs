//! A value of a JSON document with its place, so that each error says where it is.

use ipnet::IpNet;
use serde_json::Value;
use std::net::IpAddr;

/// Why a document cannot be read: where, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {cause}")]
pub struct ReadError {
    /// `SecurityGroups[0].IpPermissions[2].FromPort`.
    pub place: String,
    pub cause: String,
}

/// A text as JSON.
///
/// # Errors
/// When it is none.
pub(in crate::backend) fn json_of(text: &str) -> Result<Value, ReadError> {
    serde_json::from_str(text).map_err(|e| whole(format!("not JSON: {e}")))
}

fn whole(cause: String) -> ReadError {
    ReadError { place: "the document".to_owned(), cause }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(in crate::backend) struct Node<'a> {
    pub(in crate::backend) value: &'a Value,
    pub(in crate::backend) place: String,
}

impl<'a> Node<'a> {
    /// The whole document.
    pub(in crate::backend) fn root(value: &'a Value) -> Self {
        Self { value, place: String::new() }
    }

    /// An error at this place; what is shown of a value is cut and made harmless.
    pub(in crate::backend) fn error(&self, cause: impl Into<String>) -> ReadError {
        let place = if self.place.is_empty() { "the document".to_owned() } else { self.place.clone() };
        ReadError { place, cause: cause.into() }
    }

    /// The field of a name; `null` is absent.
    pub(in crate::backend) fn get(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        let dot = if self.place.is_empty() { "" } else { "." };
        Some(Self { value, place: format!("{}{dot}{name}", self.place) })
    }

    /// The first of these fields that is there.
    pub(in crate::backend) fn any(&self, names: &[&str]) -> Option<Self> {
        names.iter().find_map(|name| self.get(name))
    }

    /// The elements of this list.
    pub(in crate::backend) fn items(&self) -> Result<Vec<Self>, ReadError> {
        let list = self.value.as_array().ok_or_else(|| self.error("a list is expected"))?;
        Ok(list.iter().enumerate().map(|(n, value)| Self { value, place: format!("{}[{n}]", self.place) }).collect())
    }

    /// The elements of a field; none where it is absent.
    pub(in crate::backend) fn list(&self, name: &str) -> Result<Vec<Self>, ReadError> {
        self.get(name).map_or(Ok(Vec::new()), |list| list.items())
    }

    /// This as a text.
    pub(in crate::backend) fn text(&self) -> Result<&'a str, ReadError> {
        self.value.as_str().ok_or_else(|| self.error("a text is expected"))
    }

    /// A field as a text.
    pub(in crate::backend) fn text_of(&self, name: &str) -> Result<Option<&'a str>, ReadError> {
        self.get(name).map(|field| field.text()).transpose()
    }

    /// A field as a whole number, written as a number or as its digits.
    pub(in crate::backend) fn number_of(&self, name: &str) -> Result<Option<i64>, ReadError> {
        let Some(field) = self.get(name) else { return Ok(None) };
        let number = field.value.as_i64().or_else(|| field.value.as_str()?.parse().ok());
        number.map(Some).ok_or_else(|| field.error("a whole number is expected"))
    }

    /// A field as true or false; false where it is absent.
    pub(in crate::backend) fn flag_of(&self, name: &str) -> Result<bool, ReadError> {
        let Some(field) = self.get(name) else { return Ok(false) };
        field.value.as_bool().ok_or_else(|| field.error("true or false is expected"))
    }

    /// A text of it parsed.
    pub(in crate::backend) fn parsed<T: std::str::FromStr>(&self) -> Result<T, ReadError>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text()?;
        text.parse().map_err(|e: T::Err| {
            let shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
            self.error(format!("`{shown}`: {e}"))
        })
    }

    /// A text of it as a network, or a single address; bits of a host are cut off.
    pub(in crate::backend) fn net(&self) -> Result<IpNet, ReadError> {
        let single = || self.text().ok().and_then(|text| text.parse::<IpAddr>().ok()).map(IpNet::from);
        self.parsed::<IpNet>().or_else(|e| single().ok_or(e)).map(|net| net.trunc())
    }

    /// The first field that holds something and is none of these: what it means is not known.
    pub(in crate::backend) fn strange(&self, known: &[&str]) -> Option<String> {
        let holds = |value: &Value| match value {
            Value::Null => false,
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            Value::String(text) => !text.is_empty(),
            Value::Bool(_) | Value::Number(_) => true,
        };
        let fields = self.value.as_object().into_iter().flatten();
        let mut strange = fields.filter(|(name, value)| !known.contains(&name.as_str()) && holds(value));
        strange.next().map(|(name, _)| name.chars().take(60).collect())
    }
}
