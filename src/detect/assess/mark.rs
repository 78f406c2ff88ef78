//! What an event is to an assessment: who, what kind of evidence, and by what it is told from another line about the same attempt.

use crate::record::{Event, Id, Timestamp};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

/// The kind of evidence that one event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The server's own word of a wrong password.
    Failure,
    /// PAM's word of it: often a second line about the same attempt.
    PamFailure,
    /// A login name that does not exist.
    Invalid,
    /// A key that was refused, or the question which methods there are.
    Key,
    Disconnect,
    Protocol,
    Success,
    /// A packet to a port.
    Probe,
    /// A list names the address.
    Listed,
}

/// One event, as far as it is evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    pub ts: Timestamp,
    pub id: Id,
    pub class: Class,
    pub source: Arc<str>,
    /// What lines about one connection have in common: source and process, or source and port.
    pub connection: u64,
    /// Whether a process id says which connection it is.
    pub by_process: bool,
    /// A login name that does not exist.
    pub invalid: bool,
    pub user: Option<u64>,
    /// The host that was aimed at, for packets; the peer's own address, for networks.
    pub host: u64,
    pub port: u16,
    pub count: u64,
    /// Anybody could have written it.
    pub forgeable: bool,
}

/// A number for anything that is only compared.
pub fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The attribute `name` of an event, where it is true.
fn flag(event: &Event, name: &str) -> bool {
    event.attributes.get(name).and_then(serde_json::Value::as_bool) == Some(true)
}

fn text<'e>(event: &'e Event, name: &str) -> Option<&'e str> {
    event.attributes.get(name).and_then(serde_json::Value::as_str)
}

fn class(event: &Event) -> Option<Class> {
    let weak = matches!(text(event, "method"), Some("none" | "publickey" | "hostbased" | "gssapi-with-mic"));
    Some(match event.event_type.as_str() {
        "auth_failure" if text(event, "via") == Some("pam") => Class::PamFailure,
        "auth_failure" if weak => Class::Key,
        "auth_failure" => Class::Failure,
        "auth_success" => Class::Success,
        "invalid_user" => Class::Invalid,
        "preauth_disconnect" => Class::Disconnect,
        "protocol_error" => Class::Protocol,
        "port_probe" => Class::Probe,
        "known_bad_ip" => Class::Listed,
        _ => return None,
    })
}

impl Mark {
    /// What `event` is evidence of, where it is any and says against whom.
    pub fn of(event: &Event, source: Arc<str>) -> Option<(IpAddr, Self)> {
        let ip = event.source_ip?;
        let class = class(event)?;
        let pid = event.attributes.get("pid").and_then(serde_json::Value::as_u64);
        let connection = match pid {
            Some(pid) => digest(&(&source, "process", pid)),
            None => digest(&(&source, "port", event.source_port, event.source_port.is_none().then_some(&event.id))),
        };
        let mark = Self {
            ts: event.ts,
            id: event.id.clone(),
            class,
            source,
            connection,
            by_process: pid.is_some() && class != Class::Protocol,
            invalid: class == Class::Invalid || flag(event, "invalid_user"),
            user: event.user.as_ref().map(digest),
            host: digest(&event.destination_ip),
            port: event.port.unwrap_or(0),
            count: event.count.unwrap_or(1).clamp(1, 100_000),
            forgeable: flag(event, "forgeable"),
        };
        Some((ip, mark))
    }
}
