//! A batch of changes of elements as the kernel reads it, and which element an answer is about.

use super::Answer;
use crate::sys::netlink::{HEADER, REQUEST, attribute, attributes, message};
use std::ops::Range;
use std::time::Duration;

const BEGIN: u16 = 16; // NFNL_MSG_BATCH_BEGIN
const END: u16 = 17; // NFNL_MSG_BATCH_END
const BATCH_GENERATION: u16 = 1; // NFNL_BATCH_GENID
const NEW: u16 = 10 << 8 | 12; // NFT_MSG_NEWSETELEM
const DELETE: u16 = 10 << 8 | 14; // NFT_MSG_DELSETELEM
const ACK: u16 = 4; // NLM_F_ACK
const CREATE: u16 = 0x400; // NLM_F_CREATE
const NESTED: u16 = 0x8000; // NLA_F_NESTED
const INET: u8 = 1; // NFPROTO_INET

const TABLE: u16 = 1; // NFTA_SET_ELEM_LIST_TABLE
const SET: u16 = 2; // NFTA_SET_ELEM_LIST_SET
pub(super) const ELEMENTS: u16 = 3; // NFTA_SET_ELEM_LIST_ELEMENTS
const ITEM: u16 = 1; // NFTA_LIST_ELEM
const KEY: u16 = 1; // NFTA_SET_ELEM_KEY
const FLAGS: u16 = 3; // NFTA_SET_ELEM_FLAGS
pub(super) const TIMEOUT: u16 = 4; // NFTA_SET_ELEM_TIMEOUT, milliseconds
const INTERVAL_END: u32 = 1; // NFT_SET_ELEM_INTERVAL_END
const VALUE: u16 = 1; // NFTA_DATA_VALUE

/// A list of elements is an attribute, whose length is 16 bits.
const FULL: usize = 60_000;

/// Changes of elements that hold together or not at all.
#[derive(Debug, Clone)]
pub struct Batch {
    table: String,
    bytes: Vec<u8>,
    steps: Vec<Step>,
}

/// A message of a batch.
#[derive(Debug, Clone)]
struct Step {
    set: String,
    adds: bool,
    at: Range<usize>,
}

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) bytes: Vec<u8>,
    steps: Vec<Step>,
    first: u32,
    /// The sequence of the last step, which is acknowledged, and of the batch's end.
    pub(super) last_step: u32,
    pub(super) last: u32,
}

/// Family, version and resource before the attributes of a message.
fn general(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

fn nested(kind: u16, value: &[u8]) -> Vec<u8> {
    attribute(NESTED | kind, value)
}

fn named(table: &str, set: &str) -> Vec<u8> {
    let text = |kind, name: &str| attribute(kind, &[name.as_bytes(), &[0]].concat());
    [general(INET, 0).to_vec(), text(TABLE, table), text(SET, set)].concat()
}

/// Begins an attribute; the place of its length, which [`close`] writes.
fn open(bytes: &mut Vec<u8>, kind: u16) -> usize {
    let at = bytes.len();
    bytes.extend([0, 0]);
    bytes.extend((NESTED | kind).to_ne_bytes());
    at
}

fn close(bytes: &mut [u8], at: usize) {
    let length = u16::try_from(bytes.len() - at).expect("lists end before they are too long");
    bytes[at..at + 2].copy_from_slice(&length.to_ne_bytes());
}

/// What an element is beside its key.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Lasts,
    Ends(Duration),
    /// No element of its own: an interval ends before it.
    Closes,
}

fn element(bytes: &mut Vec<u8>, key: &[u8], rest: Rest) {
    let item = open(bytes, ITEM);
    if let Rest::Closes = rest {
        bytes.extend(8u16.to_ne_bytes());
        bytes.extend(FLAGS.to_ne_bytes());
        bytes.extend(INTERVAL_END.to_be_bytes());
    }
    let outer = open(bytes, KEY);
    bytes.extend(u16::try_from(4 + key.len()).unwrap_or(u16::MAX).to_ne_bytes());
    bytes.extend(VALUE.to_ne_bytes());
    bytes.extend(key);
    close(bytes, outer);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    if let Rest::Ends(timeout) = rest {
        bytes.extend(12u16.to_ne_bytes());
        bytes.extend(TIMEOUT.to_ne_bytes());
        bytes.extend(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).to_be_bytes());
    }
    close(bytes, item);
}

