use crate::packet::{Malformed, as_text};
use std::fmt;
use std::str::FromStr;

/// A name that may stand in any backend's comment: 1 to 64 of `A-Z a-z 0-9 . _ : -`. AFO's own are UUIDs of version 7 (RFC 9562).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

impl Id {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<uuid::Uuid> for Id {
    fn from(uuid: uuid::Uuid) -> Self {
        Self(uuid.to_string())
    }
}

impl FromStr for Id {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b));
        if !plain || !(1..=64).contains(&text.len()) {
            let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
            return Err(Malformed(format!("`{shown}` is not an id; 1 to 64 of A-Z a-z 0-9 . _ : - are")));
        }
        Ok(Self(text.to_owned()))
    }
}

as_text!(Id, "1 to 64 of A-Z a-z 0-9 . _ : -");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_leave_a_comment() {
        assert!("0192f0c1-7b3a-7000-8000-000000000001".parse::<Id>().is_ok());
        for text in ["", "a b", "a\"b", "a;b", "a}", "a\n", "é", &"x".repeat(65)] {
            assert!(text.parse::<Id>().is_err(), "{text:?}");
        }
    }
}
