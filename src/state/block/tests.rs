//! A block is made once, extended, ended once, and counts as what it was.

use super::*;
use crate::state::sample::{anna, at, id, with_deployment};
use crate::state::{Span, State};

fn spec(text: &str) -> AddressSpec {
    text.parse().expect("an address")
}

fn block(state: &mut State, now: i64, address: &str, until: Option<i64>) -> Blocked {
    let change = state.begin(at(now), &anna()).expect("begin");
    let done = change.block(&NewBlock::new(spec(address), until.map(at), "brute force")).expect("block");
    change.commit().expect("commit");
    done
}

#[test]
fn a_block_is_extended_and_never_doubled_or_shortened() {
    let mut state = State::memory().expect("memory");
    assert_eq!(block(&mut state, 0, "203.0.113.9", Some(60)), Blocked::New { offence: 1 });
    let longer = Blocked::Extended { from: at(60), until: Some(at(90)) };
    assert_eq!(block(&mut state, 1, "203.0.113.9", Some(90)), longer);
    assert_eq!(block(&mut state, 2, "203.0.113.9", Some(10)), Blocked::Unchanged { until: Some(at(90)) });
    assert_eq!(block(&mut state, 3, "203.0.113.9", None), Blocked::Extended { from: at(90), until: None });
    assert_eq!(block(&mut state, 4, "203.0.113.9", Some(999)), Blocked::Unchanged { until: None });
    let live = state.live_blocks(at(4)).expect("live");
    assert_eq!((live.len(), live[0].since, live[0].remaining(at(4))), (1, at(0), None));
}

#[test]
fn ports_in_any_order_are_the_same_block() {
    let mut state = State::memory().expect("memory");
    let change = state.begin(at(0), &anna()).expect("begin");
    let ports = |list: &[u16]| list.iter().copied().map(PortRange::single).collect::<Vec<_>>();
    let tcp = |list: &[u16]| NewBlock {
        protocol: Some(Protocol::TCP),
        ports: ports(list),
        ..NewBlock::new(spec("203.0.113.9"), Some(at(60)), "scan")
    };
    assert_eq!(change.block(&tcp(&[22, 80, 22])), Ok(Blocked::New { offence: 1 }));
    assert_eq!(change.block(&tcp(&[80, 22])), Ok(Blocked::Unchanged { until: Some(at(60)) }));
    assert_eq!(change.block(&tcp(&[443])), Ok(Blocked::New { offence: 1 }), "the other one still holds");
    let live = change.live_blocks(at(1)).expect("live");
    assert_eq!((live[0].ports.clone(), live[0].protocol), (ports(&[22, 80]), Some(Protocol::TCP)));
}

#[test]
fn what_is_over_expires_once_and_counts_as_an_offence() {
    let mut state = State::memory().expect("memory");
    block(&mut state, 0, "203.0.113.9", Some(60));
    block(&mut state, 0, "2001:db8::/64", None);
    assert_eq!(state.live_blocks(at(60)).expect("live").len(), 1, "over, though not swept yet");
    let change = state.begin(at(100), &anna()).expect("begin");
    assert_eq!(change.expire().expect("due").len(), 1);
    assert_eq!(change.expire(), Ok(vec![]));
    change.commit().expect("commit");
    assert_eq!(state.history(&spec("203.0.113.9")).expect("history")[0].ended, Some((at(60), End::Expired)));
    assert_eq!(block(&mut state, 200, "203.0.113.9", Some(260)), Blocked::New { offence: 2 });
    assert_eq!(block(&mut state, 300, "203.0.113.9", Some(360)), Blocked::New { offence: 3 }, "unswept");
    assert_eq!(state.offences_by(at(300), &spec("203.0.113.9"), Some(at(150))), Ok(1));
    assert_eq!(state.offences_by(at(360), &spec("203.0.113.9"), Some(at(150))), Ok(2));
    assert!(state.verify(None).expect("readable").is_ok());
}

