//! What OpenSSH's server says, by the words of its source (`auth.c`, `packet.c`, `sshd.c`, `sshd-session.c`; 5.x to 10.x).
//!
//! A login name is text of the attacker and may hold anything, also complete messages. So the peer is read from the right end,
//! where the server writes it, or straight after words of the server that nothing of the attacker's precedes. A line with more
//! than one place where the peer could stand names nobody.

use super::bytes::{address, first_word, has, last_word, number, port, split_only};
use super::sighting::{Attribute, Kind, Sighting};
use crate::packet::Protocol;
use crate::record::Timestamp;
use std::net::IpAddr;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Peer<'a> {
    ip: Option<IpAddr>,
    /// Where the server wrote a name: `UseDNS yes`. Names are the attacker's, nobody is blamed by one.
    name: Option<&'a [u8]>,
    port: Option<u16>,
}

/// Reads one message of the server.
pub fn read(ts: Timestamp, message: &[u8]) -> Option<Sighting<'_>> {
    let message = plain(message);
    let (message, preauth) = match message.strip_suffix(b" [preauth]") {
        Some(message) => (message, true),
        None => (message, false),
    };
    let found = match message.first() {
        Some(b'F') => outcome(ts, message, b"Failed ", Kind::AuthFailure),
        Some(b'A') => outcome(ts, message, b"Accepted ", Kind::AuthSuccess),
        Some(b'I') => invalid_user(ts, message),
        Some(b'C' | b'D') => closed(ts, message, preauth),
        Some(b'R') => disconnect_or_refused(ts, message, preauth),
        Some(b'P') => pam(ts, message),
        Some(b'm') => too_many(ts, message),
        Some(b'U') => not_allowed(ts, message).or_else(|| protocol(ts, message)),
        _ => None,
    };
    found.or_else(|| protocol(ts, message))
}

/// Without the level before it.
fn plain(message: &[u8]) -> &[u8] {
    let message = message.trim_ascii_end();
    strip_any(message, &[b"error: ", b"fatal: "]).unwrap_or(message)
}

/// Whether this is the beginning of a message that the server never ends without the peer, in no version: whoever writes
/// this log lets newlines in login names through.
pub fn is_fragment(message: &[u8]) -> bool {
    let message = plain(message);
    let named = [
        &b"Invalid user "[..],
        b"Failed password for ",
        b"Connection closed by invalid user ",
        b"Bad protocol version ",
    ];
    named.iter().any(|start| message.starts_with(start)) && !has(message, b" from ") && !has(message, b" port ")
}

/// A number below 8 for the form of a message that newer servers end with `port N` and older ones do not (they began with one
/// form after the other). One without it from a server that writes it was cut by a newline in a login name.
pub fn form(message: &[u8]) -> Option<u8> {
    let starts: [&[u8]; 8] = [
        b"Invalid user",
        b"Illegal user",
        b"Failed ",
        b"Accepted ",
        b"Connection closed by ",
        b"Connection reset by ",
        b"Disconnected from ",
        b"Disconnecting ",
    ];
    let at = starts.iter().position(|start| plain(message).starts_with(start))?;
    u8::try_from(at).ok()
}

/// Whether this is the end of a message that a newline in a login name cut: a peer as the server writes it, behind words that
/// are none of the server's.
pub fn is_tail(message: &[u8]) -> bool {
    let own: [&[u8]; 22] = [
        b"Accepted ",
        b"Address ",
        b"Authenticat",
        b"Bad ",
        b"Close session",
        b"Connection ",
        b"Did not ",
        b"Disconnect",
        b"Failed ",
        b"Illegal user",
        b"Invalid user",
        b"PAM: ",
        b"Partial ",
        b"Postponed ",
        b"Protocol ",
        b"ROOT LOGIN ",
        b"Received ",
        b"Starting session",
        b"Timeout ",
        b"Too many ",
        b"maximum ",
        b"refused ",
    ];
    let text = plain(message);
    let text = text.strip_suffix(b" [preauth]").unwrap_or(text);
    let text = strip_any_end(text, &[b" ssh2", b" ssh1"]).unwrap_or(text);
    let peer = peer_with_port(text).filter(|(rest, peer)| peer.ip.is_some() && rest.ends_with(b" from"));
    peer.is_some() && strip_any(text, &own).is_none()
}

fn strip_any_end<'a>(text: &'a [u8], ends: &[&[u8]]) -> Option<&'a [u8]> {
    ends.iter().find_map(|end| text.strip_suffix(*end))
}

fn strip_any<'a>(text: &'a [u8], starts: &[&[u8]]) -> Option<&'a [u8]> {
    starts.iter().find_map(|start| text.strip_prefix(*start))
}

