//! afo-sim: questions about a ruleset, answered without sending a packet.

mod trace;

use super::{config, ruleset};
use crate::analyze::Budget;
use crate::cli::{Command, Common, Exit, Failure, Shell};
use crate::rule::ruleset::Ruleset;
use std::path::PathBuf;

/// Ask what a ruleset does with packets, and how it differs from another
///
/// `trace` follows one packet through hooks, chains and rules and says why each rule matches or not. The packet is written
/// `input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn`: the way, the interface (two for a forwarded packet, `-` for
/// none), from, to, protocol, then flags, an ICMP type, the connection's state, `mark 0x1`, `fragment`. Without a
/// sub-command packets are read from standard input, one a line; of `finding` records the witness is traced.
///
/// Nothing is sent and nothing changed. What the packet does not decide alone (limits, sets that change) and what was not
/// understood is never passed as decided: the answer is then unknown, and says on what it depends.
///
/// Examples:
///   $ afo-sim trace "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn"
///   $ afo-sim trace --ruleset rules.nft -v < packets      every rule that is asked
///   $ afo-conflicts --audit | afo-sim                     what becomes of each finding's witness
///
/// Exit status:
///   0  answered
///   1  the answer is no, or unknown
///   2  usage, a packet or a ruleset FILE that cannot be read
///   3  the live ruleset cannot be read: no permission, no nft
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "afo-sim", version, verbatim_doc_comment)]
pub struct Args {
    #[command(subcommand)]
    pub what: Option<What>,
    /// Look at the kernel's rules, or at those of FILE
    #[arg(long, value_name = "live|FILE", default_value = "live", global = true)]
    pub ruleset: PathBuf,
    /// Give up a search after STEPS steps and say so
    #[arg(long, value_name = "STEPS", default_value_t = Budget::default().steps, global = true, hide_short_help = true)]
    pub budget: usize,
    #[command(flatten)]
    pub common: Common,
}

/// The questions.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum What {
    /// Follow packets through the chains, with the reason at each step (the default)
    Trace {
        /// A packet, as one argument or in words; without one they are read from standard input, one a line
        #[arg(value_name = "PACKET")]
        packet: Vec<String>,
    },
}

impl Command for Args {
    const NAME: &'static str = "afo-sim";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        // Nothing of it is used by every question; that it is wrong must be told all the same.
        config(shell)?;
        match &self.what {
            None => trace::run(&self, &[], shell),
            Some(What::Trace { packet }) => trace::run(&self, packet, shell),
        }
    }
}

impl Args {
    fn ruleset(&self) -> Result<Ruleset, Failure> {
        ruleset(&self.ruleset)
    }

    fn budget(&self) -> Budget {
        Budget { steps: self.budget }
    }
}
