//! What the lab's own rules do to a packet before any other sees it, and the tables that do so.
//!
//! The high byte of a packet's label says which of a few things is done to it, so that packets of all kinds can go together.

use super::OWN;
use std::fmt::Write;

/// A byte tells them apart.
const MOST: usize = 256;

/// What is done to a packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Arms {
    pub mark: u32,
    /// It is taken out of connection tracking.
    pub untracked: bool,
}

/// What is done to the packets of one load of the lab's tables, by the high byte of their labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rack(Vec<Arms>);

impl Rack {
    /// Whether there is no room for others.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() == MOST
    }

    /// What the label of a packet begins with for which this is to be done; its low byte is 0.
    pub(super) fn place(&mut self, arms: Arms) -> u16 {
        let at = self.0.iter().position(|own| *own == arms).unwrap_or_else(|| {
            self.0.push(arms);
            self.0.len() - 1
        });
        u16::try_from(at).map_or(0, |at| at << 8)
    }

    /// The lab's own tables: every packet is traced, and none that comes to its end is answered.
    pub(super) fn text<'a>(&self, interfaces: impl Iterator<Item = &'a String>) -> String {
        let devices: Vec<_> = interfaces.map(|name| format!("\"{name}\"")).collect();
        let first = "priority -2147483648;";
        let (marks, out) = (self.marks(), self.untracked());
        let mut text = format!(
            "table inet {OWN} {{ }}
             delete table inet {OWN}
             table inet {OWN} {{
               chain enter {{ type filter hook prerouting {first}\n{out} }}
               chain leave {{ type filter hook output {first}\n{marks}{out}meta nftrace set 1; }}
               chain arrive {{ type filter hook input priority 2147483646; policy drop; }}
             }}\n"
        );
        if !devices.is_empty() {
            text += &format!(
                "table netdev {OWN} {{ }}
                 delete table netdev {OWN}
                 table netdev {OWN} {{
                   chain enter {{ type filter hook ingress devices = {{ {} }} {first}\n{marks}meta nftrace set 1; }}
                 }}\n",
                devices.join(", ")
            );
        }
        text
    }

    /// Rules that set marks: the label is the identification of IPv4 and the end of the flow label of IPv6.
    fn marks(&self) -> String {
        let marked = self.0.iter().enumerate().filter(|(_, arms)| arms.mark != 0);
        let pairs: Vec<_> = marked.map(|(at, arms)| format!("{at} : {:#x}", arms.mark)).collect();
        by_label(&pairs, |byte, pairs| format!("meta mark set {byte} map {pairs}"))
    }

    fn untracked(&self) -> String {
        let untracked = self.0.iter().enumerate().filter(|(_, arms)| arms.untracked);
        let places: Vec<_> = untracked.map(|(at, _)| at.to_string()).collect();
        by_label(&places, |byte, places| format!("{byte} {places} notrack"))
    }
}

/// A rule for each family about the high byte of labels, where there is anything to say of it.
fn by_label(elements: &[String], rule: impl Fn(&str, &str) -> String) -> String {
    let mut text = String::new();
    if !elements.is_empty() {
        let all = format!("{{ {} }}", elements.join(", "));
        for (family, byte) in [("ip", "@nh,32,8"), ("ip6", "@nh,16,8")] {
            writeln!(text, "meta protocol {family} {}", rule(byte, &all)).expect("a String takes what is written");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_place() {
        let mut rack = Rack::default();
        let arms = |mark| Arms { mark, untracked: mark == 9 };
        assert_eq!([0, 7, 0, 9, 7].map(|mark| rack.place(arms(mark))), [0, 0x100, 0, 0x200, 0x100]);
        let text = rack.text([String::from("eth0")].iter());
        assert!(text.contains("meta protocol ip meta mark set @nh,32,8 map { 1 : 0x7, 2 : 0x9 }"), "{text}");
        assert!(text.contains("meta protocol ip6 @nh,16,8 { 2 } notrack"), "{text}");
        assert!(!Rack::default().text([].iter()).contains("netdev"));
        (0..300).filter(|mark| *mark > 9).for_each(|mark| {
            if !rack.is_full() {
                rack.place(arms(mark));
            }
        });
        assert!(rack.is_full() && rack.place(arms(7)) == 0x100);
    }
}
