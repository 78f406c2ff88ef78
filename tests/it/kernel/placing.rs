//! Where the analysis thinks that proposed rules would stand, against the listing of a kernel in which AFO has put them there.

use super::{Host, in_namespace};
use crate::import::Draw;
use crate::placing::{merged, rules, same_fates};
use afo::analyze::with_rules;
use afo::backend::nftables::{Live, Policy, install, read};
use afo::rule::Rule;
use afo::rule::ruleset::Ruleset;

fn installed(host: &Host, rules: &[Rule]) -> Ruleset {
    let live = Live::read(&host.sh("nft -j -t list ruleset")).expect("a listing");
    let policy = Policy::of(rules).expect("each can be had");
    host.nft(&install(&policy, &live).to_string());
    if !policy.blocks().is_empty() {
        let live = Live::read(&host.sh("nft -j -t list ruleset")).expect("a listing");
        host.nft(&afo::backend::nftables::block(&policy.blocks(), &live).to_string());
    }
    read(&host.sh("nft -j list ruleset")).expect("a listing")
}

#[test]
fn proposed_rules_stand_in_the_kernel_where_they_are_thought_to() {
    in_namespace(|host| {
        let (mut draw, mut denied) = (Draw(2027), 0);
        for _ in 0..25 {
            host.nft("flush ruleset");
            host.nft(
                "table inet f { chain i { type filter hook input priority 0; policy drop; iif lo accept
                   ct state established,related accept; tcp dport { 22, 80-443 } accept; udp dport 53 accept; }; }",
            );
            let (before, more) = (rules(&mut draw, "a", 3), rules(&mut draw, "b", 2));
            let thought = with_rules(&installed(host, &before), &more);
            let all = merged(&before, &more);
            denied += same_fates(&mut draw, &thought, &installed(host, &all), &all);
        }
        assert!(denied > 1_000, "{denied} packets were denied");
    });
}