#[test]
fn caps_count_what_was_blocked_on_evidence_alone() {
    let mut state = State::memory().expect("memory");
    block(&mut state, 0, "198.51.100.0/24", None);
    let change = state.begin(at(10), &anna()).expect("begin");
    for (address, until) in [("203.0.113.9", Some(at(20))), ("2001:db8::/64", None)] {
        let new = NewBlock::new(spec(address), until, "brute force");
        change.block(&NewBlock { assessment: Some(id("a1")), ..new }).expect("block");
    }
    change.commit().expect("commit");
    assert_eq!(state.block_times(at(0)).expect("times"), [at(10), at(10)]);
    assert_eq!(state.blocked_on_evidence(at(15)).expect("blocks").len(), 2);
    assert_eq!(state.blocked_on_evidence(at(20)), Ok(vec![spec("2001:db8::/64")]));
    let like = NewBlock::new(spec("203.0.113.9"), None, "");
    assert!(state.blocked_like(&like, at(19)).expect("readable").is_some());
    assert_eq!(state.blocked_like(&like, at(20)), Ok(None));
}

#[test]
fn mistakes_and_failures_are_no_offences() {
    let mut state = State::memory().expect("memory");
    for (now, end) in [(0, End::Mistake), (10, End::Failed), (20, End::Unblocked)] {
        assert_eq!(block(&mut state, now, "203.0.113.9", None), Blocked::New { offence: 1 });
        let change = state.begin(at(now + 1), &anna()).expect("begin");
        assert_eq!(change.unblock(&spec("203.0.113.9"), end, "asked").expect("unblock").len(), 1);
        assert_eq!(change.unblock(&spec("203.0.113.9"), end, "asked"), Ok(vec![]));
        change.commit().expect("commit");
    }
    assert_eq!(state.offences_by(at(99), &spec("203.0.113.9"), None), Ok(1));
    let last = state.audit_entries(&Span::default()).expect("trail").pop().expect("an entry");
    assert_eq!((last.action.as_str(), last.reason.as_str()), ("unblock", "asked"));
}

#[test]
fn what_the_kernel_refused_is_unmade() {
    let mut state = State::memory().expect("memory");
    let change = state.begin(at(0), &anna()).expect("begin");
    let until = |second| NewBlock::new(spec("203.0.113.9"), Some(at(second)), "scan");
    let first = change.block(&until(60)).expect("block");
    let longer = change.block(&until(90)).expect("extend");
    change.unmake(&until(90), longer, "the kernel refused it").expect("unmade");
    assert_eq!(change.live_blocks(at(1)).expect("live")[0].until, Some(at(60)));
    change.unmake(&until(60), Blocked::Unchanged { until: None }, "nothing was done").expect("unmade");
    change.unmake(&until(60), first, "the kernel refused it").expect("unmade");
    assert_eq!(change.live_blocks(at(1)), Ok(vec![]));
    assert_eq!(change.offences(&spec("203.0.113.9"), None), Ok(0));
    assert!(change.verify(None).expect("readable").is_ok());
}

#[test]
fn blocks_go_with_their_deployment() {
    let mut state = with_deployment();
    let change = state.begin(at(1), &anna()).expect("begin");
    let new = NewBlock {
        deployment: Some(id("d1")),
        run: Some(id("run-1")),
        ..NewBlock::new(spec("203.0.113.9"), None, "x")
    };
    change.block(&new).expect("block");
    assert_eq!(change.blocks_of(&id("d1")).expect("blocks").len(), 1);
    assert_eq!(change.blocks(&Span { since: Some(at(1)), run: Some(id("run-1")) }).expect("blocks").len(), 1);
    assert_eq!(change.unblock_all_of(&id("d1"), End::Failed, "nft refused").expect("ended").len(), 1);
    assert_eq!(change.live_blocks(at(2)), Ok(vec![]));
    let stray = NewBlock { deployment: Some(id("d9")), ..new };
    assert!(change.block(&stray).is_err(), "its deployment must be journalled first");
}

#[test]
fn a_direction_that_is_none_is_not_read_as_one() {
    let mut state = with_deployment();
    let change = state.begin(at(1), &anna()).expect("begin");
    change.block(&NewBlock::new(spec("203.0.113.9"), None, "x")).expect("block");
    change.commit().expect("commit");
    let sql = "PRAGMA ignore_check_constraints = ON; UPDATE blocks SET direction = 'by'";
    state.db.execute_batch(sql).expect(sql);
    let error = state.live_blocks(at(2)).expect_err("no direction").to_string();
    assert!(error.contains("is damaged: ") && error.contains("direction"), "{error}");
}
