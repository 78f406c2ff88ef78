//! What PAM's modules say in the name of a program: `pam_unix(sshd:auth): authentication failure; … rhost=…  user=…`.
//!
//! `ruser` and `user` are text of the client's and stand on both sides of `rhost`. So the line names a peer only where ` rhost=`
//! stands once.

use super::bytes::{address, first_word, has, number, split_only};
use super::sighting::{Attribute, Kind, Sighting};
use crate::record::Timestamp;

/// Whether `message` is a PAM module's by its beginning.
pub fn speaks(message: &[u8]) -> bool {
    message.starts_with(b"pam_") || message.starts_with(b"PAM ")
}

/// Reads one message of a module; `service` is the program that it runs in.
pub fn read<'a>(ts: Timestamp, service: &'a [u8], message: &'a [u8]) -> Option<Sighting<'a>> {
    let (service, count, body) = failure(service, message).filter(|(_, _, body)| has(body, b"rhost="))?;
    let mut sighting = Sighting::new(ts, Kind::AuthFailure);
    sighting.count = count;
    sighting.attributes.set("via", Attribute::Word("pam"));
    sighting.attributes.set("service", Attribute::Text(service));
    match split_only(body, b" rhost=") {
        Some((_, rest)) => peer(&mut sighting, rest),
        None => sighting.attributes.set("ambiguous", Attribute::Flag(true)),
    }
    Some(sighting)
}

/// Whether the fields end before `rhost`, which the module always writes: a newline in `ruser` cut the line.
pub fn is_fragment(message: &[u8]) -> bool {
    failure(b"", message).is_some_and(|(_, _, body)| has(body, b"ruser=") && !has(body, b"rhost="))
}

fn peer<'a>(sighting: &mut Sighting<'a>, rest: &'a [u8]) {
    let (host, rest) = first_word(rest);
    sighting.source_ip = address(host);
    if sighting.source_ip.is_none() && !host.is_empty() {
        sighting.attributes.set("host", Attribute::Text(host));
    }
    sighting.user = rest.trim_ascii().strip_prefix(b"user=");
}

/// The service, how many failures, and the fields.
fn failure<'a>(service: &'a [u8], message: &'a [u8]) -> Option<(&'a [u8], u64, &'a [u8])> {
    if let Some(rest) = message.strip_prefix(b"PAM ") {
        let (count, rest) = first_word(rest);
        let rest = rest.strip_prefix(b"more authentication failure")?;
        let fields = rest.strip_prefix(b"s").unwrap_or(rest).strip_prefix(b"; ")?;
        return Some((service, number(count).filter(|n| *n > 0)?, fields));
    }
    if let Some(fields) = message.strip_prefix(b"authentication failure; ") {
        return Some((service, 1, fields));
    }
    let (module, fields) = first_word(message);
    let inner = module.strip_prefix(b"pam_")?.strip_suffix(b"):")?;
    let (_module, service) = inner.split_at(memchr::memchr(b'(', inner)?);
    let (service, facility) = service[1..].split_at(memchr::memchr(b':', &service[1..])?);
    let fields = fields.strip_prefix(b"authentication failure; ").filter(|_| facility == b":auth")?;
    Some((service, 1, fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(message: &str) -> Option<(String, u64, String, String)> {
        match read("2026-01-02T03:04:05Z".parse().expect("time"), b"sshd", message.as_bytes()) {
            Some(s) => {
                let service = s.attributes.iter().find(|a| a.0 == "service").map(|a| a.1);
                let ip = s.source_ip.map_or("-".into(), |ip| ip.to_string());
                let user = String::from_utf8_lossy(s.user.unwrap_or(b"-")).into_owned();
                Some((format!("{service:?}"), s.count, ip, user))
            }
            _ => None,
        }
    }

    const FIELDS: &str = "logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=root";

    #[test]
    fn each_form() {
        for (start, count) in [
            ("pam_unix(sshd:auth): authentication failure; ", 1),
            ("PAM 4 more authentication failures; ", 4),
            ("PAM 1 more authentication failure; ", 1),
            ("authentication failure; ", 1),
        ] {
            let (_, n, ip, user) = seen(&format!("{start}{FIELDS}")).expect(start);
            assert_eq!((n, ip.as_str(), user.as_str()), (count, "203.0.113.7", "root"));
        }
        assert_eq!(seen("pam_unix(sshd:session): session opened for user ops by (uid=0)"), None);
        assert_eq!(seen("pam_unix(sshd:auth): check pass; user unknown"), None);
        let local = "pam_unix(sudo:auth): authentication failure; logname=eve uid=1000 euid=0 tty=/dev/pts/0 ruser=eve rhost=  user=eve";
        assert_eq!(seen(local).map(|s| (s.2, s.3)), Some(("-".into(), "eve".into())));
    }

    #[test]
    fn a_cut_line_is_a_fragment() {
        let cut = b"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser=a";
        assert!(is_fragment(cut));
        assert_eq!(read("2026-01-02T03:04:05Z".parse().expect("time"), b"sshd", cut), None);
    }

    proptest! {
        #[test]
        fn nobody_but_the_peer_is_ever_blamed(ruser in "( rhost=198.51.100.9|rhost=| user=|x| ){0,5}", user in "( rhost=198.51.100.9|rhost=| user=|x| ){0,5}") {
            let line = format!("pam_unix(ftp:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser={ruser} rhost=203.0.113.7  user={user}");
            let ip = seen(&line).map(|s| s.2);
            prop_assert!(matches!(ip.as_deref(), Some("203.0.113.7" | "-")), "{} blames {:?}", line, ip);
        }

        #[test]
        fn bytes_never_panic(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read("2026-01-02T03:04:05Z".parse().expect("time"), b"x", &message);
        }
    }
}
