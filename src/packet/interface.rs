use super::{Malformed, as_text};
use std::fmt;
use std::str::FromStr;

/// The name of an interface, or the beginning of names: `eth0`, `eth*`.
///
/// At most 15 bytes (IFNAMSIZ less the end mark, linux/if.h). A star is a pattern only as the last character; a name with
/// white space, quotes, a backslash, a slash, a star elsewhere or a control character is refused: such a name can be made
/// on Linux, and cannot be written in every backend's text. So is a leading `!`, which negates a list of names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfacePattern {
    stem: String,
    open: bool,
}

impl InterfacePattern {
    /// The name, or for a pattern what names begin with.
    pub fn stem(&self) -> &str {
        &self.stem
    }

    /// Whether this is a pattern: every name that begins with [`stem`](Self::stem).
    pub fn is_pattern(&self) -> bool {
        self.open
    }

    /// Whether the interface called `name` is meant.
    pub fn matches(&self, name: &str) -> bool {
        if self.open { name.starts_with(&self.stem) } else { name == self.stem }
    }
}

impl fmt::Display for InterfacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.stem, if self.open { "*" } else { "" })
    }
}

impl FromStr for InterfacePattern {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (stem, open) = text.strip_suffix('*').map_or((text, false), |stem| (stem, true));
        let fits = (1..=15).contains(&stem.len());
        let plain = stem.bytes().all(|b| b.is_ascii_graphic() && !br#"*"'`\/;{}$"#.contains(&b));
        if !fits || !plain || stem.starts_with('!') || stem == "." || stem == ".." {
            return Err(Malformed(format!(
                "`{}` is not an interface name; 1 to 15 printable ASCII characters without quotes, slash, blanks or a leading ! are, with a * at the end for a pattern",
                text.escape_debug()
            )));
        }
        Ok(Self { stem: stem.to_owned(), open })
    }
}

as_text!(InterfacePattern, "an interface name, or a pattern such as `eth*`");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns() {
        let all: InterfacePattern = "eth*".parse().expect("pattern");
        assert!(all.matches("eth0") && all.matches("eth") && !all.matches("wlan0"));
        let one: InterfacePattern = "eth1.20".parse().expect("name");
        assert!(one.matches("eth1.20") && !one.matches("eth1.200"));
        assert_eq!([all.to_string(), one.to_string()], ["eth*", "eth1.20"]);
    }

    #[test]
    fn what_could_leave_its_place_is_refused() {
        for text in
            ["", "*", "a\"b", "a b", "a;b", "a}b", "e*h0", "a\\*", "a\nb", "averylongname1234", "..", "é", "!eth0"]
        {
            assert!(text.parse::<InterfacePattern>().is_err(), "{text:?}");
        }
    }
}
