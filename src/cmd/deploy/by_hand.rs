//! How a person does what AFO does not do alone: the line to be pasted.

use crate::record::Proposal;
use crate::respond::TimedBlock;

/// More blocks than this are not written into one line.
const MOST: usize = 4;

/// The next step for who reads of a proposal that waits: the same blocks asked for in words, where they can be said so.
pub fn next_step(timed: Option<&[TimedBlock]>) -> String {
    let sentences: Option<Vec<String>> = timed.unwrap_or_default().iter().map(sentence).collect();
    match sentences {
        Some(all) if (1..=MOST).contains(&all.len()) => {
            let one = |sentence: &String| format!("afo-gen \"{sentence}\" | afo-deploy");
            format!("to do it: {}", all.iter().map(one).collect::<Vec<_>>().join("; "))
        }
        _ => "to do it, ask for it in words of your own: afo-gen \"…\" | afo-deploy --confirm".to_owned(),
    }
}

/// A block as a request in English; nothing where it is about more than one port.
fn sentence(block: &TimedBlock) -> Option<String> {
    let what = match (block.protocol, block.ports.as_slice()) {
        (None, []) => "all traffic".to_owned(),
        (Some(protocol), [port]) => format!("{protocol} port {port}"),
        _ => return None,
    };
    Some(format!("block {what} from {} for {}", block.address, duration(block.seconds)))
}

/// A time in the largest unit that it is whole in.
fn duration(seconds: u64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds.is_multiple_of(*size)).unwrap_or((1, "second"));
    crate::cmd::status::counted(usize::try_from(seconds / size).unwrap_or(usize::MAX), unit)
}

/// What a proposal is, for the beginning of a sentence: the first line of its explanation, without its period.
pub fn title(proposal: &Proposal) -> &str {
    match proposal.explanation.lines().next().unwrap_or_default().trim_end_matches('.') {
        "" => "a proposal",
        words => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::propose::{Answers, Outcome, Reader};
    use crate::record::{Context, parse};
    use crate::respond::timed_blocks;

    fn proposal(rule: &str, explanation: &str) -> Proposal {
        let line = format!(
            r#"{{"kind":"proposal","id":"p","ts":"2026-01-02T03:04:05Z","ok":true,"explanation":"{explanation}","rules":[{{"id":"r","action":"drop","direction":"input",{rule}}}]}}"#
        );
        parse(&line).expect(rule)
    }

    #[test]
    fn the_line_to_be_pasted_asks_for_the_same_block() {
        for (rule, sentence) in [
            (r#""source_address":["203.0.113.9"],"ttl_seconds":3600"#, "block all traffic from 203.0.113.9 for 1 hour"),
            (
                r#""source_address":["2001:db8::/64"],"ttl_seconds":90"#,
                "block all traffic from 2001:db8::/64 for 90 seconds",
            ),
            (
                r#""source_address":["203.0.113.9"],"protocol":["tcp"],"destination_port":["22"],"ttl_seconds":172800"#,
                "block tcp port 22 from 203.0.113.9 for 2 days",
            ),
        ] {
            let timed = timed_blocks(&proposal(rule, ""), &crate::packet::Widths::default()).expect(rule);
            assert_eq!(next_step(Some(&timed)), format!("to do it: afo-gen \"{sentence}\" | afo-deploy"));
            let understood = Reader::new(&Context { forwarding: Some(false), ..Context::default() });
            let Outcome::Understood(asked) = understood.read(sentence, &Answers::default()) else {
                panic!("{sentence} is not understood")
            };
            let again = Proposal { rules: asked.rules, ..proposal(rule, "") };
            assert_eq!(timed_blocks(&again, &crate::packet::Widths::default()), Ok(timed), "{sentence}");
        }
        assert_eq!(next_step(None), "to do it, ask for it in words of your own: afo-gen \"…\" | afo-deploy --confirm");
    }

    #[test]
    fn a_title_is_one_line_without_a_period() {
        let rule = r#""source_address":["203.0.113.9"]"#;
        assert_eq!(title(&proposal(rule, "Drop it for 1 hour.\\nAnd more.")), "Drop it for 1 hour");
        assert_eq!(title(&proposal(rule, "")), "a proposal");
    }
}
