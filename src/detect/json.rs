//! Writes a sighting as one line of JSON, byte for byte what serde writes of the same event, several times faster.
//!
//! Text from outside is escaped here and nowhere else; bytes that are no UTF-8 become U+FFFD.

use super::sighting::{Attribute, Sighting};
use crate::packet::Protocol;
use crate::record::Timestamp;
use sha2::{Digest, Sha256};
use std::io::Write as _;
use std::net::IpAddr;

/// The longest `raw`, in bytes.
pub const RAW: usize = 2048;

/// What every line begins with, up to its id.
const BEGIN: &[u8] = br#"{"kind":"event","v":1,"id":""#;

/// Where the id stands in a line that a [`Writer`] wrote.
pub const ID: std::ops::Range<usize> = BEGIN.len()..BEGIN.len() + 36;

/// The first 2 KiB of a line, not cut inside a character.
pub fn cut(raw: &[u8]) -> &[u8] {
    if raw.len() <= RAW {
        return raw;
    }
    let end = (RAW - 3..=RAW).rev().find(|&end| raw[end] & 0xC0 != 0x80).unwrap_or(RAW);
    &raw[..end]
}

/// Text with what is no UTF-8 replaced.
pub fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Writes events of one source.
#[derive(Debug)]
pub struct Writer {
    /// The source as JSON.
    source: Vec<u8>,
    /// The hash of what all ids of the source begin with.
    hash: Sha256,
    /// The last time that was written, and its text: logs repeat it.
    last: Option<Timestamp>,
    text: Vec<u8>,
}

impl Writer {
    /// A writer for events of `source`.
    pub fn new(source: &str) -> Self {
        let mut quoted = Vec::with_capacity(source.len() + 2);
        string(&mut quoted, source.as_bytes());
        let mut hash = Sha256::new();
        part(&mut hash, source.as_bytes());
        Self { source: quoted, hash, last: None, text: Vec::with_capacity(32) }
    }

