//! One rule of a dump as what it says: its own conditions, its matches with their options, its target.
//!
//! Nothing is understood here; every word finds its place or the line is refused.

use super::grammar::{Kind, arity, is_known};
use super::names::protocol;
use super::words::{Word, joined};
use std::borrow::Cow;

/// An option with the words that follow it. The name is without hyphens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opt<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) inverted: bool,
    pub(super) values: Vec<Word<'a>>,
}

impl Opt<'_> {
    /// The first word after it; empty where there is none.
    pub(super) fn value(&self) -> &str {
        self.values.first().map_or("", |word| &word.text)
    }

    /// As it is written today: `! --dport 22`.
    pub(super) fn text(&self) -> String {
        let not = if self.inverted { "! " } else { "" };
        let hyphens = if self.name.chars().count() == 1 { "-" } else { "--" };
        let values = joined(&self.values);
        let blank = if values.is_empty() { "" } else { " " };
        format!("{not}{hyphens}{}{blank}{values}", self.name)
    }
}

/// A match or a target with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extension<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) options: Vec<Opt<'a>>,
}

impl<'a> Extension<'a> {
    /// The option of a name.
    pub(super) fn option(&self, name: &str) -> Option<&Opt<'a>> {
        self.options.iter().find(|option| option.name == name)
    }

    /// As it is written: `-m tcp --dport 22`.
    pub(super) fn text(&self, flag: &str) -> String {
        let mut text = format!("{flag} {}", self.name);
        for option in &self.options {
            text.push(' ');
            text.push_str(&option.text());
        }
        text
    }
}

/// Where a rule sends its packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// `-g` rather than `-j`.
    pub(super) goto: bool,
    pub(super) to: Extension<'a>,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rule<'a> {
    /// Of iptables itself, by their short names: s, d, i, o, p, f.
    pub(super) own: Vec<Opt<'a>>,
    pub(super) matches: Vec<Extension<'a>>,
    pub(super) target: Option<Target<'a>>,
}

/// Options of iptables itself: the short name, the long ones, the number of words.
const OWN: &[(&str, &[&str], usize)] = &[
    ("s", &["source", "src"], 1),
    ("d", &["destination", "dst"], 1),
    ("i", &["in-interface"], 1),
    ("o", &["out-interface"], 1),
    ("p", &["protocol", "proto"], 1),
    ("f", &["fragment"], 0),
    ("m", &["match"], 1),
    ("j", &["jump"], 1),
    ("g", &["goto"], 1),
    ("c", &["set-counters"], 2),
];

/// Matches whose options need no `-m`, by the protocol of `-p`.
const IMPLIED: &[(u8, &str)] =
    &[(6, "tcp"), (17, "udp"), (1, "icmp"), (58, "icmp6"), (132, "sctp"), (33, "dccp"), (136, "udplite")];

/// Takes the words of a rule after `-A CHAIN` to their places.
///
/// # Errors
/// The word that has no place.
pub(super) fn rule<'a>(words: &[Word<'a>]) -> Result<Rule<'a>, String> {
    let mut reading = Reading { words, at: 0, rule: Rule::default(), target_is_open: false };
    while reading.at < words.len() {
        reading.option()?;
    }
    Ok(reading.rule)
}

struct Reading<'w, 'a> {
    words: &'w [Word<'a>],
    at: usize,
    rule: Rule<'a>,
    /// Whether the last extension that was named is the target.
    target_is_open: bool,
}