/// The question for one element.
pub(super) fn question(table: &str, set: &str, key: &[u8]) -> Vec<u8> {
    let item = nested(ITEM, &nested(KEY, &attribute(VALUE, key)));
    [named(table, set), nested(ELEMENTS, &item)].concat()
}

impl Batch {
    /// An empty one for sets of `table`, which is of the family inet.
    pub fn new(table: impl Into<String>) -> Self {
        Self { table: table.into(), bytes: Vec::new(), steps: Vec::new() }
    }

    /// Adds elements to a set, each for a time or for good. What is there already stays as it is on some kernels.
    pub fn add<'a>(&mut self, set: &str, elements: impl IntoIterator<Item = (&'a [u8], Option<Duration>)>) {
        let rest = |timeout: Option<Duration>| timeout.map_or(Rest::Lasts, Rest::Ends);
        self.steps(set, true, elements.into_iter().map(|(key, timeout)| (key, rest(timeout))));
    }

    /// Adds elements that stay; where a key closes an interval, that begins at the key before.
    pub fn fill<K: AsRef<[u8]>>(&mut self, set: &str, keys: impl IntoIterator<Item = (K, bool)>) {
        let rest = |closes| if closes { Rest::Closes } else { Rest::Lasts };
        self.steps(set, true, keys.into_iter().map(|(key, closes)| (key, rest(closes))));
    }

    /// Takes elements out of a set, which must be there.
    pub fn delete<'a>(&mut self, set: &str, keys: impl IntoIterator<Item = &'a [u8]>) {
        self.steps(set, false, keys.into_iter().map(|key| (key, Rest::Lasts)));
    }

    /// Appends messages of as many elements as one holds.
    fn steps<K: AsRef<[u8]>>(&mut self, set: &str, adds: bool, elements: impl Iterator<Item = (K, Rest)>) {
        let mut elements = elements.peekable();
        while elements.peek().is_some() {
            let from = self.bytes.len();
            let (kind, flags) = if adds { (NEW, REQUEST | CREATE) } else { (DELETE, REQUEST) };
            self.bytes.extend(message(kind, flags, 0, &named(&self.table, set)));
            let list = open(&mut self.bytes, ELEMENTS);
            while self.bytes.len() - list < FULL
                && let Some((key, rest)) = elements.next()
            {
                element(&mut self.bytes, key.as_ref(), rest);
            }
            close(&mut self.bytes, list);
            self.steps.push(Step { set: set.to_owned(), adds, at: from..self.bytes.len() });
        }
    }

    /// The batch with its frame, numbered from `first`, for the ruleset of `generation` or for any; nothing where there is nothing to do.
    pub(super) fn seal(mut self, first: u32, generation: Option<u32>) -> Option<Sent> {
        let last_step = first.checked_add(u32::try_from(self.steps.len()).ok().filter(|count| *count > 0)?)?;
        for (sequence, step) in (first + 1..).zip(&self.steps) {
            let bytes = &mut self.bytes[step.at.clone()];
            let length = u32::try_from(bytes.len()).ok()?;
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
            if sequence == last_step {
                bytes[6] |= ACK.to_ne_bytes()[0];
                bytes[7] |= ACK.to_ne_bytes()[1];
            }
        }
        let last = last_step.checked_add(1)?;
        let guard = generation.map(|number| attribute(BATCH_GENERATION, &number.to_be_bytes())).unwrap_or_default();
        let begin = message(BEGIN, REQUEST, first, &[general(0, 10).to_vec(), guard].concat());
        let end = message(END, REQUEST, last, &general(0, 10));
        let steps = self.steps.into_iter().map(|step| {
            let at = step.at.start + begin.len()..step.at.end + begin.len();
            Step { at, ..step }
        });
        let steps = steps.collect();
        self.bytes.splice(0..0, begin);
        self.bytes.extend(end);
        Some(Sent { bytes: self.bytes, steps, first, last_step, last })
    }
}

impl Sent {
    /// An answer that is no success, in words: which element of which set, and why.
    pub(super) fn words(&self, answer: &Answer) -> String {
        let why = answer.why();
        let place = answer.sequence.checked_sub(self.first + 1).and_then(|n| self.steps.get(n as usize));
        let Some(step) = place else { return why };
        let act = if step.adds { "add to" } else { "take out of" };
        let bytes = self.bytes.get(step.at.clone()).unwrap_or_default();
        match answer.offset.and_then(|offset| item_at(bytes, offset as usize)) {
            Some(n) => format!("cannot {act} the set {}: element {}: {why}", step.set, n + 1),
            None => format!("cannot {act} the set {}: {why}", step.set),
        }
    }
}

