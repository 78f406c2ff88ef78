//! Backends that are programs of their own, `afo-backend-NAME`: what they may be asked for, and what their answers mean.
//!
//! An answer is text from outside: it is read as typed values or refused with the reason, and it never decides what AFO is. Nothing here
//! runs a program.

mod block;
mod limits;
mod mark;
mod reply;

pub use block::{bars, blocks, element, held};
pub(in crate::backend) use limits::lacking;
pub use limits::{needs, ordered, without_end};
pub use mark::{Mark, Opened, content};
pub use reply::{Fault, LONGEST, Told, capabilities, field_of, reply};

/// What the program of a backend is called before its name.
pub const PREFIX: &str = "afo-backend-";

/// Whether a text can be the name of a backend: small letters, digits and hyphens, none at its beginning or end.
pub fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.len() <= 64 && text.bytes().all(plain) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_no_other_place() {
        assert!(["acme", "a1", "my-cloud"].into_iter().all(is_name));
        let odd = ["", "../x", "a/b", "A", "a b", "-a", "a-", "a.b", "ä", "a\n"];
        assert!(odd.into_iter().all(|name| !is_name(name)), "{odd:?}");
        assert!(!is_name(&"a".repeat(65)));
    }
}
