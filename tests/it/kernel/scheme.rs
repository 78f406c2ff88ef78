//! The harness against the kernel itself, and the facts of nftables that AFO's scheme stands on.

use super::{eventually, in_namespace};

const OWN: [u8; 4] = [192, 0, 2, 1];
const THEIRS: [u8; 4] = [192, 0, 2, 2];

#[test]
fn a_drop_is_seen_by_a_peer_and_an_accept_before_it_saves_nothing() {
    in_namespace(|host| {
        let peer = host.peer("veth0", OWN.into(), THEIRS.into(), 24);
        let door = (OWN, 22).into();
        host.listen(door);
        assert!(peer.connects(door), "before any rule");
        assert!(peer.sh("ip -br addr show dev eth0").contains("192.0.2.2/24"), "a machine of its own");
        host.nft(
            "table inet a { chain c { type filter hook input priority -10; tcp dport 22 accept; }; }
             table inet b { chain c { type filter hook input priority 0; tcp dport 22 drop; }; }",
        );
        assert!(!peer.connects(door), "an accept at an earlier priority is not final");
        host.nft("delete table inet b");
        assert!(peer.connects(door), "after the drop is gone");
    });
}

#[test]
fn a_switch_in_the_kernel_reverts_with_no_process_alive() {
    in_namespace(|host| {
        let peer = host.peer("veth0", OWN.into(), THEIRS.into(), 24);
        let door = (OWN, 22).into();
        host.listen(door);
        host.nft(
            "add table inet t
             add set inet t armed { typeof meta nfproto; flags timeout; }
             add chain inet t g2
             add rule inet t g2 tcp dport 22 drop
             add chain inet t input { type filter hook input priority -10; }
             add rule inet t input meta nfproto @armed goto g2
             add element inet t armed { ipv4 timeout 10s, ipv6 timeout 10s }",
        );
        assert!(!peer.connects(door), "inside the window");
        eventually("the window ends", || peer.connects(door));
    });
}

#[test]
fn a_late_error_changes_nothing() {
    in_namespace(|host| {
        host.nft("table inet t { chain c { }; }");
        let before = host.ruleset();
        let out = host.try_nft("add rule inet t c tcp dport 22 drop\nadd rule inet t missing accept");
        assert!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains("missing"));
        assert_eq!(host.ruleset(), before);
    });
}

#[test]
fn what_goes_wrong_inside_is_seen_outside() {
    let outcome = std::panic::catch_unwind(|| in_namespace(|_| panic!("on purpose")));
    let inside = std::env::var_os(super::INSIDE).is_some();
    let left_out = std::env::var("AFO_KERNEL").is_ok_and(|v| v == "0");
    assert!(inside || left_out || outcome.is_err(), "a failure inside a namespace passed");
    if inside {
        outcome.expect("the failure that the test outside waits for");
    }
}