/// `ADDRESS port N` at the end of `text`, and what stands before it.
fn peer_with_port(text: &[u8]) -> Option<(&[u8], Peer<'_>)> {
    let (text, number) = last_word(text)?;
    let (text, word) = last_word(text)?;
    let port = port(number).filter(|_| word == b"port")?;
    let (rest, host) = last_word(text).unwrap_or((b"", text));
    Some((rest, Peer { port: Some(port), ..named(host) }))
}

/// `ADDRESS port N` or, as older servers wrote, `ADDRESS` at the end of `text`.
fn peer(text: &[u8]) -> Option<(&[u8], Peer<'_>)> {
    peer_with_port(text).or_else(|| {
        let (rest, host) = last_word(text)?;
        Some((rest, named(host)))
    })
}

fn named(host: &[u8]) -> Peer<'_> {
    let ip = address(host);
    Peer { ip, name: ip.is_none().then_some(host), port: None }
}

fn seen<'a>(ts: Timestamp, kind: Kind, peer: Peer<'a>) -> Sighting<'a> {
    let mut sighting = Sighting::new(ts, kind);
    sighting.source_ip = peer.ip;
    sighting.source_port = peer.port;
    sighting.protocol = Some(Protocol::TCP);
    if let Some(name) = peer.name {
        sighting.attributes.set("host", Attribute::Text(name));
    }
    sighting
}

/// `Failed METHOD for [invalid user ]USER from PEER port N ssh2[: KEY]`, and the same with `Accepted`.
fn outcome<'a>(ts: Timestamp, message: &'a [u8], verb: &[u8], kind: Kind) -> Option<Sighting<'a>> {
    let (method, rest) = first_word(message.strip_prefix(verb)?);
    let body = rest.strip_prefix(b"for ")?;
    let (user, peer) = match user_and_peer(body, method) {
        Place::One(user, peer) => (user, peer),
        Place::Several => (&b""[..], Peer { ip: None, name: None, port: None }),
        Place::None => return None,
    };
    let (user, invalid) = valid(user);
    let mut sighting = seen(ts, kind, peer);
    sighting.user = Some(user).filter(|_| peer.ip.is_some() || peer.name.is_some());
    sighting.attributes.set("method", Attribute::Text(method));
    if invalid {
        sighting.attributes.set("invalid_user", Attribute::Flag(true));
    }
    if sighting.source_ip.is_none() && peer.name.is_none() {
        sighting.attributes.set("ambiguous", Attribute::Flag(true));
    }
    Some(sighting)
}

/// Where user and peer stand.
enum Place<'a> {
    One(&'a [u8], Peer<'a>),
    Several,
    None,
}

fn user_and_peer<'a>(body: &'a [u8], method: &[u8]) -> Place<'a> {
    let ended = body.strip_suffix(b" ssh2").or_else(|| body.strip_suffix(b" ssh1"));
    if let Some(text) = ended {
        // what could be the end of the message with details behind it, or a login name that imitates one
        if has(text, b" ssh2: from ") || has(text, b" ssh1: from ") {
            return Place::Several;
        }
        return before_from(text, true);
    }
    if method == b"publickey"
        && let Some(text) = without_key(body)
    {
        return before_from(text, true);
    }
    let marks: [&[u8]; 2] = [b" ssh2: ", b" ssh1: "];
    let found: Vec<&[u8]> = marks.into_iter().filter(|mark| has(body, mark)).collect();
    match found[..] {
        [] => before_from(body, false),
        [mark] => split_only(body, mark).map_or(Place::Several, |(text, _)| before_from(text, true)),
        _ => Place::Several,
    }
}

/// Without ` ssh2: TYPE FINGERPRINT` at the end; neither holds a space, so what is behind the last mark is the server's.
fn without_key(body: &[u8]) -> Option<&[u8]> {
    let (rest, _fingerprint) = last_word(body)?;
    let (rest, _kind) = last_word(rest)?;
    rest.strip_suffix(b" ssh2:")
}

fn before_from(text: &[u8], with_port: bool) -> Place<'_> {
    let found = if with_port { peer_with_port(text) } else { peer(text) };
    let from = |rest: &'_ [u8]| rest.ends_with(b" from").then(|| rest.len() - 5);
    match found {
        Some((rest, peer)) => match from(rest) {
            Some(end) => Place::One(&text[..end], peer),
            None => Place::None,
        },
        None => Place::None,
    }
}

fn valid(user: &[u8]) -> (&[u8], bool) {
    match strip_any(user, &[b"invalid user ", b"illegal user "]) {
        Some(user) => (user, true),
        None if user == b"invalid user" => (b"", true),
        None => (user, false),
    }
}

