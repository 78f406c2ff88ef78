//! Conditions that stand by their text: what two texts say of one another, and what a packet alone says to some of them.

use super::ruleset::{Condition, Unread};
use crate::packet::Wide;

/// What a text begins with that is the opposite of the rest.
const NOT: &str = "not ";
/// The condition of what looks at the first header of IPv6 as if none followed but the transport's.
const NO_EXTENSION: &str = "the IPv6 header has no extension header";

impl Unread {
    /// That an IPv6 packet has no extension header.
    pub fn no_extension() -> Self {
        Self { text: NO_EXTENSION.to_owned(), field: Some(NO_EXTENSION.to_owned()) }
    }

    /// A test of a field alone by its text, or its opposite.
    pub fn steady(text: &str, field: &str, holds: bool) -> Self {
        Self { text: format!("{}{text}", if holds { "" } else { NOT }), field: Some(field.to_owned()) }
    }

    /// The condition that is asked about, and whether it must hold.
    pub fn asked(&self) -> (&str, bool) {
        match self.text.strip_prefix(NOT).filter(|_| self.field.is_some()) {
            Some(rest) => (rest, false),
            None => (&self.text, true),
        }
    }

    /// The bit of a mark that it is about.
    pub(super) fn bit(text: &str) -> Option<(Wide, u32)> {
        let (name, mask) = text.strip_suffix(" != 0")?.split_once(" & 0x")?;
        let field = [Wide::Mark, Wide::ConnectionMark].into_iter().find(|field| mark_name(*field) == name)?;
        Some((field, u32::from_str_radix(mask, 16).ok().filter(|mask| mask.is_power_of_two())?))
    }

    /// Whether a text is that an IPv6 packet has no extension header.
    pub(super) fn is_no_extension(text: &str) -> bool {
        text == NO_EXTENSION
    }
}

/// The bit of the packet mark that an unread condition is about.
pub(super) fn bit_of(unread: &Unread) -> Option<u32> {
    Unread::bit(unread.asked().0).filter(|(field, _)| *field == Wide::Mark).map(|(_, bit)| bit)
}

fn mark_name(field: Wide) -> &'static str {
    if field == Wide::ConnectionMark { "ct mark" } else { "meta mark" }
}

/// A mark under a mask with too many holes for ranges: a condition for each bit, or for a single one its opposite where `equal` is not
/// so. Nothing for other fields, and where it would be one of several bits.
pub fn mark_bits(field: Wide, mask: u32, value: u32, equal: bool) -> Option<Vec<Condition>> {
    let marks = matches!(field, Wide::Mark | Wide::ConnectionMark);
    if !marks || value & !mask != 0 || !equal && mask.count_ones() != 1 {
        return None;
    }
    let bits = (0..32).map(|bit| 1u32 << bit).filter(|bit| mask & bit != 0);
    let name = mark_name(field);
    let one = |bit: u32| Unread::steady(&format!("{name} & {bit:#x} != 0"), name, (value & bit != 0) == equal);
    Some(bits.map(|bit| Condition::Unread(one(bit))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_is_a_condition() {
        let texts = |all: Option<Vec<Condition>>| -> Option<Vec<String>> {
            let text = |c| if let Condition::Unread(u) = c { u.text } else { String::new() };
            Some(all?.into_iter().map(text).collect())
        };
        let both = texts(mark_bits(Wide::Mark, 0x5, 0x4, true)).expect("bits");
        assert_eq!(both, ["not meta mark & 0x1 != 0", "meta mark & 0x4 != 0"]);
        assert_eq!(texts(mark_bits(Wide::ConnectionMark, 0x4, 0, false)).expect("a bit"), ["ct mark & 0x4 != 0"]);
        assert_eq!(mark_bits(Wide::Mark, 0x5, 0x4, false), None);
        assert_eq!(mark_bits(Wide::Vlan, 0x1, 0x1, true), None);
        assert_eq!(Unread::bit("meta mark & 0x4 != 0"), Some((Wide::Mark, 4)));
        assert_eq!([Unread::bit("meta mark & 0x5 != 0"), Unread::bit("ct mark & 4 != 0")], [None, None]);
        let not = Unread::steady("x", "y", false);
        assert_eq!((not.asked(), Unread::no_extension().asked().1), (("x", false), true));
    }
}
