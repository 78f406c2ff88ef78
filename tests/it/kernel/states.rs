//! The state that connection tracking finds in a first packet, against what the lab takes for granted.

use super::in_namespace;
use afo::backend::nftables::read;
use afo::rule::{ConnectionState, Packet};
use afo::sys::lab::{Lab, natural};

/// A rule for each state, none of which decides; the comment of each is in its text.
fn rules() -> String {
    let rule = |state: &ConnectionState| format!("ct state {state} comment \"{state}\"");
    let all: Vec<_> = ConnectionState::ALL.iter().map(rule).collect();
    format!("table inet t {{ chain f {{ type filter hook forward priority 0\n{}\n}}\n}}", all.join("\n"))
}

/// Every type of either family's ICMP, with code 0 and another one. What is for a neighbour or a group of receivers is tracked by
/// nobody, whatever the rest of ICMP is.
#[test]
fn every_type_of_icmp_has_the_state_that_the_lab_says() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        let ruleset = read(&lab.load(&rules()).expect("it loads")).expect("a listing");
        let way = ["10.0.0.1 > 192.0.2.2 icmp", "2001:db8::1 > 2001:db8::2 icmpv6"];
        let texts = way.iter().flat_map(|way| {
            (0..=255).flat_map(move |kind| [0, 1].map(|code| format!("forward eth0 eth1 {way} {kind}/{code}")))
        });
        let mut packets: Vec<Packet> =
            texts.map(|text| text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))).collect();
        packets.iter_mut().for_each(|packet| packet.state = natural(packet));
        let mut found = [0; 5];
        // The rules say it, not the trace: what that tells of a connection is of newer kernels.
        for (packet, seen) in packets.iter().zip(lab.send(&packets, true).expect("they are sent")) {
            let seen = seen.unwrap_or_else(|| panic!("{packet} is not sent"));
            let matched = seen.events.iter().filter_map(|event| event.handle);
            let line = |handle| ruleset.lines().find(|(_, line)| line.handle == Some(handle)).map(|(_, line)| line);
            let named: Vec<_> = matched.filter_map(line).filter_map(|line| line.comment.as_deref()).collect();
            assert_eq!(named, [packet.state.to_string()], "{packet}");
            found[packet.state as usize] += 1;
        }
        let of = |state: ConnectionState| found[state as usize];
        let all = [ConnectionState::New, ConnectionState::Untracked, ConnectionState::Invalid].map(of);
        assert_eq!(all, [2 * 6, 2 * 10, 2 * (512 - 16)]);
    });
}
