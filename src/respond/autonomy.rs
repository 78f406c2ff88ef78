use super::{Admission, Judged, NotTimed};
use crate::packet::Malformed;
use crate::record::Risk;
use std::fmt;
use std::str::FromStr;

/// What is done against a threat without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Autonomy {
    /// Nothing; people are told.
    Alert,
    /// Nothing; what would be done is queued for a person.
    Propose,
    /// Timed blocks of risk blue, or of less.
    Auto,
}

impl Autonomy {
    /// Every level, from the least to the most.
    pub const ALL: [Self; 3] = [Self::Alert, Self::Propose, Self::Auto];

    /// The word on the command line and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Propose => "propose",
            Self::Auto => "auto",
        }
    }
}

impl fmt::Display for Autonomy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Autonomy {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let found = Self::ALL.into_iter().find(|level| level.as_str() == text);
        found.ok_or_else(|| Malformed::new(format!("`{}` is none of alert, propose, auto", text.escape_debug())))
    }
}

/// What is done with a proposal that no person brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is applied.
    Act,
    /// It waits for a person.
    Queue,
    /// People are told, and that is all.
    Alert,
}

/// A decision and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub decision: Decision,
    pub reason: String,
}

/// What is done with a proposal that no person brought: acted upon is only a timed block of risk green or blue, at the level `auto`, inside the caps.
///
/// `timed` is why it is no timed block, where it is none. A tripped breaker makes every level `alert`.
pub fn decide(level: Autonomy, judged: &Judged, timed: Result<(), &NotTimed>, admission: &Admission) -> Verdict {
    let verdict = |decision, reason: String| Verdict { decision, reason };
    if let Admission::Tripped { reason, .. } | Admission::Paused { reason, .. } = admission {
        return verdict(Decision::Alert, reason.clone());
    }
    match (level, judged.risk, timed) {
        (Autonomy::Alert, ..) => verdict(Decision::Alert, "the autonomy level is alert".into()),
        (_, Risk::Red, _) => verdict(Decision::Queue, format!("risk red: {}", judged.reasons.join("; "))),
        (Autonomy::Propose, ..) => verdict(Decision::Queue, "the autonomy level is propose".into()),
        (Autonomy::Auto, _, Err(why)) => verdict(Decision::Queue, format!("it is no timed block: {why}")),
        (Autonomy::Auto, _, Ok(())) => verdict(Decision::Act, judged.reasons.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(risk: Risk) -> Judged {
        Judged { risk, reasons: vec!["why".into()] }
    }

    #[test]
    fn only_a_timed_block_at_auto_is_acted_upon() {
        use {Autonomy as A, Decision as D};
        let open = Admission::Admitted;
        for (level, risk, timed, decision, reason) in [
            (A::Alert, Risk::Green, true, D::Alert, "the autonomy level is alert"),
            (A::Alert, Risk::Red, true, D::Alert, "the autonomy level is alert"),
            (A::Propose, Risk::Blue, true, D::Queue, "the autonomy level is propose"),
            (A::Propose, Risk::Red, true, D::Queue, "risk red: why"),
            (A::Auto, Risk::Blue, true, D::Act, "why"),
            (A::Auto, Risk::Green, true, D::Act, "why"),
            (A::Auto, Risk::Green, false, D::Queue, "it is no timed block: it holds no rules"),
            (A::Auto, Risk::Red, true, D::Queue, "risk red: why"),
        ] {
            let verdict = decide(level, &judged(risk), if timed { Ok(()) } else { Err(&NotTimed::Empty) }, &open);
            assert_eq!((verdict.decision, verdict.reason.as_str()), (decision, reason), "{level} {risk:?} {timed}");
        }
    }

    #[test]
    fn a_tripped_breaker_leaves_alerts_only() {
        let paused = Admission::Paused { until: jiff::Timestamp::MAX, reason: "too many".into() };
        for level in Autonomy::ALL {
            let verdict = decide(level, &judged(Risk::Green), Ok(()), &paused);
            assert_eq!(verdict, Verdict { decision: Decision::Alert, reason: "too many".into() });
        }
    }

    #[test]
    fn words() {
        for level in Autonomy::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        let words = "`yes` is none of alert, propose, auto";
        assert_eq!("yes".parse::<Autonomy>().expect_err("unknown").to_string(), words);
    }
}
