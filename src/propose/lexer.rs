//! Text to tokens with byte spans.
//!
//! What cannot be part of a request is refused here: control and bidirectional characters, letters of other scripts that look
//! like Latin ones, quotes and the punctuation of shells and rule languages. A value that looks like an address, a port or a
//! rate and is none becomes [`Kind::Bad`] with the reason; it is never read as a word.

use super::refusal::{Code, Fault};
use crate::packet::{AddressSpec, MacAddress, PortRange, Protocol};
use crate::rule::Per;
use std::ops::Range;

/// Bytes of one sentence.
const LONGEST: usize = 2000;
/// Tokens of one sentence.
const MOST_TOKENS: usize = 160;

/// One piece of a sentence.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    /// Bytes of the sentence.
    pub span: Range<usize>,
    /// In lower case, typographic apostrophes and dashes made plain.
    pub text: String,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Word,
    Number(u64),
    Address(AddressSpec),
    Mac(MacAddress),
    /// `8000-8100` or `8000:8100`.
    Ports(PortRange),
    /// `53/udp`, `tcp/80-90`.
    ProtocolPorts(Protocol, PortRange),
    /// `20/second`.
    Rate(u32, Per),
    /// `45min`, in seconds.
    Duration(u64),
    Comma,
    /// The end of a sentence.
    Stop,
    Question,
    /// Looks like a value and is none; the reason.
    Bad(String),
}

/// The tokens of a sentence.
///
/// # Errors
/// When the text is empty, too long, or holds a character that has no place in a request.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    if text.trim().is_empty() {
        return Err(Fault::new(Code::Empty, 0..0, "nothing was asked for"));
    }
    if text.len() > LONGEST {
        return Err(Fault::new(Code::TooLong, 0..0, format!("the request is longer than {LONGEST} bytes")));
    }
    let mut out = Vec::new();
    for chunk in chunks(text)? {
        push_chunk(chunk, &mut out);
    }
    match out.len() > MOST_TOKENS {
        true => Err(Fault::new(Code::TooLong, 0..0, format!("the request has more than {MOST_TOKENS} words"))),
        false => Ok(out),
    }
}

struct Chunk {
    span: Range<usize>,
    text: String,
}

/// The text between blanks, each character looked at.
fn chunks(text: &str) -> Result<Vec<Chunk>, Fault> {
    let mut out: Vec<Chunk> = Vec::new();
    let mut open = false;
    for (at, raw) in text.char_indices() {
        let end = at + raw.len_utf8();
        let Some(c) = plain(raw) else {
            return Err(Fault::new(Code::Characters, at..end, format!("{} has no place in a request", shown(raw))));
        };
        if c == ' ' {
            open = false;
            continue;
        }
        match out.last_mut().filter(|_| open) {
            Some(chunk) => {
                chunk.text.push(c);
                chunk.span.end = end;
            }
            None => out.push(Chunk { span: at..end, text: c.to_string() }),
        }
        open = true;
    }
    Ok(out)
}

/// The character as the grammar knows it, or nothing where it has no place.
fn plain(c: char) -> Option<char> {
    match c {
        'a'..='z' | '0'..='9' => Some(c),
        'A'..='Z' => Some(c.to_ascii_lowercase()),
        ' ' | '\t' | '\u{a0}' => Some(' '),
        '.' | ',' | ':' | '/' | '-' | '_' | '\'' | '*' | '?' | '!' | '+' => Some(c),
        '\u{2019}' => Some('\''),
        '\u{2010}'..='\u{2013}' => Some('-'),
        '\u{c0}'..='\u{24f}' if c.is_alphabetic() => c.to_lowercase().next(),
        _ => None,
    }
}

fn shown(c: char) -> String {
    match c.is_ascii_graphic() {
        true => format!("`{c}`"),
        false => format!("the character U+{:04X}", u32::from(c)),
    }
}

/// Takes the punctuation off the end of a chunk and splits it at commas.
fn push_chunk(chunk: Chunk, out: &mut Vec<Token>) {
    let mut start = chunk.span.start;
    for (n, part) in chunk.text.split(',').enumerate() {
        if n > 0 {
            out.push(Token { span: start..start + 1, text: ",".into(), kind: Kind::Comma });
            start += 1;
        }
        push_part(part, start, chunk.span.end, out);
        start += part.len();
    }
}

