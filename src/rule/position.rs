use super::Id;
use crate::packet::{Malformed, as_text};
use std::fmt;
use std::str::FromStr;

/// Where among AFO's rules of its hook a rule stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Position {
    /// Where it is true: AFO chooses and says so.
    #[default]
    Auto,
    First,
    Last,
    Before(Id),
    After(Id),
}

impl Position {
    /// Whether AFO chooses.
    pub fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::First => f.write_str("first"),
            Self::Last => f.write_str("last"),
            Self::Before(id) => write!(f, "before:{id}"),
            Self::After(id) => write!(f, "after:{id}"),
        }
    }
}

impl FromStr for Position {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match (text, text.split_once(':')) {
            ("auto", _) => Ok(Self::Auto),
            ("first", _) => Ok(Self::First),
            ("last", _) => Ok(Self::Last),
            (_, Some(("before", id))) => id.parse().map(Self::Before),
            (_, Some(("after", id))) => id.parse().map(Self::After),
            _ => Err(Malformed(format!(
                "`{}` is not a position; first, last, auto, before:ID and after:ID are",
                text.escape_debug()
            ))),
        }
    }
}

as_text!(Position, "first, last, auto, before:ID or after:ID");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_and_refusals() {
        for text in ["auto", "first", "last", "before:r1", "after:r-2"] {
            assert_eq!(text.parse::<Position>().expect(text).to_string(), text);
        }
        let words = "`middle` is not a position; first, last, auto, before:ID and after:ID are";
        assert_eq!("middle".parse::<Position>().expect_err("unknown").to_string(), words);
    }
}
