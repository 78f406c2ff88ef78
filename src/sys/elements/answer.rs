//! What the kernel answers: whether a batch holds, why not, and what it holds of an element.
//!
//! Read by hand, and only as far as it goes: what is cut short or not known is passed over.

use super::batch::{ELEMENTS, TIMEOUT};
use crate::sys::netlink::{ERROR, HEADER, attributes, messages, text, u32_at};
use std::io;

const CAPPED: u16 = 0x100; // NLM_F_CAPPED: the message that is answered is not repeated
const WITH_WORDS: u16 = 0x200; // NLM_F_ACK_TLVS
const WORDS: u16 = 1; // NLMSGERR_ATTR_MSG
const OFFSET: u16 = 2; // NLMSGERR_ATTR_OFFS
const GENERATION: u16 = 1; // NFTA_GEN_ID
const EXPIRATION: u16 = 5; // NFTA_SET_ELEM_EXPIRATION, milliseconds

/// An acknowledgement, or a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Of the message that it is for.
    pub sequence: u32,
    /// 0, or the number of an error (errno).
    pub code: i32,
    /// The kernel's own words, where it has some.
    pub words: Option<String>,
    /// The byte of the message that is wrong.
    pub offset: Option<u32>,
}

impl Answer {
    /// Why, in words.
    pub fn why(&self) -> String {
        let number = io::Error::from_raw_os_error(self.code);
        self.words.as_ref().map_or_else(|| number.to_string(), |words| format!("{words} ({number})"))
    }
}

/// The answers of a datagram.
pub fn answers(datagram: &[u8]) -> impl Iterator<Item = Answer> {
    messages(datagram).filter(|message| message.kind == ERROR).map(|message| {
        let code = u32_at(message.body, 0).map_or(0, u32::cast_signed).saturating_neg();
        let repeated = match message.flags & CAPPED {
            0 => u32_at(message.body, 4).map_or(HEADER, |length| length as usize),
            _ => HEADER,
        };
        let tail = repeated.next_multiple_of(4).checked_add(4).filter(|_| message.flags & WITH_WORDS != 0);
        let tail = tail.and_then(|from| message.body.get(from..)).unwrap_or_default();
        let find = |wanted: u16| attributes(tail).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
        let offset = find(OFFSET).and_then(|value| u32_at(value, 0));
        Answer { sequence: message.sequence, code, words: find(WORDS).map(text), offset }
    })
}

/// An element that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Milliseconds until it ends; none where it stays.
    pub left: Option<u64>,
}

/// The first element of an answer's body.
pub fn held(body: &[u8]) -> Option<Held> {
    let list = find(body.get(4..)?, ELEMENTS)?;
    let item = attributes(list).next()?.1;
    // One whose time is given but not what is left of it has all of it.
    let left = find(item, EXPIRATION).or_else(|| find(item, TIMEOUT)).and_then(big);
    Some(Held { left })
}

fn find(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

fn big(value: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(value.get(..8)?.try_into().ok()?))
}

/// The number in the answer to the question for the generation.
pub(super) fn generation(body: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(find(body.get(4..)?, GENERATION)?.get(..4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink::{attribute, message};
    use proptest::prelude::*;

    #[test]
    fn a_refusal_has_its_number_and_its_words() {
        let header = [0u8; HEADER];
        let words = [attribute(WORDS, b"set is full\0"), attribute(OFFSET, &44u32.to_ne_bytes())].concat();
        let body = [&(-23i32).to_ne_bytes()[..], &header, &words].concat();
        let datagram = message(ERROR, CAPPED | WITH_WORDS, 9, &body);
        let found: Vec<_> = answers(&datagram).collect();
        let want = Answer { sequence: 9, code: 23, words: Some("set is full".into()), offset: Some(44) };
        assert_eq!(found, [want]);
        assert_eq!(found[0].why(), "set is full (Too many open files in system (os error 23))");
        let plain = message(ERROR, CAPPED, 3, &[&0u32.to_ne_bytes()[..], &header].concat());
        assert_eq!(answers(&plain).next().map(|a| (a.sequence, a.code, a.words)), Some((3, 0, None)));
    }

    #[test]
    fn an_element_has_what_is_left_of_its_time() {
        let time = |kind, value: u64| attribute(kind, &value.to_be_bytes());
        let body = |item: &[u8]| [&[1, 0, 0, 0][..], &attribute(ELEMENTS, &attribute(1, item))].concat();
        let both = [time(TIMEOUT, 60_000), time(EXPIRATION, 4_000)].concat();
        assert_eq!(held(&body(&both)), Some(Held { left: Some(4_000) }));
        assert_eq!(held(&body(&attribute(1, b"k"))), Some(Held { left: None }));
        assert_eq!(held(&[1, 0, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), flags in any::<u16>()) {
            prop_assert!(answers(&bytes).count() <= bytes.len() / HEADER + 1);
            let (_, _) = (held(&bytes), generation(&bytes));
            let framed = message(ERROR, flags, 1, &bytes);
            prop_assert_eq!(answers(&framed).count(), 1);
        }
    }
}