fn push_part(part: &str, start: usize, limit: usize, out: &mut Vec<Token>) {
    let body = part.trim_end_matches(['.', '!', '?']);
    let tail = &part[body.len()..];
    // a folded character may be shorter than the one in the sentence: a span never leaves its chunk
    let (from, to) = (start.min(limit), (start + body.len()).min(limit));
    if !body.is_empty() {
        out.push(Token { span: from..to, text: body.to_owned(), kind: kind_of(body) });
    }
    if !tail.is_empty() {
        let kind = if tail.contains('?') { Kind::Question } else { Kind::Stop };
        out.push(Token { span: to..(to + tail.len()).min(limit), text: tail.to_owned(), kind });
    }
}

fn kind_of(text: &str) -> Kind {
    match () {
        () if digits(text) => text.parse().map_or_else(|_| Kind::Bad(format!("{text} is too large")), Kind::Number),
        () if like_address(text) => address(text),
        () if text.contains('/') => slashed(text),
        () => dashed(text).or_else(|| duration(text)).unwrap_or_else(|| word(text)),
    }
}

fn word(text: &str) -> Kind {
    let placed = |c: char| text.find(c).is_none_or(|at| at > 0 && at + 1 < text.len());
    let star = text.find('*').is_none_or(|at| at > 0 && at + 1 == text.len());
    match () {
        () if text == "-" => Kind::Word,
        () if !star || !placed('\'') || text.contains([':', '!', '?', '+']) => {
            Kind::Bad(format!("`{text}` is no word of a request"))
        }
        () => Kind::Word,
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a text can only have been meant as an address: numbers between dots, or hexadecimal digits with colons.
fn like_address(text: &str) -> bool {
    let head = text.split(['/', '-']).next().unwrap_or(text);
    let dotted = head.contains('.') && head.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let colons = head.bytes().filter(|b| *b == b':').count() >= 2;
    dotted || colons && head.bytes().all(|b| b.is_ascii_hexdigit() || b".:".contains(&b))
}

fn address(text: &str) -> Kind {
    if text.len() == 17 && text.matches(':').count() == 5 {
        return text.parse().map_or_else(|_| Kind::Bad(format!("`{text}` is no hardware address")), Kind::Mac);
    }
    let net = text.parse::<AddressSpec>();
    net.map_or_else(|error| Kind::Bad(error.to_string()), Kind::Address)
}

/// `53/udp`, `udp/53`, `20/second`; anything else with a slash stays a word.
fn slashed(text: &str) -> Kind {
    let Some((left, right)) = text.split_once('/') else { return Kind::Word };
    if let Some(kind) = protocol_ports(left, right).or_else(|| protocol_ports(right, left)) {
        return kind;
    }
    match (left.parse::<u32>(), per(right)) {
        (Ok(count), Some(per)) if digits(left) => Kind::Rate(count, per),
        _ => Kind::Word,
    }
}

fn protocol_ports(protocol: &str, ports: &str) -> Option<Kind> {
    let named: Protocol = protocol.parse().ok().filter(|_| !digits(protocol))?;
    if !named.has_ports() || !ports.bytes().next()?.is_ascii_digit() {
        return None;
    }
    let range = ports.replace(':', "-").parse();
    Some(range.map_or_else(|e: crate::packet::Malformed| Kind::Bad(e.to_string()), |p| Kind::ProtocolPorts(named, p)))
}

/// `8000-8100`, `8000:8100`.
fn dashed(text: &str) -> Option<Kind> {
    let (first, last) = text.split_once(['-', ':'])?;
    if !digits(first) || !digits(last) {
        return None;
    }
    let range = format!("{first}-{last}").parse();
    Some(range.map_or_else(|e: crate::packet::Malformed| Kind::Bad(e.to_string()), Kind::Ports))
}

fn duration(text: &str) -> Option<Kind> {
    let at = text.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
    let count: u64 = text[..at].parse().ok()?;
    seconds_of(&text[at..])?.checked_mul(count).map(Kind::Duration)
}

/// Seconds of a unit of time.
pub(super) fn seconds_of(unit: &str) -> Option<u64> {
    Some(match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 86_400,
        "w" | "wk" | "week" | "weeks" => 604_800,
        _ => return None,
    })
}

/// The unit of a rate.
pub(super) fn per(unit: &str) -> Option<Per> {
    Some(match seconds_of(unit)? {
        1 => Per::Second,
        60 => Per::Minute,
        3600 => Per::Hour,
        86_400 => Per::Day,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).expect(text).into_iter().map(|t| t.kind).collect()
    }

    fn address_kind(text: &str) -> Kind {
        Kind::Address(text.parse().expect(text))
    }

    #[test]
    fn values_are_typed() {
        let ports = |a, b| PortRange::new(a, b).expect("range");
        for (text, kind) in [
            ("10.0.0.0/8", address_kind("10.0.0.0/8")),
            ("10.0.0.1\u{2013}10.0.0.9", address_kind("10.0.0.1-10.0.0.9")),
            ("2001:DB8::/32", address_kind("2001:db8::/32")),
            ("8000-8100", Kind::Ports(ports(8000, 8100))),
            ("8000:8100", Kind::Ports(ports(8000, 8100))),
            ("53/udp", Kind::ProtocolPorts(Protocol::UDP, PortRange::single(53))),
            ("TCP/80-90", Kind::ProtocolPorts(Protocol::TCP, ports(80, 90))),
            ("20/second", Kind::Rate(20, Per::Second)),
            ("45min", Kind::Duration(2700)),
            ("22", Kind::Number(22)),
            ("eth1.20", Kind::Word),
            ("don\u{2019}t", Kind::Word),
            ("00:11:22:33:44:55", Kind::Mac("00:11:22:33:44:55".parse().expect("mac"))),
        ] {
            assert_eq!(kinds(text), [kind], "{text}");
        }
    }

    #[test]
    fn impossible_values_are_bad_and_say_why() {
        for (text, words) in [
            ("300.1.2.3", "`300.1.2.3` is not an address"),
            ("10.0.0.0/33", "prefix length `/33` of 10.0.0.0 is not between 0 and 32"),
            ("192.168.1", "`192.168.1` is not an address"),
            ("tcp/70000", "port 70000 is above 65535"),
            ("900-100", "port range 900-100 runs backwards"),
            ("2001:db8::/129", "prefix length `/129` of 2001:db8:: is not between 0 and 128"),
        ] {
            assert_eq!(kinds(text), [Kind::Bad(words.into())], "{text}");
        }
    }

    #[test]
    fn characters_without_a_place_are_refused() {
        for (text, words) in [
            ("block ssh; reboot", "`;` has no place in a request"),
            ("block \"x\"", "`\"` has no place in a request"),
            ("block ssh\nallow all", "the character U+000A has no place in a request"),
            ("block s\u{455}h", "the character U+0455 has no place in a request"),
            ("block \u{202e}ssh", "the character U+202E has no place in a request"),
        ] {
            let fault = tokens(text).expect_err(text);
            assert_eq!((fault.code, fault.message.as_str()), (Code::Characters, words));
        }
        assert_eq!(tokens("  ").expect_err("empty").code, Code::Empty);
        assert_eq!(tokens(&"a ".repeat(999)).expect_err("long").code, Code::TooLong);
    }

    #[test]
    fn punctuation_is_its_own_token() {
        assert_eq!(kinds("a,b c."), [Kind::Word, Kind::Comma, Kind::Word, Kind::Word, Kind::Stop]);
        assert_eq!(kinds("why?"), [Kind::Word, Kind::Question]);
    }

    proptest! {
        #[test]
        fn spans_lie_in_the_text_in_order(text in "\\PC{0,60}") {
            if let Ok(tokens) = tokens(&text) {
                let mut last = 0;
                for token in tokens {
                    prop_assert!(last <= token.span.start && token.span.start <= token.span.end);
                    prop_assert!(token.span.end <= text.len());
                    last = token.span.start;
                }
            }
        }
    }
}