impl<'a> Reading<'_, 'a> {
    fn next(&mut self) -> Option<Word<'a>> {
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        word
    }

    fn option(&mut self) -> Result<(), String> {
        let inverted = self.words.get(self.at).is_some_and(Word::is_not);
        self.at += usize::from(inverted);
        let word = self.next().ok_or("nothing stands after `!`")?;
        if !word.is_option() {
            return Err(format!("`{}` stands where an option is expected", word.text));
        }
        let (long, text) = match word.text.strip_prefix("--") {
            Some(long) => (true, long.to_owned()),
            None => (false, word.text[1..].to_owned()),
        };
        let (name, attached) = taken_apart(long, &text);
        match own(long, name) {
            Some((short, count)) => self.own(short, count, inverted, attached),
            None if !long => Err(format!("`{}` is no option of a rule", word.text)),
            None => self.of_extension(name, inverted, attached),
        }
    }

    fn own(&mut self, short: &'static str, count: usize, inverted: bool, attached: Option<&str>) -> Result<(), String> {
        let option = self.values(short, Some(count), inverted, attached)?;
        let refused = option.inverted && matches!(short, "m" | "j" | "g" | "c");
        if refused {
            return Err(format!("`-{short}` cannot be turned round by `!`"));
        }
        match short {
            "m" => {
                let name = option.values.into_iter().next().map(|word| word.text).unwrap_or_default();
                self.rule.matches.push(Extension { name, options: Vec::new() });
                self.target_is_open = false;
            }
            "j" | "g" => {
                if self.rule.target.is_some() {
                    return Err(format!("`-{short} {}` is a second target", option.value()));
                }
                let name = option.values.into_iter().next().map(|word| word.text).unwrap_or_default();
                let to = Extension { name, options: Vec::new() };
                self.rule.target = Some(Target { goto: short == "g", to });
                self.target_is_open = true;
            }
            "c" => {}
            _ => self.rule.own.push(option),
        }
        Ok(())
    }

    /// An option of a match or of the target: of the last one named that has it, of the one that `-p` implies, or of the last one.
    fn of_extension(&mut self, name: &str, inverted: bool, attached: Option<&str>) -> Result<(), String> {
        let owner = self.owner(name);
        let count = match owner {
            Owner::Target => self.rule.target.as_ref().and_then(|target| arity(Kind::Target, &target.to.name, name)),
            Owner::Match(at) => arity(Kind::Match, &self.rule.matches[at].name, name),
            Owner::Implied(match_name) => {
                self.rule.matches.push(Extension { name: match_name.into(), options: Vec::new() });
                arity(Kind::Match, match_name, name)
            }
            Owner::Nobody => return Err(format!("no match of the rule has the option `--{name}`")),
        };
        let option = self.values(name, count, inverted, attached)?;
        let extension = match (owner, &mut self.rule.target) {
            (Owner::Target, Some(target)) => Some(&mut target.to),
            (Owner::Match(at), _) => self.rule.matches.get_mut(at),
            _ => self.rule.matches.last_mut(),
        };
        if let Some(extension) = extension {
            extension.options.push(option);
        }
        Ok(())
    }

    fn owner(&self, option: &str) -> Owner {
        let target = self.rule.target.as_ref();
        let of_target = target.is_some_and(|t| arity(Kind::Target, &t.to.name, option).is_some());
        if of_target && self.target_is_open {
            return Owner::Target;
        }
        let of_match = self.rule.matches.iter().rposition(|m| arity(Kind::Match, &m.name, option).is_some());
        let last = self.rule.matches.len().checked_sub(1);
        let strange = |at: usize| !is_known(Kind::Match, &self.rule.matches[at].name);
        match (of_match, last) {
            (_, Some(last)) if strange(last) && !self.target_is_open => Owner::Match(last),
            (Some(at), _) => Owner::Match(at),
            _ if self.implied(option).is_some() => Owner::Implied(self.implied(option).unwrap_or_default()),
            _ if self.target_is_open || of_target => Owner::Target,
            (None, Some(last)) => Owner::Match(last),
            (None, None) => Owner::Nobody,
        }
    }

    fn implied(&self, option: &str) -> Option<&'static str> {
        let given = self.rule.own.iter().rfind(|own| own.name == "p" && !own.inverted)?;
        let number = protocol(given.value())?;
        let (_, name) = IMPLIED.iter().find(|(implied, _)| *implied == number)?;
        arity(Kind::Match, name, option).map(|_| *name)
    }

    /// The words after an option: as many as it takes, or up to the next option where nobody knows.
    fn values(
        &mut self,
        name: &str,
        count: Option<usize>,
        mut inverted: bool,
        attached: Option<&str>,
    ) -> Result<Opt<'a>, String> {
        let mut values: Vec<_> =
            attached.map(|text| Word { text: text.to_owned().into(), quoted: false }).into_iter().collect();
        // iptables before 1.4.3 wrote `--dport ! 22`.
        if count.is_some_and(|count| count > values.len()) && self.words.get(self.at).is_some_and(Word::is_not) {
            inverted = !inverted;
            self.at += 1;
        }
        loop {
            let more = match (count, self.words.get(self.at)) {
                (Some(count), _) => values.len() < count,
                (None, Some(word)) => !word.is_option() && !word.is_not(),
                (None, None) => false,
            };
            if !more {
                break;
            }
            values.push(self.next().ok_or_else(|| format!("`{}` lacks what must follow it", hyphened(name)))?);
        }
        if count.is_some_and(|count| values.len() > count) {
            return Err(format!("`{}` takes nothing after `=`", hyphened(name)));
        }
        Ok(Opt { name: Cow::Owned(name.to_owned()), inverted, values })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Target,
    Match(usize),
    Implied(&'static str),
    Nobody,
}

