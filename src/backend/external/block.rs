//! Blocks for a time in a backend that is a program of its own: elements that it ends by itself, or rules that AFO puts before its policy and
//! takes out again.

use crate::backend::Capability;
use crate::backend::nftables::{Ban, Block, lower};
use crate::packet::{AddressSpec, PortRange};
use crate::record::BackendBlock;
use crate::rule::{Action, Direction, Id, OneOf, Rule};

/// The blocks that a rule with a time comes to; none where it is policy.
pub fn blocks(rule: &Rule) -> Vec<Block> {
    if rule.ttl_seconds.is_none() {
        return Vec::new();
    }
    lower(rule).map(|lowered| lowered.blocks).unwrap_or_default()
}

/// A block as the program is told of it.
pub fn element(block: &Block) -> BackendBlock {
    let none = BackendBlock { source: None, destination: None, protocol: None, port: None, seconds: block.seconds };
    match block.ban {
        Ban::Source(net) => BackendBlock { source: Some(net.into()), ..none },
        Ban::Destination(net) => BackendBlock { destination: Some(net.into()), ..none },
        Ban::Port(address, protocol, port) => BackendBlock {
            source: Some(AddressSpec::single(address)),
            protocol: Some(protocol),
            port: Some(port),
            ..none
        },
    }
}

/// A block as the program tells of it; nothing where it is none that AFO knows.
pub fn held(told: &BackendBlock) -> Option<Block> {
    let ban = match (&told.source, &told.destination, told.protocol, told.port) {
        (Some(AddressSpec::Net(net)), None, None, None) => Ban::Source(net.trunc()),
        (None, Some(AddressSpec::Net(net)), None, None) => Ban::Destination(net.trunc()),
        (Some(source), None, Some(protocol), Some(port)) => Ban::Port(source.as_single()?, protocol, port),
        _ => return None,
    };
    Some(Block { ban, seconds: told.seconds })
}

/// The rules that bar what a ban bars, in the directions that a backend has; none where it has none of them.
pub fn bars(ban: &Ban, capabilities: &[Capability]) -> Vec<Rule> {
    use Capability as C;
    let towards = matches!(ban, Ban::Destination(_));
    let own = if towards { (C::Output, Direction::Output) } else { (C::Input, Direction::Input) };
    let ways = [own, (C::Forward, Direction::Forward)];
    let ways = ways.into_iter().filter(|(need, _)| capabilities.contains(need));
    ways.map(|(_, direction)| bar(ban, direction)).collect()
}

fn bar(ban: &Ban, direction: Direction) -> Rule {
    let mut rule = Rule::new(id(ban, direction), Action::Drop, direction);
    match ban {
        Ban::Source(net) => rule.source_address = OneOf::of(vec![AddressSpec::from(*net)]),
        Ban::Destination(net) => rule.destination_address = OneOf::of(vec![AddressSpec::from(*net)]),
        Ban::Port(address, protocol, port) => {
            rule.source_address = OneOf::of(vec![AddressSpec::single(*address)]);
            rule.protocol = OneOf::of(vec![*protocol]);
            rule.destination_port = OneOf::of(vec![PortRange::single(*port)]);
        }
    }
    rule
}

/// The same for the same ban, and short enough for the longest address.
fn id(ban: &Ban, direction: Direction) -> Id {
    let way = match direction {
        Direction::Input => "in",
        Direction::Output => "out",
        Direction::Forward => "fwd",
    };
    let words = match ban {
        Ban::Source(net) => format!("{net}"),
        Ban::Destination(net) => format!("to-{net}"),
        Ban::Port(address, protocol, port) => format!("{address}-{protocol}-{port}"),
    };
    format!("afo-b-{way}-{}", words.replace('/', "-")).parse().expect("at most 63 of a-z 0-9 . : and -")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bans() -> Vec<Ban> {
        let long = "2001:db8:1111:2222:3333:4444:5555:6666";
        let port = Ban::Port(long.parse().expect("address"), "udplite".parse().expect("protocol"), 65535);
        let net = |text: &str| text.parse().expect(text);
        vec![
            Ban::Source(net("203.0.113.9/32")),
            Ban::Source(net(&format!("{long}/128"))),
            Ban::Destination(net("198.51.100.0/24")),
            port,
        ]
    }

    #[test]
    fn a_block_is_told_and_read_back() {
        for ban in bans() {
            for seconds in [None, Some(60)] {
                let block = Block { ban, seconds };
                assert_eq!(held(&element(&block)), Some(block));
            }
        }
        let both = BackendBlock {
            destination: element(&Block { ban: bans()[0], seconds: None }).source,
            ..element(&Block { ban: bans()[0], seconds: None })
        };
        assert_eq!(held(&both), None);
    }

    #[test]
    fn bars_are_named_apart_and_come_to_the_same_bans() {
        let mut ids = std::collections::BTreeSet::new();
        for ban in bans() {
            let bars = bars(&ban, Capability::ALL);
            assert_eq!(bars.len(), 2, "{ban:?}");
            for bar in bars {
                assert!(ids.insert(bar.id.clone()), "{}", bar.id);
                let timed = Rule { ttl_seconds: Some(60), ..bar };
                let come = blocks(&timed);
                let through = timed.direction == Direction::Forward && matches!(ban, Ban::Port(..));
                assert!(through || come == [Block { ban, seconds: Some(60) }], "{come:?}");
            }
        }
        assert!(super::bars(&bans()[0], &[Capability::Output]).is_empty());
    }
}
