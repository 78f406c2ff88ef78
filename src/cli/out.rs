use super::{Exit, Format, Style, card, for_json};
use crate::record::{ErrorRecord, Record, to_line};
use std::io::{self, BufWriter, Write};

/// Where a command's records go: stdout, as JSON lines or as text for people.
///
/// What cannot be written is remembered, not returned: the loop looks at [`trouble`](Self::trouble) and ends the command, and a command that
/// must not end (afo-deploy inside its window) goes on.
pub struct Out {
    writer: BufWriter<Box<dyn Write>>,
    format: Format,
    terminal: bool,
    style: Style,
    stage: &'static str,
    worst: Exit,
    trouble: Option<io::Error>,
    mid_line: bool,
    /// Whether records are put out at all.
    records: bool,
}

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Out").field("format", &self.format).field("worst", &self.worst).finish_non_exhaustive()
    }
}

impl Out {
    /// Writes to `writer` for the command `stage`; `terminal` says that a person looks at it.
    pub fn new(writer: Box<dyn Write>, stage: &'static str, format: Format, terminal: bool, style: Style) -> Self {
        let writer = BufWriter::with_capacity(1 << 16, writer);
        Self {
            writer,
            format,
            terminal,
            style,
            stage,
            worst: Exit::Clean,
            trouble: None,
            mid_line: false,
            records: true,
        }
    }

    /// The command that writes.
    pub fn stage(&self) -> &'static str {
        self.stage
    }

    /// Whether text for people is wanted.
    pub fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// How words stand out here.
    pub fn style(&self) -> Style {
        self.style
    }

    /// From here on puts out text only: what a backend reads must hold nothing else.
    pub fn only_text(&mut self) {
        self.records = false;
    }

    /// Puts out a record.
    pub fn record<R: Record>(&mut self, record: &R) {
        self.line(&to_line(record));
    }

    /// Puts out a record that is written already, without its newline.
    pub fn line(&mut self, line: &str) {
        match self.format {
            _ if !self.records => {}
            Format::Text => self.text(&card::card(line, self.style)),
            Format::Json if self.terminal => self.bytes(&[for_json(line).as_bytes(), b"\n"]),
            Format::Json => self.bytes(&[line.as_bytes(), b"\n"]),
        }
    }

    /// Passes input on byte for byte; as text for people where that is wanted.
    pub fn pass(&mut self, bytes: &[u8]) {
        if !self.records {
            return;
        }
        if self.format == Format::Json && !self.terminal {
            return self.bytes(&[bytes]);
        }
        let line = String::from_utf8_lossy(bytes);
        let line = line.trim_end_matches(['\n', '\r']);
        if !line.is_empty() {
            self.line(line);
        }
    }

    /// Puts out text that is no record (a backend's own language, a table for people); it must be sanitised already.
    pub fn text(&mut self, text: &str) {
        let end: &[u8] = if text.is_empty() || text.ends_with('\n') { b"" } else { b"\n" };
        self.bytes(&[text.as_bytes(), end]);
    }

    /// Puts out an `error` record; people see errors on stderr.
    pub fn error(&mut self, error: &ErrorRecord) {
        if self.format == Format::Json {
            self.record(error);
        }
    }

    /// Remembers how the command must end at best.
    pub fn ends(&mut self, exit: Exit) {
        self.worst = self.worst.max(exit);
    }

    /// How the command ends so far.
    pub fn exit(&self) -> Exit {
        self.worst
    }

    /// Writes out what is held back.
    pub fn flush(&mut self) {
        if self.trouble.is_none() {
            self.trouble = self.writer.flush().err();
        }
    }

    /// Why nothing can be written any more.
    pub fn trouble(&self) -> Option<&io::Error> {
        self.trouble.as_ref()
    }

    fn bytes(&mut self, parts: &[&[u8]]) {
        if self.trouble.is_some() {
            return;
        }
        let separate: &[u8] = if self.mid_line { b"\n" } else { b"" };
        self.trouble = std::iter::once(&separate).chain(parts).try_for_each(|p| self.writer.write_all(p)).err();
        if let Some(last) = parts.iter().rev().find_map(|p| p.last()) {
            self.mid_line = *last != b'\n';
        }
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        if self.trouble.is_some() {
            // What is still held would be tried once more when the writer is dropped.
            let (_, _) = std::mem::replace(&mut self.writer, BufWriter::new(Box::new(io::sink()))).into_parts();
        }
    }
}