/// `Invalid user NAME from PEER[ port N]`; the name may be empty.
fn invalid_user<'a>(ts: Timestamp, message: &'a [u8]) -> Option<Sighting<'a>> {
    let body = strip_any(message, &[b"Invalid user", b"Illegal user"])?;
    let (rest, peer) = peer(body)?;
    let user = rest.strip_suffix(b" from")?;
    let mut sighting = seen(ts, Kind::InvalidUser, peer);
    sighting.user = Some(user.strip_prefix(b" ").unwrap_or(user));
    Some(sighting)
}

/// `Connection closed|reset by`, `Disconnected from`, `Disconnecting`, with `invalid|authenticating user NAME` or without,
/// before anybody was authenticated.
fn closed<'a>(ts: Timestamp, message: &'a [u8], preauth: bool) -> Option<Sighting<'a>> {
    let starts: [&[u8]; 4] =
        [b"Connection closed by ", b"Connection reset by ", b"Disconnected from ", b"Disconnecting "];
    let body = strip_any(message, &starts).filter(|_| preauth)?;
    let reason = b": Too many authentication failures";
    let (body, outcome) = match body.strip_suffix(reason) {
        Some(body) => (body, "max_attempts"),
        None => (body, "closed"),
    };
    let (rest, peer) = peer(body).or_else(|| Some((&b""[..], named(body))))?;
    let user = strip_any(rest, &[b"invalid user ", b"authenticating user "]);
    let whole = rest.is_empty() || user.is_some();
    // without a name of the client's before it the peer stands straight behind the server's words
    peer.ip.filter(|_| whole)?;
    let mut sighting = seen(ts, Kind::PreauthDisconnect, peer);
    sighting.user = user;
    sighting.attributes.set("outcome", Attribute::Word(outcome));
    if rest.starts_with(b"invalid user ") {
        sighting.attributes.set("invalid_user", Attribute::Flag(true));
    }
    Some(sighting)
}

/// `Received disconnect from PEER[ port N]:CODE: …` and `ROOT LOGIN REFUSED FROM PEER[ port N]`.
fn disconnect_or_refused<'a>(ts: Timestamp, message: &'a [u8], preauth: bool) -> Option<Sighting<'a>> {
    if let Some(body) = message.strip_prefix(b"ROOT LOGIN REFUSED FROM ") {
        let mut sighting = seen(ts, Kind::AuthFailure, straight(body, b"")?);
        sighting.user = Some(b"root");
        return Some(sighting);
    }
    let body = message.strip_prefix(b"Received disconnect from ").filter(|_| preauth)?;
    let (peer, rest) = leading(body)?;
    let code = rest.strip_prefix(b":")?.trim_ascii_start();
    let code = number(&code[..memchr::memchr(b':', code)?])?;
    // 11, by application, is how every client says goodbye: no evidence of anything (RFC 4253, 11.1)
    if code == 11 {
        return None;
    }
    let mut sighting = seen(ts, Kind::PreauthDisconnect, peer);
    sighting.attributes.set("outcome", Attribute::Word("disconnected"));
    sighting.attributes.set("code", Attribute::Number(code));
    Some(sighting)
}

/// `PEER` or `PEER port N` that `text` begins with, and what follows. Only for text that the server's words precede.
fn leading(text: &[u8]) -> Option<(Peer<'_>, &[u8])> {
    let end = text.iter().position(|b| *b == b' ').unwrap_or(text.len());
    let word = &text[..end];
    let Some(rest) = text[end..].strip_prefix(b" port ") else {
        let host = word.strip_suffix(b":").unwrap_or(word);
        let ip = address(host)?;
        return Some((Peer { ip: Some(ip), name: None, port: None }, &text[host.len()..]));
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (ip, port) = (address(word)?, port(&rest[..digits])?);
    Some((Peer { ip: Some(ip), name: None, port: Some(port) }, &rest[digits..]))
}

/// The peer where `text` is nothing but it and `end`.
fn straight<'a>(text: &'a [u8], end: &[u8]) -> Option<Peer<'a>> {
    leading(text).filter(|(_, rest)| *rest == end).map(|(peer, _)| peer)
}

/// `PAM: Authentication failure for [illegal user ]NAME from HOST[ via LOCAL]`.
fn pam<'a>(ts: Timestamp, message: &'a [u8]) -> Option<Sighting<'a>> {
    let rest = message.strip_prefix(b"PAM: ")?;
    let at = memchr::memmem::find(rest, b" for ")?;
    let (body, host) = last_word(&rest[at + 5..])?;
    let (body, host) = match body.strip_suffix(b" via") {
        Some(body) => last_word(body)?,
        None => (body, host),
    };
    let (user, invalid) = valid(body.strip_suffix(b" from")?);
    let mut sighting = seen(ts, Kind::AuthFailure, named(host));
    sighting.user = Some(user);
    sighting.attributes.set("via", Attribute::Word("pam"));
    if invalid {
        sighting.attributes.set("invalid_user", Attribute::Flag(true));
    }
    Some(sighting)
}