/// The number of the element of a message that a byte of it belongs to.
fn item_at(bytes: &[u8], offset: usize) -> Option<usize> {
    let mut at = HEADER + 4;
    for (kind, value) in attributes(bytes.get(at..)?) {
        let inside = at + 4;
        if kind == ELEMENTS {
            let mut from = inside;
            for (n, (_, item)) in attributes(value).enumerate() {
                let next = from + (4 + item.len()).next_multiple_of(4);
                if (from..next).contains(&offset) {
                    return Some(n);
                }
                from = next;
            }
            return None;
        }
        at += (4 + value.len()).next_multiple_of(4);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink::{messages, u32_at};
    use proptest::prelude::*;

    fn batch(keys: &[[u8; 4]]) -> Batch {
        let mut batch = Batch::new("afo");
        batch.add("block4", keys.iter().map(|key| (&key[..], Some(Duration::from_secs(5)))));
        batch.delete("block4", keys.iter().map(|key| &key[..]));
        batch
    }

    #[test]
    fn a_batch_is_framed_numbered_and_bound_to_its_generation() {
        let sent = batch(&[[192, 0, 2, 1]]).seal(7, Some(42)).expect("something to do");
        let found: Vec<_> = messages(&sent.bytes).map(|m| (m.kind, m.flags & ACK, m.sequence)).collect();
        assert_eq!(found, [(BEGIN, 0, 7), (NEW, 0, 8), (DELETE, ACK, 9), (END, 0, 10)]);
        let guard = messages(&sent.bytes).next().expect("the beginning").body[4..].to_vec();
        assert_eq!(attributes(&guard).next(), Some((BATCH_GENERATION, &42u32.to_be_bytes()[..])));
        assert_eq!((sent.last_step, sent.last), (9, 10));
        assert!(Batch::new("afo").seal(1, Some(1)).is_none());
    }

    #[test]
    fn an_answer_is_about_an_element() {
        let sent = batch(&[[192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3]]).seal(1, Some(1)).expect("something");
        let step = &sent.bytes[sent.steps[0].at.clone()];
        let second = step.windows(4).position(|bytes| bytes == [192, 0, 2, 2]).expect("it is there");
        let answer = |offset| Answer { sequence: 2, code: 23, words: None, offset };
        let said = sent.words(&answer(u32::try_from(second).ok()));
        assert!(said.starts_with("cannot add to the set block4: element 2: "), "{said}");
        assert!(sent.words(&answer(Some(3))).starts_with("cannot add to the set block4: Too many open files"));
        let said = sent.words(&Answer { sequence: 3, ..answer(None) });
        assert!(said.starts_with("cannot take out of the set block4: "), "{said}");
        let whole = sent.words(&Answer { sequence: 1, words: Some("no".into()), ..answer(None) });
        assert!(whole.starts_with("no (") || whole.starts_with("no: "), "{whole}");
    }

    proptest! {
        #[test]
        fn every_element_is_in_a_message_that_is_not_too_long(count in 0u32..6000, timed in any::<bool>()) {
            let keys: Vec<[u8; 4]> = (0..count).map(u32::to_be_bytes).collect();
            let mut batch = Batch::new("afo");
            batch.add("s", keys.iter().map(|key| (&key[..], timed.then_some(Duration::from_secs(1)))));
            let sent = batch.seal(1, Some(1));
            prop_assert_eq!(sent.is_none(), count == 0);
            let Some(sent) = sent else { return Ok(()) };
            let mut found = Vec::new();
            for message in messages(&sent.bytes).filter(|m| m.kind == NEW) {
                prop_assert!(message.body.len() < 1 << 16);
                let list = attributes(&message.body[4..]).find(|(kind, _)| *kind == ELEMENTS).expect("a list").1;
                for (_, item) in attributes(list) {
                    let key = attributes(item).find(|(kind, _)| *kind == KEY).expect("a key").1;
                    found.push(u32::from_be(u32_at(key, 4).expect("four bytes")));
                }
            }
            prop_assert_eq!(found, (0..count).collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), offset in any::<usize>()) {
            let found = item_at(&bytes, offset);
            prop_assert!(found.is_none_or(|n| n < bytes.len()));
        }
    }
}
