//! What `--source` takes, and the source that it becomes: a reader of its format and a writer of its events.

use crate::cli::Failure;
use crate::detect::auth::Auth;
use crate::detect::feed::Feed;
use crate::detect::json::Writer;
use crate::detect::kernel::Kernel;
use crate::detect::sighting::{Attribute, Sighting};
use crate::detect::stamp::Clock;
use crate::record::Timestamp;
use jiff::tz::TimeZone;
use std::path::PathBuf;

/// What the lines of a source are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Type {
    /// An authentication log: sshd, sudo, su, PAM
    Auth,
    /// The kernel's packet log: nftables, iptables, ufw
    Fw,
    /// A list of bad addresses
    Feed,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Fw => "fw",
            Self::Feed => "feed",
        }
    }
}

/// Types that the design names and this version does not read.
const LATER: &[&str] = &["journal", "nflog", "netflow", "sflow", "pcap", "eve", "web", "filter"];

/// A source as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub of: Type,
    /// Nothing: standard input.
    pub path: Option<PathBuf>,
    /// `source` of its events, as it was written.
    pub label: String,
}

impl Spec {
    /// Reads `auth:PATH`, `fw:PATH`, `feed:FILE` or `-`, whose type `--as` says.
    ///
    /// # Errors
    /// When it is none of these, a URL, or a type that this version does not read (exit 2).
    pub fn new(text: &str, stdin_as: Option<Type>) -> Result<Self, Failure> {
        if text == "-" {
            let of = stdin_as.ok_or_else(|| {
                Failure::undecided("`--source -` does not say what standard input is").hint("add --as auth, fw or feed")
            })?;
            return Ok(Self { of, path: None, label: format!("{}:-", of.name()) });
        }
        let (name, place) = text.split_once(':').ok_or_else(|| {
            Failure::undecided(format!("`{text}` is not a source; its type is missing"))
                .hint(format!("--source auth:{text}"))
        })?;
        let of = match name {
            "auth" => Type::Auth,
            "fw" => Type::Fw,
            "feed" => Type::Feed,
            later if LATER.contains(&later) => {
                let words = format!("sources of type `{later}` cannot be read yet; auth, fw and feed can");
                return Err(Failure::undecided(words));
            }
            _ => return Err(Failure::undecided(format!("`{name}` is not a type of source; auth, fw and feed are"))),
        };
        if place.contains("://") {
            let words = format!("`{place}` is a URL; feeds are read from files for now");
            return Err(Failure::undecided(words).hint("fetch it into a file and give --source feed:FILE"));
        }
        if place.is_empty() {
            return Err(Failure::undecided(format!("the source `{text}` names no file")));
        }
        Ok(Self { of, path: Some(PathBuf::from(place)), label: text.to_owned() })
    }
}

#[derive(Debug)]
enum Reader {
    Auth(Box<Auth>),
    Fw(Box<Kernel>),
    Feed(Feed),
}

impl Reader {
    fn read<'s>(&'s mut self, line: &'s [u8]) -> Option<Sighting<'s>> {
        match self {
            Self::Auth(log) => log.read(line),
            Self::Fw(log) => log.read(line),
            Self::Feed(list) => list.read(line),
        }
    }
}

/// An event that a line of a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'l> {
    /// Its turn among those of other sources: its time, but a list, which is worth something as a whole, is before everything.
    pub turn: Timestamp,
    pub ts: Timestamp,
    /// The record with the end of the line.
    pub line: &'l [u8],
}

/// A source that is read.
#[derive(Debug)]
pub struct Source {
    reader: Reader,
    writer: Writer,
    line: Vec<u8>,
    warned: bool,
}

impl Source {
    /// A source that `spec` asks for, its times in `zone`; a missing year is chosen by `reference`.
    pub fn new(spec: &Spec, zone: TimeZone, reference: Timestamp) -> Self {
        let clock = Clock::new(zone, reference);
        let reader = match spec.of {
            Type::Auth => Reader::Auth(Box::new(Auth::new(clock))),
            Type::Fw => Reader::Fw(Box::new(Kernel::new(clock))),
            Type::Feed => Reader::Feed(Feed::new(reference)),
        };
        Self { reader, writer: Writer::new(&spec.label), line: Vec::with_capacity(1024), warned: false }
    }

    /// Sets what missing years are chosen by, and when a list last changed.
    pub fn set_reference(&mut self, reference: Timestamp) {
        match &mut self.reader {
            Reader::Auth(log) => log.clock().set_reference(reference),
            Reader::Fw(log) => log.clock().set_reference(reference),
            Reader::Feed(list) => *list = Feed::new(reference),
        }
    }

    /// Whether the reference of the source is the present while it is followed.
    pub fn is_log(&self) -> bool {
        !matches!(self.reader, Reader::Feed(_))
    }

    /// The event that a line is, if it is one.
    pub fn line(&mut self, offset: u64, line: &[u8], seen: Option<Timestamp>) -> Option<Found<'_>> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_list = !self.is_log();
        let mut sighting = self.reader.read(line)?;
        sighting.attributes.set("offset", Attribute::Number(offset));
        self.line.clear();
        self.writer.write(&mut self.line, &sighting, seen, offset, line);
        let turn = if is_list { Timestamp::MIN } else { sighting.ts };
        Some(Found { turn, ts: sighting.ts, line: &self.line })
    }

    /// What a person must know of the source, once: that its framing lets newlines through.
    pub fn warning(&mut self) -> Option<&'static str> {
        let forgeable = matches!(&self.reader, Reader::Auth(log) if log.is_forgeable());
        let first = forgeable && !std::mem::replace(&mut self.warned, forgeable);
        first.then_some(
            "login names break its lines, so anybody can forge some; its events cannot lead to a block by themselves",
        )
    }

    /// What the rows of a list left unsaid, at its end.
    pub fn refused(&self) -> Option<String> {
        match &self.reader {
            Reader::Feed(list) if list.is_quoted() => {
                Some("a quote was opened and never closed; rows behind it were passed over".into())
            }
            Reader::Feed(list) if list.refused() > 0 => Some(format!(
                "rows without an address, or with too wide a network, were passed over: {}",
                list.refused()
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        let auth = Spec::new("auth:/var/log/auth.log", None).expect("source");
        assert_eq!((auth.of, auth.label.as_str()), (Type::Auth, "auth:/var/log/auth.log"));
        assert_eq!(Spec::new("-", Some(Type::Fw)).expect("stdin").label, "fw:-");
        for (text, words) in [
            ("-", "`--source -` does not say what standard input is"),
            ("/var/log/auth.log", "`/var/log/auth.log` is not a source; its type is missing"),
            ("auht:x", "`auht` is not a type of source; auth, fw and feed are"),
            ("journal:", "sources of type `journal` cannot be read yet; auth, fw and feed can"),
            ("feed:https://example.com/x", "`https://example.com/x` is a URL; feeds are read from files for now"),
            ("auth:", "the source `auth:` names no file"),
        ] {
            assert_eq!(Spec::new(text, None).expect_err(text).message, words);
        }
    }
}