/// `maximum authentication attempts exceeded for [invalid user ]NAME from PEER port N ssh2`.
fn too_many<'a>(ts: Timestamp, message: &'a [u8]) -> Option<Sighting<'a>> {
    let body = message.strip_prefix(b"maximum authentication attempts exceeded for ")?;
    let Place::One(user, peer) = user_and_peer(body, b"none") else {
        return None;
    };
    let (user, invalid) = valid(user);
    let mut sighting = seen(ts, Kind::PreauthDisconnect, peer);
    sighting.user = Some(user);
    sighting.attributes.set("outcome", Attribute::Word("max_attempts"));
    if invalid {
        sighting.attributes.set("invalid_user", Attribute::Flag(true));
    }
    Some(sighting)
}

/// `User NAME from HOST not allowed because REASON`, with the reasons of `auth.c`.
fn not_allowed<'a>(ts: Timestamp, message: &'a [u8]) -> Option<Sighting<'a>> {
    let reasons: [&[u8]; 9] = [
        b"not listed in AllowUsers",
        b"listed in DenyUsers",
        b"not in any group",
        b"a group is listed in DenyGroups",
        b"none of user's groups are listed in AllowGroups",
        b"account is locked",
        b"shell does not exist",
        b"shell is not executable",
        b"password changed after expiry",
    ];
    let body = message.strip_prefix(b"User ")?;
    let body = reasons.iter().find_map(|reason| body.strip_suffix(*reason))?;
    let (rest, host) = last_word(body.strip_suffix(b" not allowed because ")?)?;
    let mut sighting = seen(ts, Kind::InvalidUser, named(host));
    sighting.user = Some(rest.strip_suffix(b" from")?);
    sighting.attributes.set("outcome", Attribute::Word("not_allowed"));
    Some(sighting)
}

/// What is no SSH, or no SSH that this server speaks, and who was turned away at the door.
fn protocol<'a>(ts: Timestamp, message: &'a [u8]) -> Option<Sighting<'a>> {
    let (peer, outcome) = if let Some(body) = message.strip_prefix(b"Bad protocol version identification '") {
        let (rest, peer) = peer(body)?;
        (peer.ip.is_some().then_some(peer).filter(|_| rest.ends_with(b"' from"))?, "bad_banner")
    } else if let Some(body) = message.strip_prefix(b"Did not receive identification string from ") {
        (straight(body, b"")?, "no_banner")
    } else if let Some(body) = message.strip_prefix(b"banner exchange: Connection from ") {
        (leading(body).filter(|(_, rest)| rest.starts_with(b": "))?.0, "bad_banner")
    } else if let Some(body) = message.strip_prefix(b"Unable to negotiate with ") {
        (leading(body).filter(|(_, rest)| rest.starts_with(b": "))?.0, "no_common_algorithm")
    } else if let Some(body) = message.strip_prefix(b"ssh_dispatch_run_fatal: Connection from ") {
        (leading(body).filter(|(_, rest)| rest.starts_with(b": "))?.0, "protocol_error")
    } else if let Some(body) = message.strip_prefix(b"Timeout before authentication for ") {
        let body = body.strip_prefix(b"connection from ").unwrap_or(body);
        (leading(body).filter(|(_, rest)| rest.is_empty() || rest.starts_with(b" to "))?.0, "timeout")
    } else {
        (dropped(message)?, "penalty")
    };
    let mut sighting = seen(ts, Kind::ProtocolError, peer);
    sighting.attributes.set("outcome", Attribute::Word(outcome));
    Some(sighting)
}

/// `drop connection #N from [PEER]:PORT on [LOCAL]:PORT penalty: …` (OpenSSH 9.8, `PerSourcePenalties`).
fn dropped(message: &[u8]) -> Option<Peer<'_>> {
    let rest = message.strip_prefix(b"drop connection #")?;
    let (_number, rest) = first_word(rest);
    let rest = rest.strip_prefix(b"from [")?;
    let end = memchr::memchr(b']', rest)?;
    let (ip, rest) = (address(&rest[..end])?, rest[end..].strip_prefix(b"]:")?);
    let (port_text, rest) = first_word(rest);
    has(rest, b" penalty: ").then_some(Peer { ip: Some(ip), name: None, port: port(port_text) })
}

#[cfg(test)]
#[path = "sshd_tests.rs"]
mod tests;
