use super::{Admission, NeverBlock, NotTimed, TimedBlock};
use crate::record::{Effect, Risk};

/// What a change does, as computed; nothing here comes from what its proposal says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The packets whose fate changes; `None` where that could not be computed.
    pub effect: Option<&'a Effect>,
    /// The established flows that the change cuts, in words; `None` where that is not known.
    pub cut: Option<&'a [String]>,
    /// The timed blocks that it consists of, or why it is something else.
    pub timed: Result<&'a [TimedBlock], &'a NotTimed>,
    /// Whether it answers an assessment.
    pub evidence: bool,
    pub never: &'a NeverBlock,
    /// Whether the rate cap admits it.
    pub admission: &'a Admission,
}

/// A risk class and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub risk: Risk,
    pub reasons: Vec<String>,
}

/// The risk class of a change.
///
/// Green: nothing more is let in, nothing established is cut and no rule that stands goes. Blue: a timed denial of addresses that may be blocked, on evidence, inside
/// the caps. Red: the rest, and whatever touches a protected address.
pub fn judge(facts: &Facts<'_>) -> Judged {
    let protected = protected(facts);
    if !protected.is_empty() {
        return Judged { risk: Risk::Red, reasons: protected };
    }
    let (against_green, against_blue) = (against_green(facts), against_blue(facts));
    match (against_green.is_empty(), against_blue.is_empty()) {
        (true, _) => {
            Judged { risk: Risk::Green, reasons: vec!["nothing more is let in and nothing established is cut".into()] }
        }
        (_, true) => Judged {
            risk: Risk::Blue,
            reasons: vec!["a timed denial of single addresses on evidence, inside the caps".into()],
        },
        _ => Judged { risk: Risk::Red, reasons: against_green.into_iter().chain(against_blue).collect() },
    }
}

fn protected(facts: &Facts<'_>) -> Vec<String> {
    let blocks = facts.timed.unwrap_or_default();
    blocks.iter().filter_map(|block| facts.never.forbids(&block.address)).map(|f| f.to_string()).collect()
}

fn against_green(facts: &Facts<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    if matches!(facts.timed, Err(NotTimed::Changes)) {
        reasons.push("it changes or removes rules that stand".into());
    }
    match facts.effect {
        None => reasons.push("what it changes could not be computed".into()),
        Some(effect) => {
            reasons.extend(effect.newly_accepted.iter().map(|class| format!("it newly accepts {}", class.text)));
            reasons.extend(effect.translated.iter().map(|class| format!("it translates {}", class.text)));
        }
    }
    let drops = facts.effect.is_none_or(|effect| !effect.newly_dropped.is_empty());
    match facts.cut {
        Some(cut) => reasons.extend(cut.iter().map(|flow| format!("it cuts {flow}"))),
        None if drops => reasons.push("it is not known which established flows it cuts".into()),
        None => {}
    }
    reasons
}

fn against_blue(facts: &Facts<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Err(why) = facts.timed {
        reasons.push(format!("it is no timed block: {why}"));
    }
    if !facts.evidence {
        reasons.push("it answers no assessment".into());
    }
    if facts.effect.is_some_and(|effect| !effect.newly_accepted.is_empty()) {
        reasons.push("a block lets nothing in".into());
    }
    match facts.admission {
        Admission::Admitted => {}
        Admission::Tripped { reason, .. } | Admission::Paused { reason, .. } => reasons.push(reason.clone()),
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PacketClass;

    fn class(text: &str) -> PacketClass {
        PacketClass { text: text.into(), example: None, before: None, after: None }
    }

    fn block(address: &str) -> TimedBlock {
        TimedBlock { address: address.parse().expect("address"), protocol: None, ports: vec![], seconds: 600 }
    }

    fn facts<'a>(
        effect: &'a Effect,
        never: &'a NeverBlock,
        timed: Result<&'a [TimedBlock], &'a NotTimed>,
    ) -> Facts<'a> {
        Facts { effect: Some(effect), cut: None, timed, evidence: true, never, admission: &Admission::Admitted }
    }

    #[test]
    fn a_timed_denial_on_evidence_is_blue() {
        let (effect, never) =
            (Effect { newly_dropped: vec![class("from 203.0.113.9")], ..Effect::default() }, NeverBlock::new());
        let blocks = [block("203.0.113.9")];
        assert_eq!(judge(&facts(&effect, &never, Ok(&blocks))).risk, Risk::Blue);
        let without = judge(&Facts { evidence: false, ..facts(&effect, &never, Ok(&blocks)) });
        assert_eq!(without.risk, Risk::Red);
        assert_eq!(without.reasons, ["it is not known which established flows it cuts", "it answers no assessment"]);
        let paused = Admission::Paused { until: jiff::Timestamp::MAX, reason: "too many".into() };
        let capped = judge(&Facts { admission: &paused, ..facts(&effect, &never, Ok(&blocks)) });
        assert_eq!((capped.risk, capped.reasons[1].as_str()), (Risk::Red, "too many"));
        let unknown = judge(&Facts { effect: None, ..facts(&effect, &never, Ok(&blocks)) });
        assert_eq!(unknown.risk, Risk::Blue, "what a block does is known without the ruleset");
    }

    #[test]
    fn what_touches_a_protected_address_is_red_whatever_else_it_is() {
        let (effect, never) = (Effect::default(), NeverBlock::new());
        let judged = judge(&facts(&effect, &never, Ok(&[block("127.0.0.1")])));
        assert_eq!(judged.risk, Risk::Red);
        assert_eq!(judged.reasons, ["127.0.0.1 is in 127.0.0.0/8, which is never blocked: loopback"]);
    }

    #[test]
    fn green_needs_proof() {
        let never = NeverBlock::new();
        let other = NotTimed::Empty;
        let removes = judge(&Facts { cut: Some(&[]), ..facts(&Effect::default(), &never, Err(&NotTimed::Changes)) });
        assert_eq!((removes.risk, removes.reasons[0].as_str()), (Risk::Red, "it changes or removes rules that stand"));
        let drops = Effect { newly_dropped: vec![class("tcp 23")], ..Effect::default() };
        let opens = Effect { newly_accepted: vec![class("tcp 80")], ..Effect::default() };
        let judged = |facts: Facts<'_>| judge(&facts);
        assert_eq!(judged(facts(&Effect::default(), &never, Err(&other))).risk, Risk::Green);
        assert_eq!(judged(facts(&drops, &never, Err(&other))).risk, Risk::Red);
        assert_eq!(judged(Facts { cut: Some(&[]), ..facts(&drops, &never, Err(&other)) }).risk, Risk::Green);
        let leads = Effect { translated: vec![class("tcp 8080")], ..Effect::default() };
        let led = judged(Facts { cut: Some(&[]), ..facts(&leads, &never, Err(&other)) });
        assert_eq!((led.risk, led.reasons[0].as_str()), (Risk::Red, "it translates tcp 8080"));
        let cut = ["the ssh session from 192.0.2.7".to_owned()];
        let cuts = judged(Facts { cut: Some(&cut), ..facts(&drops, &never, Err(&other)) });
        assert_eq!(cuts.reasons, ["it cuts the ssh session from 192.0.2.7", "it is no timed block: it holds no rules"]);
        assert_eq!(judged(facts(&opens, &never, Err(&other))).reasons[0], "it newly accepts tcp 80");
        assert_eq!(
            judged(Facts { effect: None, ..facts(&drops, &never, Err(&other)) }).reasons[0],
            "what it changes could not be computed"
        );
    }
}
