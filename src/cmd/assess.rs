//! afo-assess: events become assessments.

use super::config;
use crate::cli::{Command, Common, Exit, Failure, Out, Shell, Stage, Trouble, Work, for_terminal};
use crate::detect::assess::Assessor;
use crate::detect::detections::Detections;
use crate::record::{Assessment, Event, Id, parse};
use std::path::{Path, PathBuf};

/// Decide what events together mean
///
/// Reads `event` records and puts out an `assessment` when an attack crosses its threshold, and again when it becomes actionable, when
/// its level rises, when it has grown fourfold or when the response to it has ended: brute force, sweeps of login names, success after
/// failures, port scans, floods, listed addresses, and several sources that agree. Time is that of the events. What is
/// `auto_actionable` may be answered without a person; the thresholds are data (--print-detections).
///
/// Examples:
///   $ afo-watch --once --source auth:/var/log/auth.log | afo-assess
///   $ afo-assess --print-detections > detections.toml     what is looked for, to be changed
///   $ afo-watch --source auth:/var/log/auth.log | afo-assess --detections detections.toml
///
/// Exit status:
///   0  the end of the input
///   2  a bad record, detections that cannot be used, or output that cannot be written
///   141  the reader of the output went away
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "afo-assess", version, verbatim_doc_comment)]
pub struct Args {
    /// Read thresholds, windows and weights from FILE; what it leaves out keeps the shipped value
    #[arg(long, value_name = "FILE")]
    pub detections: Option<PathBuf>,
    /// Print the shipped thresholds, windows and weights, and end
    #[arg(long)]
    pub print_detections: bool,
    #[command(flatten)]
    pub common: Common,
}

impl Command for Args {
    const NAME: &'static str = "afo-assess";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        if self.print_detections {
            let mut out = shell.out();
            out.text(crate::detect::detections::SHIPPED);
            return shell.close(&mut out);
        }
        let file = match self.detections {
            Some(file) => Some(file),
            None => config(shell)?.assess.detections().map(Path::to_path_buf),
        };
        let detections = file.as_deref().map_or_else(|| Ok(Detections::shipped()), detections_from)?;
        let mut stage = Assess { assessor: Assessor::new(detections), shell };
        shell.filter(&mut stage)
    }
}

/// Reads a file of detections.
///
/// # Errors
/// When it cannot be read or says something that is not understood (exit 2).
pub fn detections_from(file: &Path) -> Result<Detections, Failure> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| Failure::undecided(format!("{name}: cannot be read: {e}")))?;
    Detections::changed_by(&text).map_err(|mistake| {
        let failure = Failure::undecided(format!("{name}:{mistake}"));
        failure.hint("afo-assess --print-detections shows every key with its meaning")
    })
}

/// The stage: events in, assessments out.
struct Assess<'s> {
    assessor: Assessor,
    shell: &'s Shell,
}

fn put_out(assessments: &[Assessment], out: &mut Out) {
    for assessment in assessments {
        let _work = Work::on(out.stage(), "assessment", assessment.run.as_ref().map(Id::as_str));
        tracing::info!(assessment = %assessment.id, "{}", for_terminal(&assessment.description));
        out.record(assessment);
    }
}

impl Stage for Assess<'_> {
    fn takes(&self, kind: &str) -> bool {
        kind == "event"
    }

    fn record(&mut self, _kind: &str, line: &str, out: &mut Out) -> Result<(), Trouble> {
        let event: Event = parse(line)?;
        put_out(&self.assessor.observe(&event), out);
        Ok(())
    }

    fn idle(&mut self, out: &mut Out) -> Result<(), Failure> {
        put_out(&self.assessor.idle(), out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Out) -> Result<(), Failure> {
        put_out(&self.assessor.idle(), out);
        let figures = self.assessor.figures();
        if figures.forgotten > 0 {
            let words = "addresses were forgotten because there were too many; stream.max_subjects allows more";
            self.shell.note(&format!("warning: {} {words}", figures.forgotten));
        }
        tracing::info!(
            stage = out.stage(),
            events = figures.events,
            repeated = figures.repeated,
            forgotten = figures.forgotten,
            "end"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_of_detections_is_named_with_its_line() {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(b"[brute_force]\n\nthreshold = 9\nttl = 3\n").expect("written");
        let failure = detections_from(file.path()).expect_err("no such key");
        let name = file.path().display();
        assert!(failure.message.starts_with(&format!("{name}:4: brute_force.ttl: there is no such key")), "{failure}");
        let absent = detections_from(Path::new("/nowhere/detections.toml")).expect_err("absent");
        assert!(absent.message.starts_with("/nowhere/detections.toml: cannot be read: "));
    }
}
