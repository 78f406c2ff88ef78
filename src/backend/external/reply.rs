//! One line that a backend answered, read as what it is the answer to.

use crate::backend::Capability;
use crate::record::{BackendReply, Record, Unreadable, Verb, parse, peek};

/// A line longer than this is no answer.
pub const LONGEST: usize = 64 << 20;

/// How long an answer may take where the backend does not say, in seconds.
const SECONDS: u32 = 30;
/// The longest that it may ask for.
const MOST_SECONDS: u32 = 600;
/// The longest version that is kept.
const LONGEST_VERSION: usize = 60;

/// Why a line is no answer to what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("its answer to {0} is no text in UTF-8")]
    NoText(&'static str),
    #[error("its answer to {0} is no record: {1}")]
    Unreadable(&'static str, Unreadable),
    #[error("its answer to {0} is a record of the kind `{1}`; backend_reply is expected")]
    Kind(&'static str, String),
    #[error("its answer to {asked} has the id {told}; the request has {wanted}")]
    Id { asked: &'static str, told: u64, wanted: u64 },
    #[error("its answer to {0} has no `{1}`")]
    Missing(&'static str, &'static str),
    #[error("it calls itself `{0}`; its program is named afo-backend-{1}")]
    Name(String, String),
    #[error("its capability `{0}` is none that is known")]
    Capability(String),
    #[error("its timeout_seconds {0} is not between 1 and {MOST_SECONDS}")]
    Timeout(u32),
}

/// Reads a line as the answer to request `id`.
///
/// # Errors
/// When it is none.
pub fn reply(line: &[u8], asked: Verb, id: u64) -> Result<BackendReply, Fault> {
    let verb = asked.as_str();
    let line = std::str::from_utf8(line).map_err(|_| Fault::NoText(verb))?;
    let unreadable = |why| Fault::Unreadable(verb, why);
    let kind = peek(line).map_err(unreadable)?.kind;
    if kind != BackendReply::KIND {
        return Err(Fault::Kind(verb, kind.chars().take(40).collect()));
    }
    let reply: BackendReply = parse(line).map_err(unreadable)?;
    if reply.id != id {
        return Err(Fault::Id { asked: verb, told: reply.id, wanted: id });
    }
    match missing(&reply, asked) {
        Some(field) => Err(Fault::Missing(verb, field)),
        None => Ok(reply),
    }
}

/// The first field that an answer must have and that this one has not.
fn missing(reply: &BackendReply, asked: Verb) -> Option<&'static str> {
    if !reply.ok {
        return reply.error.as_deref().unwrap_or_default().trim().is_empty().then_some("error");
    }
    let native = ("native", reply.native.is_some());
    let wanted: &[(&str, bool)] = match asked {
        Verb::Capabilities => &[("name", reply.name.is_some()), ("version", reply.version.is_some())],
        Verb::Render if !reply.refused.is_empty() => &[],
        Verb::Render => &[native],
        Verb::Check => {
            &[("valid", reply.valid.is_some()), ("errors", reply.valid != Some(false) || !reply.errors.is_empty())]
        }
        Verb::List => &[native, ("state", reply.state.is_some()), ("revision", reply.revision.is_some())],
        Verb::Apply | Verb::Restore | Verb::Block | Verb::Unblock => &[],
    };
    wanted.iter().find(|(_, there)| !there).map(|(field, _)| *field)
}

/// What a backend says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub version: String,
    /// In the order of [`Capability::ALL`].
    pub capabilities: Vec<Capability>,
    /// How long an answer may take.
    pub seconds: u32,
}

/// Reads what the backend of a name says of itself.
///
/// # Errors
/// When it is another one, or says what is not known.
pub fn capabilities(reply: &BackendReply, name: &str) -> Result<Told, Fault> {
    let own = reply.name.clone().unwrap_or_default();
    if own != name {
        return Err(Fault::Name(own, name.to_owned()));
    }
    let of = |word: &String| Capability::of(word).ok_or_else(|| Fault::Capability(word.clone()));
    let mut capabilities = reply.capabilities.iter().map(of).collect::<Result<Vec<_>, _>>()?;
    capabilities.sort_unstable();
    capabilities.dedup();
    let seconds = reply.timeout_seconds.unwrap_or(SECONDS);
    if !(1..=MOST_SECONDS).contains(&seconds) {
        return Err(Fault::Timeout(seconds));
    }
    let version = reply.version.as_deref().unwrap_or_default().chars().take(LONGEST_VERSION).collect();
    Ok(Told { version, capabilities, seconds })
}

/// The field of a rule that a word names; `rule` where it names none.
pub fn field_of(word: &str) -> &'static str {
    const FIELDS: [&str; 26] = [
        "id",
        "action",
        "direction",
        "family",
        "interface_in",
        "interface_out",
        "source_address",
        "destination_address",
        "protocol",
        "source_port",
        "destination_port",
        "icmp_type",
        "connection_state",
        "tcp_flags",
        "source_mac",
        "vlan",
        "mark",
        "rate_limit",
        "log",
        "reject_with",
        "nat",
        "strict",
        "ttl_seconds",
        "schedule",
        "position",
        "extra",
    ];
    FIELDS.into_iter().find(|field| *field == word).unwrap_or("rule")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(line: &str, asked: Verb) -> String {
        reply(line.as_bytes(), asked, 1).expect_err(line).to_string()
    }

    #[test]
    fn what_is_no_answer_is_told_exactly() {
        for (line, words) in [
            ("hello", "its answer to list is no record: not a JSON object"),
            (
                r#"{"kind":"proposal","id":1,"ok":true}"#,
                "its answer to list is a record of the kind `proposal`; backend_reply is expected",
            ),
            (
                r#"{"kind":"backend_reply","id":2,"ok":false,"error":"x"}"#,
                "its answer to list has the id 2; the request has 1",
            ),
            (r#"{"kind":"backend_reply","id":1,"ok":false}"#, "its answer to list has no `error`"),
            (
                r#"{"kind":"backend_reply","id":1,"ok":true,"native":"","state":""}"#,
                "its answer to list has no `revision`",
            ),
            (
                r#"{"kind":"backend_reply","v":2,"id":1,"ok":true}"#,
                "its answer to list is no record: version 2 of the backend_reply record is newer than 1, the newest that this program reads",
            ),
            (
                r#"{"kind":"backend_reply","id":"1","ok":true}"#,
                "its answer to list is no record: id: invalid type: string \"1\", expected u64",
            ),
        ] {
            assert_eq!(said(line, Verb::List), words);
        }
        assert_eq!(reply(b"\xff", Verb::List, 1), Err(Fault::NoText("list")));
        let invalid = r#"{"kind":"backend_reply","id":1,"ok":true,"valid":false}"#;
        assert_eq!(said(invalid, Verb::Check), "its answer to check has no `errors`");
    }

    #[test]
    fn what_it_says_of_itself_is_held_against_it() {
        let told = |fields: &str| {
            let line = format!(r#"{{"kind":"backend_reply","id":1,"ok":true,"version":"1.0",{fields}}}"#);
            capabilities(&reply(line.as_bytes(), Verb::Capabilities, 1).expect("a reply"), "acme")
        };
        let fine = told(r#""name":"acme","capabilities":["filter","ipv4","ipv4"],"timeout_seconds":5"#).expect("told");
        assert_eq!((fine.capabilities, fine.seconds), (vec![Capability::Ipv4, Capability::Filter], 5));
        for (fields, words) in [
            (r#""name":"other""#, "it calls itself `other`; its program is named afo-backend-acme"),
            (r#""name":"acme","capabilities":["magic"]"#, "its capability `magic` is none that is known"),
            (r#""name":"acme","timeout_seconds":0"#, "its timeout_seconds 0 is not between 1 and 600"),
        ] {
            assert_eq!(told(fields).expect_err(fields).to_string(), words);
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "\\PC{0,60}", id in 0u64..3) {
            let line = format!(r#"{{"kind":"backend_reply","id":{id},"ok":true,"name":{text:?},"native":{text:?},"error":{text:?}}}"#);
            for verb in [Verb::Capabilities, Verb::Render, Verb::Check, Verb::Apply, Verb::List, Verb::Restore, Verb::Block, Verb::Unblock] {
                prop_assert!(reply(&bytes, verb, 1).is_err());
                if let Ok(reply) = reply(line.as_bytes(), verb, 1) {
                    prop_assert_eq!(reply.id, 1);
                    let _ = capabilities(&reply, "acme");
                }
            }
        }
    }
}
