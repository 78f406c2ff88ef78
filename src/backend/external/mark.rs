//! What AFO writes beside its rules in a backend that is a program of its own: which generation they are, and while a window is open, its
//! end and what is to be put back. It survives with the rules, whatever becomes of AFO's state.

use crate::record::BackendBlock;
use crate::rule::Rule;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A mark, as JSON text for the backend.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The generation that holds without a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<u64>,
    /// [`content`] of the text that it came with: another text is not AFO's any more.
    pub content: String,
    /// The policy, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// The blocks whose rules stand before it, where the program knows no blocks that end by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BackendBlock>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Opened>,
}

/// A window, as the mark has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    pub generation: u64,
    /// The boot of the machine in which it was opened; after another one it is over.
    pub boot: String,
    /// Its end, in milliseconds since that boot.
    pub until: u64,
    /// What `list` told before.
    pub before: String,
}

impl Mark {
    /// Reads a mark; nothing where it is none of AFO's.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The text of it.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("a mark has string keys and no non-finite number")
    }

    /// The highest generation that it names.
    pub fn highest(&self) -> u64 {
        let window = self.window.as_ref().map(|window| window.generation);
        window.max(self.settled).unwrap_or(0)
    }

    /// The mark of the same rules once they are confirmed; nothing where no window is open.
    pub fn confirmed(&self) -> Option<Self> {
        let window = self.window.as_ref()?;
        Some(Self { settled: Some(window.generation), window: None, ..self.clone() })
    }
}

impl Opened {
    /// Whether the window is open, `now` milliseconds after the boot `boot`.
    pub fn is_open(&self, boot: &str, now: u128) -> bool {
        self.boot == boot && now < u128::from(self.until)
    }
}

/// What tells two texts apart: their SHA-256.
pub fn content(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_a_strange_one_is_none() {
        let window = Opened { generation: 8, boot: "b".to_owned(), until: 1000, before: "{}".to_owned() };
        let mark = Mark { settled: Some(7), content: content("x"), window: Some(window.clone()), ..Mark::default() };
        assert_eq!(Mark::read(&mark.text()).as_ref(), Some(&mark));
        assert_eq!((mark.highest(), mark.confirmed().and_then(|mark| mark.settled)), (8, Some(8)));
        assert_eq!(mark.confirmed().and_then(|mark| mark.confirmed()), None);
        assert!(window.is_open("b", 999) && !window.is_open("b", 1000) && !window.is_open("c", 0));
        assert!(["", "7", "{}", r#"{"content":"a","more":1}"#].iter().all(|text| Mark::read(text).is_none()));
    }
}
