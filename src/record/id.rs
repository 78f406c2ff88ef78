//! Ids: UUIDs of version 7 (RFC 9562, 5.7), so that they sort by time.

use super::Id;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

fn millis(ts: Timestamp) -> u64 {
    u64::try_from(ts.as_millisecond()).unwrap_or(0)
}

/// An id made from a time and what it names: the same of both give the same id, so that a replay gives the same bytes and a
/// repeat is recognised. The parts are hashed with their lengths, so `["ab","c"]` and `["a","bc"]` differ.
pub fn content_id(ts: Timestamp, parts: &[&[u8]]) -> Id {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    time_id(ts, random)
}

/// An id made from a time and ten random bytes.
pub fn time_id(ts: Timestamp, random: [u8; 10]) -> Id {
    let uuid: Uuid = Builder::from_unix_timestamp_millis(millis(ts), &random).into_uuid();
    Id::from(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_content_same_id() {
        let ts: Timestamp = "2026-01-02T03:04:05Z".parse().expect("time");
        assert_eq!(content_id(ts, &[b"a", b"b"]), content_id(ts, &[b"a", b"b"]));
        assert_ne!(content_id(ts, &[b"ab", b"c"]), content_id(ts, &[b"a", b"bc"]));
        assert_eq!(content_id(ts, &[]).as_str().as_bytes()[14], b'7');
    }
}
