//! Lists of bad addresses: one address, network or range per row, alone or as the first column of CSV; comments behind `#`
//! or `;`; ipset's `add NAME ADDRESS`.
//!
//! Only the first column is read. A row that holds no address is counted and passed over; so is a network so wide that one
//! wrong row would cut off half the world.

use super::sighting::{Attribute, Kind, Sighting};
use crate::packet::AddressSpec;
use crate::record::Timestamp;
use ipnet::IpNet;

/// The widest networks that are believed.
const WIDEST: (u8, u8) = (8, 19);

/// Reads one list.
#[derive(Debug)]
pub struct Feed {
    /// A list has no times: that of its last change stands for every row.
    ts: Timestamp,
    /// A quoted column was opened and not closed: the next rows belong to it.
    quoted: bool,
    refused: u64,
}

impl Feed {
    /// A reader of a list that last changed at `ts`.
    pub fn new(ts: Timestamp) -> Self {
        Self { ts, quoted: false, refused: 0 }
    }

    /// How many rows held no address, or too wide a network.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether a quote is open: rows were taken for the inside of a column.
    pub fn is_quoted(&self) -> bool {
        self.quoted
    }

    /// What one row, without its end, says.
    pub fn read<'s>(&mut self, row: &'s [u8]) -> Option<Sighting<'s>> {
        let inside = self.quoted;
        let text = row.trim_ascii();
        if text.is_empty() || (!inside && matches!(text[0], b'#' | b';' | b'/')) {
            return None;
        }
        let csv = inside || text[0] == b'"' || text.contains(&b',');
        if csv && text.iter().filter(|b| **b == b'"').count() % 2 == 1 {
            self.quoted = !self.quoted;
        }
        if inside || text.starts_with(b"create ") {
            return None;
        }
        let column = first_column(text);
        let found = listed(column);
        self.refused += u64::from(found.is_none());
        Some(self.sighting(found?, column))
    }

    fn sighting<'s>(&self, listed: AddressSpec, column: &'s [u8]) -> Sighting<'s> {
        let mut sighting = Sighting::new(self.ts, Kind::KnownBadIp);
        sighting.source_ip = listed.as_single();
        if sighting.source_ip.is_none() {
            sighting.attributes.set("network", Attribute::Text(column));
        }
        sighting
    }
}

fn first_column(row: &[u8]) -> &[u8] {
    let row = match row.strip_prefix(b"add ") {
        Some(rest) => memchr::memchr(b' ', rest).map_or(&b""[..], |at| &rest[at + 1..]),
        None => row,
    };
    let quoted = row.strip_prefix(b"\"").and_then(|rest| Some(&rest[..memchr::memchr(b'"', rest)?]));
    let end = row.iter().position(|b| matches!(b, b',' | b';' | b'#' | b' ' | b'\t' | b'|')).unwrap_or(row.len());
    quoted.unwrap_or(&row[..end]).trim_ascii()
}

fn listed(column: &[u8]) -> Option<AddressSpec> {
    let spec: AddressSpec = std::str::from_utf8(column).ok()?.parse().ok()?;
    let narrow = match spec {
        AddressSpec::Net(IpNet::V4(net)) => net.prefix_len() >= WIDEST.0,
        AddressSpec::Net(IpNet::V6(net)) => net.prefix_len() >= WIDEST.1,
        // a range within one /16, or /32 of IPv6
        AddressSpec::Range(first, last) => match (first, last) {
            (std::net::IpAddr::V4(a), std::net::IpAddr::V4(b)) => a.octets()[..2] == b.octets()[..2],
            (std::net::IpAddr::V6(a), std::net::IpAddr::V6(b)) => a.segments()[..2] == b.segments()[..2],
            _ => false,
        },
    };
    narrow.then_some(spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feed() -> Feed {
        Feed::new("2026-01-02T03:04:05Z".parse().expect("time"))
    }

    fn read(feed: &mut Feed, row: &str) -> Option<String> {
        feed.read(row.as_bytes()).map(|s| match s.attributes.iter().next() {
            Some((_, Attribute::Text(network))) => String::from_utf8_lossy(network).into_owned(),
            _ => s.source_ip.map_or("-".into(), |ip| ip.to_string()),
        })
    }

    #[test]
    fn each_form() {
        for (row, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7 # seen today", "203.0.113.7"),
            ("203.0.113.0/24 ; SBL1234", "203.0.113.0/24"),
            ("203.0.113.7\t12", "203.0.113.7"),
            ("203.0.113.7,\"a, b\",2026", "203.0.113.7"),
            ("\"203.0.113.7\",\"x\"", "203.0.113.7"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("203.0.113.4-203.0.113.9", "203.0.113.4-203.0.113.9"),
            ("add drop 203.0.113.0/24 timeout 60", "203.0.113.0/24"),
        ] {
            assert_eq!(read(&mut feed(), row).as_deref(), Some(expected), "{row}");
        }
        for row in ["", "  ", "# x", "; x", "// x", "create drop hash:net"] {
            let mut feed = feed();
            assert_eq!((read(&mut feed, row), feed.refused()), (None, 0), "{row}");
        }
    }

    #[test]
    fn what_is_refused_is_counted() {
        let mut feed = feed();
        for row in
            ["first_seen,dst_ip", "300.1.2.3", "0.0.0.0/0", "192.0.0.0/7", "::/0", "203.0.113.9/24", "203.0.113.7:443"]
        {
            assert_eq!(read(&mut feed, row), None, "{row}");
        }
        assert_eq!(feed.refused(), 7);
    }

    #[test]
    fn a_quoted_column_may_hold_rows_that_are_none() {
        let mut feed = feed();
        assert_eq!(read(&mut feed, "203.0.113.7,\"evil"), Some("203.0.113.7".into()));
        assert_eq!(read(&mut feed, "198.51.100.9"), None);
        assert_eq!(read(&mut feed, "more\",x"), None);
        assert_eq!(read(&mut feed, "203.0.113.8"), Some("203.0.113.8".into()));
        assert!(!feed.is_quoted());
    }

    proptest! {
        #[test]
        fn only_the_first_column_is_read(rest in "[ -~]{0,60}") {
            let ip = read(&mut feed(), &format!("203.0.113.7,{rest}"));
            prop_assert_eq!(ip.as_deref(), Some("203.0.113.7"));
        }

        #[test]
        fn bytes_never_panic(rows in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..5)) {
            let mut feed = feed();
            for row in &rows {
                let _ = feed.read(row);
            }
        }
    }
}
