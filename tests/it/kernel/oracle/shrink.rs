//! Makes a disagreement small: the fewest rules and words with which the packet is still not agreed about.

use super::algebra::judge_all;
use super::load;
use super::text::Text;
use afo::sys::lab::{Lab, Seen};

/// At most so many smaller texts are tried.
const TRIES: usize = 600;

/// Whether a packet is not agreed about under a text, and what is said then.
fn still(lab: &mut Lab, text: &Text, seen: &Seen) -> Option<String> {
    let ruleset = load(lab, text)?;
    let again = lab.send(std::slice::from_ref(&seen.sent), ruleset.tracks()).ok()?.pop()??;
    judge_all(&ruleset, &again).err()
}

/// The disagreement in words, as small as it could be made.
pub fn told(lab: &mut Lab, text: &Text, seen: &Seen, words: &str) -> String {
    let (mut text, mut words, mut tries) = (text.clone(), words.to_owned(), 0);
    'again: loop {
        for smaller in text.smaller() {
            tries += 1;
            if tries > TRIES {
                break 'again;
            }
            if let Some(said) = still(lab, &smaller, seen) {
                (text, words) = (smaller, said);
                continue 'again;
            }
        }
        break;
    }
    format!("{text}{}\n{words}\n", seen.sent)
}
