//! Syslog framing: which program said what, and when. RFC 3164 as files hold it, RFC 5424, and ISO times.
//!
//! The program is what stands in the tag and nothing else: text that looks like a tag further to the right is message.

use super::bytes::{first_word, number};
use super::stamp::Clock;
use crate::record::Timestamp;

/// One line of a log, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub ts: Timestamp,
    /// Empty where none is written.
    pub host: &'a [u8],
    /// Empty where the line has no tag (`last message repeated 3 times`).
    pub program: &'a [u8],
    pub pid: Option<u32>,
    pub message: &'a [u8],
}

/// Takes a line apart.
pub fn frame<'a>(line: &'a [u8], clock: &mut Clock) -> Option<Frame<'a>> {
    let line = match line.first()? {
        b'<' => after_priority(line)?,
        _ => line,
    };
    match line {
        [b'1', b' ', rest @ ..] => rfc5424(rest, clock),
        _ => {
            let (ts, rest) = clock.read(line)?;
            tagged(ts, rest.strip_prefix(b" ")?)
        }
    }
}

fn after_priority(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().take(5).position(|b| *b == b'>')?;
    number(&line[1..end]).filter(|n| *n <= 191).map(|_| &line[end + 1..])
}

/// `host program[pid]: message`, without the host where the first word is a tag already.
fn tagged(ts: Timestamp, rest: &[u8]) -> Option<Frame<'_>> {
    let (word, after) = first_word(rest);
    if let Some((program, pid)) = tag(word) {
        return Some(Frame { ts, host: b"", program, pid, message: after });
    }
    let (host, (word, message)) = (word, first_word(after));
    match tag(word) {
        Some((program, pid)) => Some(Frame { ts, host, program, pid, message }),
        None => Some(Frame { ts, host, program: b"", pid: None, message: after }),
    }
}

/// `program[pid]:` or `program:`.
fn tag(word: &[u8]) -> Option<(&[u8], Option<u32>)> {
    let word = word.strip_suffix(b":")?;
    let Some(inner) = word.strip_suffix(b"]") else {
        return (!word.is_empty()).then_some((word, None));
    };
    let open = memchr::memrchr(b'[', inner)?;
    let pid = number(&inner[open + 1..]).and_then(|n| u32::try_from(n).ok())?;
    (open > 0).then_some((&inner[..open], Some(pid)))
}

/// `time host program pid message-id structured-data message` (RFC 5424, 6).
fn rfc5424<'a>(rest: &'a [u8], clock: &mut Clock) -> Option<Frame<'a>> {
    let (ts, rest) = clock.read(rest)?;
    let (host, rest) = first_word(rest.strip_prefix(b" ")?);
    let (program, rest) = first_word(rest);
    let (pid, rest) = first_word(rest);
    let (_message_id, rest) = first_word(rest);
    let rest = after_structured_data(rest)?;
    let message = rest.strip_prefix(b" ").unwrap_or(rest);
    let message = message.strip_prefix("\u{feff}".as_bytes()).unwrap_or(message);
    let pid = number(pid).and_then(|n| u32::try_from(n).ok());
    Some(Frame { ts, host, program, pid, message })
}

/// What follows `-` or `[id name="value"]…`; a value escapes `"`, `\` and `]` with `\` (RFC 5424, 6.3.3).
fn after_structured_data(text: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = text.strip_prefix(b"-") {
        return Some(rest);
    }
    let mut rest = text.strip_prefix(b"[")?;
    let (mut quoted, mut at) = (false, 0);
    loop {
        match *rest.get(at)? {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b']' if !quoted => match rest[at + 1..].strip_prefix(b"[") {
                Some(next) => {
                    rest = next;
                    at = 0;
                    continue;
                }
                None => return Some(&rest[at + 1..]),
            },
            _ => {}
        }
        at += 1;
    }
}

/// How often the line before was repeated, where `message` says that (`last message repeated 3 times`).
pub fn repeats(message: &[u8]) -> Option<u64> {
    number(message.trim_ascii_end().strip_prefix(b"last message repeated ")?.strip_suffix(b" times")?)
}

/// How often, and what: rsyslog's `message repeated 5 times: [ Failed password …]`.
pub fn repeated(message: &[u8]) -> Option<(u64, &[u8])> {
    let rest = message.strip_prefix(b"message repeated ")?;
    let (count, rest) = first_word(rest);
    let inner = rest.strip_prefix(b"times: [")?.strip_suffix(b"]")?;
    Some((number(count)?, inner.strip_prefix(b" ").unwrap_or(inner)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn clock() -> Clock {
        Clock::new(TimeZone::UTC, "2026-06-01T00:00:00Z".parse().expect("time"))
    }

    fn parts(line: &str) -> Option<(String, Option<u32>, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        frame(line.as_bytes(), &mut clock()).map(|f| (text(f.program), f.pid, text(f.message)))
    }

    #[test]
    fn each_framing() {
        let expected = Some(("sshd".to_owned(), Some(7), "Invalid user x".to_owned()));
        for line in [
            "Nov 20 10:15:32 gw sshd[7]: Invalid user x",
            "Nov 20 10:15:32 sshd[7]: Invalid user x",
            "<38>Nov 20 10:15:32 sshd[7]: Invalid user x",
            "2025-11-20T10:15:32.003+01:00 gw sshd[7]: Invalid user x",
            "<34>1 2025-11-20T10:15:32.003Z gw sshd 7 - - Invalid user x",
            r#"<34>1 2025-11-20T10:15:32Z gw sshd 7 ID [a@1 b="\"] x"][c d="]"] Invalid user x"#,
        ] {
            assert_eq!(parts(line), expected, "{line}");
        }
        assert_eq!(parts("Nov 20 10:15:32 gw sudo:   eve : x").map(|p| p.2), Some("  eve : x".into()));
    }

    #[test]
    fn the_tag_is_where_a_tag_stands() {
        let program = |line: &str| parts(line).map(|p| p.0);
        assert_eq!(program("Nov 20 10:15:32 gw app[1]: sshd[7]: Invalid user x").as_deref(), Some("app"));
        assert_eq!(program("Nov 20 10:15:32 gw app said sshd[7]: Invalid user x").as_deref(), Some(""));
        assert_eq!(program("Nov 20 10:15:32 gw sshd[x]: Invalid user x").as_deref(), Some(""));
        assert_eq!(program("sshd[7]: Invalid user x"), None);
        assert_eq!(program("<999>Nov 20 10:15:32 gw sshd[7]: x"), None);
    }

    #[test]
    fn repetitions() {
        assert_eq!(repeats(b"last message repeated 3 times"), Some(3));
        assert_eq!(repeats(b"last message repeated x times"), None);
        assert_eq!(repeated(b"message repeated 5 times: [ Failed x]"), Some((5, &b"Failed x"[..])));
        assert_eq!(repeated(b"message repeated 5 times: [ Failed x"), None);
    }

    proptest! {
        #[test]
        fn bytes_never_panic(line in proptest::collection::vec(any::<u8>(), 0..120), shaped in "(<[0-9]{1,3}>)?(1 )?(Nov 20 10:15:32|2025-11-20T10:15:32Z) [a-z\\[\\]:0-9 \"\\\\-]{0,60}") {
            let _ = frame(&line, &mut clock());
            let _ = frame(shaped.as_bytes(), &mut clock());
        }
    }
}
