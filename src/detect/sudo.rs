//! What sudo and su say of attempts that failed. Both are local: nobody at an address is blamed, only counted.

use super::bytes::{first_word, last_word, number};
use super::sighting::{Attribute, Kind, Sighting};
use crate::record::Timestamp;

/// `USER : 3 incorrect password attempts ; TTY=… ; COMMAND=…`, `USER : user NOT in sudoers ; …`, `USER : command not allowed ; …`.
pub fn sudo<'a>(ts: Timestamp, message: &'a [u8]) -> Option<Sighting<'a>> {
    let at = memchr::memmem::find(message, b" : ")?;
    let (user, rest) = (message[..at].trim_ascii(), &message[at + 3..]);
    let what = &rest[..memchr::memmem::find(rest, b" ; ")?];
    let (count, words) = first_word(what);
    let (count, outcome) = match (number(count), what) {
        (Some(count), _) if words.starts_with(b"incorrect password attempt") => (count.max(1), "wrong_password"),
        (_, b"user NOT in sudoers") => (1, "not_in_sudoers"),
        (_, b"user NOT authorized on host") => (1, "not_on_host"),
        (_, b"command not allowed") => (1, "command_not_allowed"),
        _ => return None,
    };
    let mut sighting = Sighting::new(ts, Kind::SudoAbuse);
    sighting.user = Some(user).filter(|u| !u.is_empty());
    sighting.count = count;
    sighting.attributes.set("outcome", Attribute::Word(outcome));
    Some(sighting)
}

/// `FAILED SU (to root) eve on pts/0`, `FAILED su for root by eve`.
pub fn su<'a>(ts: Timestamp, message: &'a [u8]) -> Option<Sighting<'a>> {
    let user = if let Some(rest) = message.strip_prefix(b"FAILED SU (to ") {
        let (rest, _terminal) = last_word(rest)?;
        last_word(rest.strip_suffix(b" on")?)?.1
    } else {
        let rest = message.strip_prefix(b"FAILED su for ")?;
        last_word(rest).filter(|(rest, _)| rest.ends_with(b" by"))?.1
    };
    let mut sighting = Sighting::new(ts, Kind::AuthFailure);
    sighting.user = Some(user);
    sighting.attributes.set("service", Attribute::Word("su"));
    Some(sighting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ts() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().expect("time")
    }

    #[test]
    fn each_form() {
        let s = |text: &'static str| {
            let s = sudo(ts(), text.as_bytes())?;
            Some((String::from_utf8_lossy(s.user?).into_owned(), s.count))
        };
        let rest = "TTY=pts/0 ; PWD=/home/eve ; USER=root ; COMMAND=/bin/sh";
        let line = |what: &str| -> &'static str { format!("     eve : {what} ; {rest}").leak() };
        assert_eq!(s(line("3 incorrect password attempts")), Some(("eve".into(), 3)));
        assert_eq!(s(line("1 incorrect password attempt")), Some(("eve".into(), 1)));
        assert_eq!(s(line("user NOT in sudoers")), Some(("eve".into(), 1)));
        assert_eq!(s(line("command not allowed")), Some(("eve".into(), 1)));
        assert_eq!(s("     eve : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/echo a : user NOT in sudoers ; x"), None);
        for text in ["FAILED SU (to root) eve on pts/0", "FAILED su for root by eve"] {
            assert_eq!(su(ts(), text.as_bytes()).and_then(|s| s.user), Some(&b"eve"[..]), "{text}");
        }
        assert_eq!(su(ts(), b"Successful su for root by eve"), None);
    }

    proptest! {
        #[test]
        fn bytes_never_panic_and_nobody_is_blamed(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(sudo(ts(), &message).is_none_or(|s| s.source_ip.is_none()));
            prop_assert!(su(ts(), &message).is_none_or(|s| s.source_ip.is_none()));
        }
    }
}