    /// Adds the record of `sighting` and a newline to `out`; `position` is where `raw` begins in its source.
    pub fn write(
        &mut self,
        out: &mut Vec<u8>,
        sighting: &Sighting<'_>,
        seen: Option<Timestamp>,
        position: u64,
        raw: &[u8],
    ) {
        out.extend_from_slice(BEGIN);
        self.id(out, sighting.ts, position, raw);
        out.extend_from_slice(br#"","ts":""#);
        self.time(out, sighting.ts);
        if let Some(seen) = seen {
            out.extend_from_slice(br#"","seen":""#);
            let _ = write!(out, "{seen}");
        }
        out.extend_from_slice(br#"","source":"#);
        out.extend_from_slice(&self.source);
        out.extend_from_slice(br#","event_type":""#);
        out.extend_from_slice(sighting.kind.as_str().as_bytes());
        out.extend_from_slice(br#"","severity":""#);
        out.extend_from_slice(sighting.kind.severity().as_str().as_bytes());
        out.push(b'"');
        peers(out, sighting);
        if sighting.count > 1 {
            out.extend_from_slice(br#","count":"#);
            decimal(out, sighting.count);
        }
        attributes(out, sighting);
        out.extend_from_slice(br#","raw":"#);
        string(out, cut(raw));
        out.extend_from_slice(b"}\n");
    }

    fn time(&mut self, out: &mut Vec<u8>, ts: Timestamp) {
        if self.last != Some(ts) {
            self.text.clear();
            let _ = write!(self.text, "{ts}");
            self.last = Some(ts);
        }
        out.extend_from_slice(&self.text);
    }

    /// The same as `record::content_id(ts, &[source, position, raw])`.
    fn id(&self, out: &mut Vec<u8>, ts: Timestamp, position: u64, raw: &[u8]) {
        let mut hash = self.hash.clone();
        part(&mut hash, &position.to_be_bytes());
        part(&mut hash, raw);
        let digest = hash.finalize();
        let mut random = [0; 10];
        random.copy_from_slice(&digest[..10]);
        let millis = u64::try_from(ts.as_millisecond()).unwrap_or(0);
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        out.extend_from_slice(uuid.hyphenated().encode_lower(&mut [0; 36]).as_bytes());
    }
}

fn part(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_be_bytes());
    hash.update(part);
}

fn peers(out: &mut Vec<u8>, sighting: &Sighting<'_>) {
    if let Some(ip) = sighting.source_ip {
        out.extend_from_slice(br#","source_ip":""#);
        address(out, ip);
        out.push(b'"');
    }
    if let Some(ip) = sighting.destination_ip {
        out.extend_from_slice(br#","destination_ip":""#);
        address(out, ip);
        out.push(b'"');
    }
    if let Some(port) = sighting.source_port {
        out.extend_from_slice(br#","source_port":"#);
        decimal(out, port.into());
    }
    if let Some(port) = sighting.port {
        out.extend_from_slice(br#","port":"#);
        decimal(out, port.into());
    }
    if let Some(protocol) = sighting.protocol {
        out.extend_from_slice(br#","protocol":""#);
        match protocol {
            Protocol::TCP => out.extend_from_slice(b"tcp"),
            other => drop(write!(out, "{other}")),
        }
        out.push(b'"');
    }
    if let Some(user) = sighting.user {
        out.extend_from_slice(br#","user":"#);
        string(out, user);
    }
}

fn attributes(out: &mut Vec<u8>, sighting: &Sighting<'_>) {
    if sighting.attributes.is_empty() {
        return;
    }
    out.extend_from_slice(br#","attributes":{"#);
    for (at, (name, value)) in sighting.attributes.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        match value {
            Attribute::Word(word) => string(out, word.as_bytes()),
            Attribute::Text(text) => string(out, text),
            Attribute::Number(number) => decimal(out, number),
            Attribute::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
        }
    }
    out.push(b'}');
}

fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn address(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(v4) => {
            for (at, octet) in v4.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                decimal(out, octet.into());
            }
        }
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// Whether a byte stands in a JSON string as it is.
fn plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// Adds `text` as a JSON string, escaped as `serde_json` does.
fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    // one pass without a branch per byte: most lines are plain ASCII
    if text.iter().fold(true, |all, &byte| all & plain(byte) & byte.is_ascii()) {
        out.extend_from_slice(text);
    } else {
        escaped(out, &String::from_utf8_lossy(text));
    }
    out.push(b'"');
}

fn escaped(out: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            8 => out.extend_from_slice(b"\\b"),
            9 => out.extend_from_slice(b"\\t"),
            10 => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            13 => out.extend_from_slice(b"\\r"),
            0..0x20 => drop(write!(out, "\\u{byte:04x}")),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sighting::Kind;
    use super::*;
    use crate::record::{content_id, to_line};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_what_serde_writes(
            raw in proptest::collection::vec(any::<u8>(), 0..3000),
            user in proptest::collection::vec(any::<u8>(), 0..40),
            ip in any::<Option<IpAddr>>(),
            port in any::<Option<u16>>(),
            protocol in any::<Option<u8>>(),
            count in 1..50u64,
            nanos in 0..2_000_000_000_000_000_000i64,
            position in any::<u64>(),
        ) {
            let ts = Timestamp::from_nanosecond(nanos.into()).expect("in range");
            let mut sighting = Sighting::new(ts, Kind::AuthFailure);
            (sighting.source_ip, sighting.destination_ip) = (ip, ip);
            (sighting.port, sighting.source_port) = (port, port);
            (sighting.protocol, sighting.count) = (protocol.map(Protocol), count);
            sighting.user = Some(&user);
            sighting.attributes.set("text", Attribute::Text(&user));
            sighting.attributes.set("number", Attribute::Number(position));
            let source = "auth:/var/log/\"é\".log";
            let mut out = Vec::new();
            Writer::new(source).write(&mut out, &sighting, Some(ts), position, &raw);
            let id = content_id(ts, &[source.as_bytes(), &position.to_be_bytes(), &raw]);
            let expected = to_line(&sighting.to_event(id, Some(ts), source, &raw)) + "\n";
            prop_assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn raw_is_cut_between_characters() {
        let long = "é".repeat(RAW);
        assert_eq!(cut(long.as_bytes()).len(), RAW);
        let shifted = format!("a{long}");
        assert_eq!(cut(shifted.as_bytes()).len(), RAW - 1);
    }
}
