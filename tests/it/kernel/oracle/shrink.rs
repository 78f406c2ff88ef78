//! Makes a disagreement small: the fewest rules and words, and the plainest packet, with which it is still there.

use super::algebra::judge_all;
use super::text::Text;
use super::{As, load};
use afo::rule::ruleset::Ruleset;
use afo::rule::{Direction, Packet};
use afo::sys::lab::{Lab, Seen, natural};

/// At most so many smaller texts and plainer packets are tried.
const TRIES: usize = 900;

/// Whether a packet is not agreed about under a ruleset that is loaded, and what is said then.
fn said(lab: &mut Lab, form: As, ruleset: &Ruleset, packet: &Packet) -> Option<String> {
    let again = form.send(lab, std::slice::from_ref(packet), ruleset.tracks()).ok()?.pop()??;
    judge_all(ruleset, &again).err()
}

/// The disagreement in words, as small as it could be made.
pub fn told(lab: &mut Lab, form: As, text: &Text, seen: &Seen, words: &str) -> String {
    let (mut text, mut packet, mut words, mut tries) = (text.clone(), seen.sent.clone(), words.to_owned(), 0);
    'text: loop {
        for smaller in text.smaller() {
            tries += 1;
            if tries > TRIES {
                break 'text;
            }
            let said = load(lab, &smaller).and_then(|ruleset| said(lab, form, &ruleset, &packet));
            if let Some(said) = said {
                (text, words) = (smaller, said);
                continue 'text;
            }
        }
        break;
    }
    if let Some(ruleset) = load(lab, &text) {
        'packet: loop {
            for plainer in plainer(&packet) {
                if let Some(said) = said(lab, form, &ruleset, &plainer) {
                    (packet, words) = (plainer, said);
                    continue 'packet;
                }
            }
            break;
        }
    }
    let as_what = if form == As::FirstFragment { " as a first fragment" } else { "" };
    format!("{text}{packet}{as_what}\n{words}\n")
}

/// The same packet with one thing of it as it mostly is.
fn plainer(packet: &Packet) -> Vec<Packet> {
    let Some(plain) = usual(packet) else { return Vec::new() };
    let one = |change: &dyn Fn(&mut Packet)| {
        let mut other = packet.clone();
        change(&mut other);
        other
    };
    let all = [
        one(&|p| p.state = natural(p)),
        one(&|p| p.mark = 0),
        one(&|p| p.connection_mark = 0),
        one(&|p| p.fragment = false),
        one(&|p| p.tcp_flags = 2),
        one(&|p| p.source = plain.source),
        one(&|p| p.destination = plain.destination),
        one(&|p| p.source_port = plain.source_port),
        one(&|p| p.destination_port = plain.destination_port),
        one(&|p| p.interface_in.clone_from(&plain.interface_in)),
        one(&|p| p.interface_out.clone_from(&plain.interface_out)),
    ];
    // As text has it: a packet without ports is no plainer with others.
    all.into_iter().filter(|other| other.said() != packet.said()).collect()
}

fn usual(packet: &Packet) -> Option<Packet> {
    let [from, to] =
        if packet.source.is_ipv4() { ["203.0.113.9", "198.51.100.10"] } else { ["2001:db8:f::9", "2001:db8::10"] };
    let ends =
        if packet.source.is_ipv4() { format!("{from}:40000 > {to}:22") } else { format!("[{from}]:40000 > [{to}]:22") };
    let way = match packet.direction {
        Direction::Forward => "forward eth0 eth1",
        Direction::Input => "input eth0",
        Direction::Output => "output eth0",
    };
    format!("{way} {ends} tcp syn").parse().ok()
}
