//! The loop over lines that every filter shares.

use super::{Chunk, Exit, Failure, Input, Out, Shell, Signal, Trouble, Work, run_in_hand};
use crate::record::{ErrorRecord, Unreadable, peek};
use std::io::Read;
use std::os::fd::AsFd;

/// What one command does with one record.
pub trait Stage {
    /// Whether records of `kind` are worked on; all others pass through byte for byte.
    fn takes(&self, kind: &str) -> bool;

    /// Works on one record of a kind that is taken.
    ///
    /// # Errors
    /// When the record is bad (the run goes on) or the run cannot go on.
    fn record(&mut self, kind: &str, line: &str, out: &mut Out) -> Result<(), Trouble>;

    /// Works on a line that is no JSON object.
    ///
    /// # Errors
    /// As for [`record`](Self::record); a stage that reads no text refuses.
    fn text(&mut self, line: &str, out: &mut Out) -> Result<(), Trouble> {
        let _ = (line, out);
        Err(Unreadable::NotAnObject.into())
    }

    /// Called when no more input is there at the moment, before the output is flushed.
    ///
    /// # Errors
    /// When the run cannot go on.
    fn idle(&mut self, out: &mut Out) -> Result<(), Failure> {
        let _ = out;
        Ok(())
    }

    /// Told of each line that was bad, whether the stage or the loop found it so.
    fn spoilt(&mut self, cause: &str) {
        let _ = cause;
    }

    /// Told that a signal ends the input before its end; [`finish`](Self::finish) follows.
    fn interrupted(&mut self) {}

    /// Whether the run ends when nobody reads its output any more.
    fn needs_reader(&self) -> bool {
        true
    }

    /// Reads configuration again: SIGHUP without a controlling terminal.
    ///
    /// # Errors
    /// When the run cannot go on.
    fn reload(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Called once at the end of the input.
    ///
    /// # Errors
    /// When what was gathered cannot be worked on.
    fn finish(&mut self, out: &mut Out) -> Result<(), Failure> {
        let _ = out;
        Ok(())
    }
}

/// Runs `stage` over the lines of `input` until it ends, a signal says so, or the output is closed.
///
/// # Errors
/// When the run cannot go on, input cannot be read or output cannot be written.
pub fn filter<R: Read + AsFd>(
    stage: &mut impl Stage,
    mut input: Input<R>,
    out: &mut Out,
    shell: &Shell,
) -> Result<Exit, Failure> {
    let mut number = 0;
    loop {
        // of the record in hand, until what is wrong with it was told
        let mut work = None;
        let chunk = input.next_chunk().map_err(|e| Failure::undecided(format!("cannot read standard input: {e}")))?;
        let outcome = match chunk {
            Chunk::Line(bytes) => {
                number += 1;
                line(stage, bytes, out, &mut work).map_err(|trouble| (trouble, bytes))
            }
            Chunk::TooLong(length, head) => {
                number += 1;
                let words =
                    format!("a line of {length} bytes is longer than {} and was passed over", super::LONGEST_LINE);
                Err((Trouble::bad(words), head))
            }
            Chunk::Idle => stage.idle(out).map(|()| out.flush()).map_err(|e| (Trouble::Stop(e), &[][..])),
            Chunk::Signal(Signal::HangUp) if !shell.has_controlling_terminal() => {
                stage.reload().map_err(|e| (Trouble::Stop(e), &[][..]))
            }
            Chunk::Signal(_) => {
                stage.interrupted();
                break;
            }
            Chunk::End => break,
        };
        if let Err((trouble, bytes)) = outcome {
            let cause = report(trouble, number, bytes, out, shell)?;
            stage.spoilt(&cause);
        }
        if out.trouble().is_some() && stage.needs_reader() {
            break;
        }
    }
    stage.finish(out)?;
    shell.close(out)
}

fn line(stage: &mut impl Stage, bytes: &[u8], out: &mut Out, work: &mut Option<Work>) -> Result<(), Trouble> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Trouble::bad(format!("byte {} of the line is not UTF-8", e.valid_up_to() + 1)))?;
    let trimmed = text.trim_end_matches(['\n', '\r']);
    if trimmed.trim().is_empty() {
        out.pass(bytes);
        return Ok(());
    }
    match peek(trimmed) {
        Ok(head) if stage.takes(&head.kind) => {
            *work = Some(Work::on(out.stage(), &head.kind, head.run.as_deref()));
            head.check_version()?;
            stage.record(&head.kind, trimmed, out)
        }
        Ok(_) => {
            out.pass(bytes);
            Ok(())
        }
        Err(Unreadable::NotAnObject) => stage.text(trimmed, out),
        Err(cause) => Err(cause.into()),
    }
}

/// Tells of a bad line on stderr and in the stream; the words of it.
fn report(trouble: Trouble, number: u64, bytes: &[u8], out: &mut Out, shell: &Shell) -> Result<String, Failure> {
    let (message, hint) = match trouble {
        Trouble::Stop(failure) => {
            out.flush();
            return Err(failure.of_run(run_in_hand()));
        }
        Trouble::Bad { message, hint } => (message, hint),
    };
    let cause = format!("-:{number}: {message}");
    shell.complain(&cause, hint.as_deref());
    out.error(&ErrorRecord {
        stage: out.stage().to_owned(),
        line: Some(number),
        message,
        hint,
        input: Some(shown(bytes)),
        run: run_in_hand().and_then(|run| run.parse().ok()),
    });
    out.ends(Exit::Undecided);
    Ok(cause)
}

/// A line as the text of a JSON string: bytes that are no UTF-8 as `\xNN`, at most 64 KiB.
fn shown(bytes: &[u8]) -> String {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut text = String::new();
    for chunk in bytes[..bytes.len().min(1 << 16)].utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|b| text.push_str(&format!("\\x{b:02x}")));
    }
    text
}
