//! `afo-sim trace`: what becomes of packets, and why.

use super::Args;
use crate::analyze::{Detail, trace};
use crate::cli::{Exit, Failure, Out, Shell, Stage, Trouble};
use crate::record::{Answer, Finding, parse};
use crate::rule::Packet;
use crate::rule::ruleset::Ruleset;

/// Traces the packet of the arguments, or those of standard input.
pub(super) fn run(args: &Args, words: &[String], shell: &Shell) -> Result<Exit, Failure> {
    let detail = if shell.common.verbose > 0 { Detail::All } else { Detail::Short };
    let mut tracing = Tracing { args, detail, ruleset: None };
    if words.is_empty() {
        return shell.filter(&mut tracing);
    }
    let packet = words.join(" ").parse().map_err(|e: crate::packet::Malformed| Failure::undecided(e.to_string()))?;
    let mut out = shell.out();
    tracing.packet(&packet, &mut out)?;
    shell.close(&mut out)
}

struct Tracing<'a> {
    args: &'a Args,
    detail: Detail,
    /// Read when the first packet comes, not before.
    ruleset: Option<Ruleset>,
}

impl Tracing<'_> {
    fn packet(&mut self, packet: &Packet, out: &mut Out) -> Result<(), Failure> {
        let ruleset = match &self.ruleset {
            Some(ruleset) => ruleset,
            None => self.ruleset.insert(self.args.ruleset()?),
        };
        let answer = trace(ruleset, packet, self.detail, self.args.budget()).unwrap_or_else(|lost| Answer {
            text: format!("unknown: {lost}"),
            packet: Some(packet.to_string()),
            verdict: Some("unknown".to_owned()),
            ..Answer::default()
        });
        if answer.verdict.as_deref() == Some("unknown") {
            out.ends(Exit::No);
        }
        out.record(&answer);
        Ok(())
    }

    fn text_of(&mut self, text: &str, out: &mut Out) -> Result<(), Trouble> {
        let packet = text.parse().map_err(|e: crate::packet::Malformed| Trouble::bad(e.to_string()))?;
        Ok(self.packet(&packet, out)?)
    }
}

impl Stage for Tracing<'_> {
    fn takes(&self, kind: &str) -> bool {
        kind == "finding"
    }

    fn record(&mut self, _: &str, line: &str, out: &mut Out) -> Result<(), Trouble> {
        let finding: Finding = parse(line)?;
        match &finding.witness {
            Some(witness) => self.text_of(&witness.packet, out),
            None => {
                out.line(line);
                Ok(())
            }
        }
    }

    fn text(&mut self, line: &str, out: &mut Out) -> Result<(), Trouble> {
        self.text_of(line, out)
    }

    /// The live ruleset may be another one when the next packet comes.
    fn idle(&mut self, _: &mut Out) -> Result<(), Failure> {
        self.ruleset = None;
        Ok(())
    }

    fn reload(&mut self) -> Result<(), Failure> {
        self.ruleset = None;
        Ok(())
    }
}