fn hyphened(name: &str) -> String {
    if name.chars().count() == 1 { format!("-{name}") } else { format!("--{name}") }
}

/// The name of an option and a value that is attached to it: `--dport=22`, `-ptcp`.
fn taken_apart(long: bool, text: &str) -> (&str, Option<&str>) {
    if long {
        return text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    }
    match text.char_indices().nth(1) {
        Some((end, _)) => (&text[..end], Some(&text[end..])),
        None => (text, None),
    }
}

/// The short name and the number of words of an option of iptables itself.
fn own(long: bool, name: &str) -> Option<(&'static str, usize)> {
    let found = OWN.iter().find(|(short, longs, _)| if long { longs.contains(&name) } else { *short == name });
    found.map(|(short, _, count)| (*short, *count))
}

#[cfg(test)]
mod tests {
    use super::super::words::split;
    use super::*;

    fn parsed(line: &str) -> String {
        let words = split(line).expect("words");
        let rule = rule(&words).unwrap_or_else(|e| panic!("{line}: {e}"));
        let own: Vec<_> = rule.own.iter().map(Opt::text).collect();
        let matches: Vec<_> = rule.matches.iter().map(|m| m.text("-m")).collect();
        let target = rule.target.map(|t| t.to.text(if t.goto { "-g" } else { "-j" }));
        format!("{} | {} | {}", own.join(" "), matches.join(" "), target.unwrap_or_default())
    }

    #[test]
    fn every_word_finds_its_place() {
        for (line, places) in [
            ("-s 10.0.0.0/8 ! -i eth0 -j DROP", "-s 10.0.0.0/8 ! -i eth0 |  | -j DROP"),
            ("-p tcp -m tcp --dport 22 -j ACCEPT", "-p tcp | -m tcp --dport 22 | -j ACCEPT"),
            ("-p tcp --dport ! 22", "-p tcp | -m tcp ! --dport 22 | "),
            ("-s ! 10.0.0.0/8 -g sub", "! -s 10.0.0.0/8 |  | -g sub"),
            ("-p udp -m state --state NEW --sport 53", "-p udp | -m state --state NEW -m udp --sport 53 | "),
            ("-m comment --comment -j -j LOG --log-prefix -m", " | -m comment --comment -j | -j LOG --log-prefix -m"),
            ("-j DROP -p tcp --dport=80", "-p tcp | -m tcp --dport 80 | -j DROP"),
            ("-ptcp --source 10.0.0.1", "-p tcp -s 10.0.0.1 |  | "),
            (
                "-m foo --bar 1 2 ! --baz -o br0 -d 192.0.2.1,192.0.2.2",
                "-o br0 -d 192.0.2.1,192.0.2.2 | -m foo --bar 1 2 ! --baz | ",
            ),
            ("-j FOO --bar 7", " |  | -j FOO --bar 7"),
            ("-c 12 34 -j RETURN", " |  | -j RETURN"),
            (
                "-m recent --set --name x --rsource -j SET --add-set y src",
                " | -m recent --set --name x --rsource | -j SET --add-set y src",
            ),
            (
                "-p tcp -m tcp --dport 1 ! --tcp-flags SYN,ACK SYN -m mark ! --mark 0x1",
                "-p tcp | -m tcp --dport 1 ! --tcp-flags SYN,ACK SYN -m mark ! --mark 0x1 | ",
            ),
            (
                "-m mark --mark 1 -j CONNMARK --set-xmark 0x1/0xff",
                " | -m mark --mark 1 | -j CONNMARK --set-xmark 0x1/0xff",
            ),
        ] {
            assert_eq!(parsed(line), places, "{line}");
        }
    }

    #[test]
    fn what_has_no_place_is_refused() {
        for (line, words) in [
            ("foo", "`foo` stands where an option is expected"),
            ("-s", "`-s` lacks what must follow it"),
            ("-p tcp -m tcp --tcp-flags SYN", "`--tcp-flags` lacks what must follow it"),
            ("-p tcp !", "nothing stands after `!`"),
            ("! ! -p tcp", "`!` stands where an option is expected"),
            ("! -j DROP", "`-j` cannot be turned round by `!`"),
            ("-j DROP -j ACCEPT", "`-j ACCEPT` is a second target"),
            ("-Z", "`-Z` is no option of a rule"),
            ("--dport 22", "no match of the rule has the option `--dport`"),
            ("-p tcp --syn=1", "`--syn` takes nothing after `=`"),
            ("\"-p\" tcp", "`-p` stands where an option is expected"),
        ] {
            assert_eq!(rule(&split(line).expect("words")).expect_err(line), words);
        }
    }
}
