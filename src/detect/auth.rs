//! Authentication logs: framing, who may say what, repetitions, and the mark of logs that let newlines through.
//!
//! A program is believed in its own words only: `sshd` speaks of SSH, `sudo` of sudo, PAM's modules in the names of the
//! programs listed here. Where a message lacks the end that its program always writes, a newline in a login name cut it, and
//! whatever stands on the next lines may be the attacker's: those lines name nobody, and the source is marked from then on.
//! Neither does a line of a host that was never seen and whose clock is behind that of the line before it: so does a line that
//! another program's newline let in.

use super::sighting::{Attribute, Sighting};
use super::stamp::Clock;
use super::syslog::{self, Frame};
use super::{pam, sshd, sudo};
use crate::record::Timestamp;

/// Lines after a fragment that name nobody: more than one login name of 100 characters can forge.
const WITHHELD: u32 = 32;

/// Seconds that the clock of a host that was never seen may be behind the line before.
const BEHIND: i64 = 60;

/// The most hosts that are remembered.
const MOST_HOSTS: usize = 256;

/// The most repetitions that one line stands for.
const MOST_REPEATS: u64 = 10_000;

/// Programs in whose names PAM's modules are believed.
const PAM_PROGRAMS: &[&[u8]] = &[
    b"login",
    b"su",
    b"sudo",
    b"vsftpd",
    b"proftpd",
    b"pure-ftpd",
    b"ftpd",
    b"dovecot",
    b"dovecot-auth",
    b"auth",
    b"saslauthd",
    b"smbd",
    b"cockpit-session",
    b"xrdp-sesman",
    b"gdm-password]",
    b"lightdm",
    b"polkitd",
    b"cron",
    b"CRON",
    b"xscreensaver",
];

/// Reads one authentication log.
#[derive(Debug)]
pub struct Auth {
    clock: Clock,
    /// The line before, while it may be repeated.
    last: Vec<u8>,
    withheld: u32,
    forgeable: bool,
    /// The hosts that wrote, the latest first, and when the last line was written.
    hosts: Vec<Host>,
    written: Option<Timestamp>,
}

/// A host that wrote.
#[derive(Debug)]
struct Host {
    name: Vec<u8>,
    /// The forms of messages in which its server wrote the port of the peer, by [`sshd::form`].
    ported: u8,
}

impl Auth {
    /// A reader of a log whose times `clock` turns into instants.
    pub fn new(clock: Clock) -> Self {
        Self { clock, last: Vec::new(), withheld: 0, forgeable: false, hosts: Vec::new(), written: None }
    }

    /// The clock, to move its reference.
    pub fn clock(&mut self) -> &mut Clock {
        &mut self.clock
    }

    /// Whether the log was seen to let newlines through, so that every line of it may be an attacker's.
    pub fn is_forgeable(&self) -> bool {
        self.forgeable
    }

    /// What one line, without its end, says.
    pub fn read<'s>(&'s mut self, line: &'s [u8]) -> Option<Sighting<'s>> {
        let frame = syslog::frame(line, &mut self.clock)?;
        if let Some(count) = syslog::repeats(frame.message).filter(|_| frame.program.is_empty()) {
            return self.again(&frame, count);
        }
        let (count, message) = syslog::repeated(frame.message).unwrap_or((1, frame.message));
        self.last.clear();
        self.withheld = self.withheld.saturating_sub(1);
        let strange = self.is_strange(&frame);
        let Some(sighting) = said(&Frame { message, ..frame }) else {
            self.suspect(&frame);
            return None;
        };
        if self.is_cut(&frame, message, &sighting) {
            self.mistrust();
        }
        let mut sighting = self.marked(sighting, &frame, count);
        if strange {
            (sighting.source_ip, sighting.source_port) = (None, None);
        }
        if sighting.source_ip.is_some() {
            self.last.extend_from_slice(line);
        }
        Some(sighting)
    }

    /// Whether a message stands without the port that the same host's server writes in messages of this form.
    fn is_cut(&mut self, frame: &Frame<'_>, message: &[u8], sighting: &Sighting<'_>) -> bool {
        if !is_sshd(frame.program) || sighting.source_ip.is_none() {
            return false;
        }
        let Some(form) = sshd::form(without_message_id(message)) else { return false };
        let Some(host) = self.hosts.first_mut().filter(|host| host.name == frame.host) else { return false };
        let known = host.ported >> form & 1 == 1;
        if sighting.source_port.is_some() {
            host.ported |= 1 << form;
        }
        known && sighting.source_port.is_none()
    }

    fn mistrust(&mut self) {
        self.withheld = WITHHELD;
        self.forgeable = true;
    }

    /// Whether the host was never seen before and its clock is behind the log's.
    fn is_strange(&mut self, frame: &Frame<'_>) -> bool {
        let before = self.written.unwrap_or(frame.ts);
        if self.hosts.first().is_none_or(|host| host.name != frame.host) {
            match self.hosts.iter().position(|host| host.name == frame.host) {
                Some(at) => self.hosts.swap(0, at),
                None if frame.ts.duration_until(before).as_secs() > BEHIND => return true,
                None => {
                    self.hosts.truncate(MOST_HOSTS - 1);
                    self.hosts.insert(0, Host { name: frame.host.to_vec(), ported: 0 });
                }
            }
        }
        self.written = Some(frame.ts);
        false
    }

    fn suspect(&mut self, frame: &Frame<'_>) {
        let message = without_message_id(frame.message);
        let cut = match pam::speaks(message) {
            true => pam::is_fragment(message),
            false => sshd::is_fragment(message) || sshd::is_tail(message),
        };
        if is_sshd(frame.program) && cut {
            self.mistrust();
        }
    }

    /// The line before, so many times more, as the log's own daemon says of the same host.
    fn again(&mut self, told: &Frame<'_>, count: u64) -> Option<Sighting<'_>> {
        let ts = told.ts;
        let frame = syslog::frame(&self.last, &mut self.clock).filter(|frame| frame.host == told.host)?;
        let (_, message) = syslog::repeated(frame.message).unwrap_or((1, frame.message));
        said(&Frame { ts, message, ..frame }).map(|sighting| self.marked(sighting, &frame, count))
    }

    fn marked<'s>(&self, mut sighting: Sighting<'s>, frame: &Frame<'_>, count: u64) -> Sighting<'s> {
        if let Some(pid) = frame.pid {
            sighting.attributes.set("pid", Attribute::Number(pid.into()));
        }
        if count > 1 {
            sighting.count = sighting.count.saturating_mul(count).min(MOST_REPEATS);
        }
        if self.forgeable {
            sighting.attributes.set("forgeable", Attribute::Flag(true));
        }
        if self.withheld > 0 {
            (sighting.source_ip, sighting.source_port) = (None, None);
        }
        sighting
    }
}

fn is_sshd(program: &[u8]) -> bool {
    matches!(program, b"sshd" | b"sshd-session" | b"sshd-auth")
}

/// What the program says in its own words.
fn said<'a>(frame: &Frame<'a>) -> Option<Sighting<'a>> {
    let (ts, message) = (frame.ts, frame.message);
    match frame.program {
        program if is_sshd(program) => match pam::speaks(message) {
            true => pam::read(ts, b"sshd", message),
            false => sshd::read(ts, without_message_id(message)),
        },
        b"sudo" if !pam::speaks(message) => sudo::sudo(ts, message),
        b"su" if !pam::speaks(message) => sudo::su(ts, message),
        program if PAM_PROGRAMS.contains(&program) => pam::read(ts, program, message),
        program => pam::read(ts, program.strip_suffix(b"(pam_unix)")?, message),
    }
}

/// Without Solaris' `[ID 800047 auth.info] `.
fn without_message_id(message: &[u8]) -> &[u8] {
    match message.strip_prefix(b"[ID ") {
        Some(rest) => memchr::memmem::find(rest, b"] ").map_or(message, |at| &rest[at + 2..]),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn auth() -> Auth {
        Auth::new(Clock::new(TimeZone::UTC, "2026-06-01T00:00:00Z".parse().expect("time")))
    }

    fn blamed(auth: &mut Auth, line: &str) -> Option<(String, u64)> {
        auth.read(line.as_bytes()).map(|s| (s.source_ip.map_or("-".into(), |ip| ip.to_string()), s.count))
    }

    #[test]
    fn only_the_right_program_may_say_it() {
        let said = "Failed password for root from 203.0.113.7 port 9 ssh2";
        for (tag, expected) in [
            ("sshd[7]", true),
            ("sshd-session[7]", true),
            ("sshd", true),
            ("app[7]", false),
            ("kernel", false),
            ("sudo", false),
        ] {
            let line = format!("Nov 20 10:15:32 gw {tag}: {said}");
            assert_eq!(auth().read(line.as_bytes()).is_some(), expected, "{tag}");
        }
        assert_eq!(auth().read(format!("Nov 20 10:15:32 gw app[1]: sshd[7]: {said}").as_bytes()), None);
        assert_eq!(auth().read(said.as_bytes()), None);
    }

    #[test]
    fn repetitions_count() {
        let mut auth = auth();
        let line = "Nov 20 10:15:32 gw sshd[7]: Failed password for root from 203.0.113.7 port 9 ssh2";
        assert_eq!(blamed(&mut auth, line), Some(("203.0.113.7".into(), 1)));
        assert_eq!(
            blamed(&mut auth, "Nov 20 10:15:40 gw last message repeated 3 times"),
            Some(("203.0.113.7".into(), 3))
        );
        assert_eq!(blamed(&mut auth, "Nov 20 10:15:41 gw cron[1]: job"), None);
        assert_eq!(blamed(&mut auth, "Nov 20 10:15:42 gw last message repeated 3 times"), None);
        let rsyslog = "Nov 20 10:15:43 gw sshd[7]: message repeated 5 times: [ Failed password for root from 203.0.113.7 port 9 ssh2]";
        assert_eq!(blamed(&mut auth, rsyslog), Some(("203.0.113.7".into(), 5)));
    }

    #[test]
    fn only_the_logs_own_daemon_repeats_a_line() {
        let line = "Nov 20 10:15:32 gw sshd[7]: Failed password for root from 203.0.113.7 port 9 ssh2";
        for (repeat, expected) in [
            ("Nov 20 10:15:40 gw last message repeated 3 times", Some(("203.0.113.7".to_owned(), 3))),
            ("Nov 20 10:15:40 gw app[1]: last message repeated 9999 times", None),
            ("Nov 20 10:15:40 other last message repeated 9999 times", None),
        ] {
            let mut auth = auth();
            blamed(&mut auth, line);
            assert_eq!(blamed(&mut auth, repeat), expected, "{repeat}");
        }
    }

    #[test]
    fn a_line_that_names_nobody_is_not_repeated() {
        let mut auth = auth();
        blamed(&mut auth, "Nov 20 10:15:32 gw cron[1]: job");
        let strange = "Nov 20 10:00:00 h sshd[1]: Failed password for root from 198.51.100.10 port 1 ssh2";
        assert_eq!(blamed(&mut auth, strange), Some(("-".into(), 1)));
        assert_eq!(blamed(&mut auth, "Nov 20 10:15:40 h last message repeated 50 times"), None);
    }

    #[test]
    fn an_address_inside_a_cut_login_name_is_not_blamed() {
        let prefix = "Nov 20 10:15:32 gw sshd[2211]: ";
        let victim = format!("{prefix}Invalid user a from 198.51.100.10");
        for before in [
            "b from 203.0.113.7 port 1",
            "b from 203.0.113.7 port 1 ssh2",
            "Connection from 192.0.2.1 b from 203.0.113.7 port 1",
        ] {
            let mut auth = auth();
            blamed(&mut auth, &format!("{prefix}Invalid user c from 203.0.113.7 port 5"));
            blamed(&mut auth, &format!("{prefix}{before}"));
            assert_eq!(blamed(&mut auth, &victim), Some(("-".into(), 1)), "{before}");
            assert!(auth.is_forgeable(), "{before}");
        }
        let mut fresh = auth();
        assert_eq!(blamed(&mut fresh, &victim), Some(("198.51.100.10".into(), 1)));
        blamed(&mut fresh, &format!("{prefix}b from 203.0.113.7 port 1"));
        assert_eq!(blamed(&mut fresh, &victim), Some(("-".into(), 1)));
    }

    #[test]
    fn an_old_server_writes_no_port() {
        let mut auth = auth();
        for _ in 0..3 {
            let line = "Nov 20 10:15:32 gw sshd[2211]: Invalid user a from 203.0.113.7";
            assert_eq!(blamed(&mut auth, line), Some(("203.0.113.7".into(), 1)));
        }
        let other = "Nov 20 10:15:33 new sshd[9]: Invalid user a from 203.0.113.7 port 77";
        assert_eq!(blamed(&mut auth, other), Some(("203.0.113.7".into(), 1)));
        assert_eq!(
            blamed(&mut auth, "Nov 20 10:15:34 gw sshd[2211]: Invalid user a from 203.0.113.7"),
            Some(("203.0.113.7".into(), 1))
        );
        assert!(!auth.is_forgeable());
    }

    #[test]
    fn a_log_that_lets_newlines_through_names_nobody_behind_one() {
        let mut auth = auth();
        let prefix = "Nov 20 10:15:32 gw sshd[2211]: ";
        let mut read = |text: &str| blamed(&mut auth, &format!("{prefix}{text}"));
        assert_eq!(read("Invalid user a"), None);
        assert_eq!(read("Failed password for root from 198.51.100.10 port 22 ssh2"), Some(("-".into(), 1)));
        assert_eq!(read("b from 203.0.113.7 port 60172"), None);
        for _ in 0..WITHHELD {
            read("Server listening on 0.0.0.0 port 22.");
        }
        assert_eq!(read("Failed password for root from 203.0.113.8 port 22 ssh2"), Some(("203.0.113.8".into(), 1)));
        assert!(auth.is_forgeable());
        let line = format!("{prefix}Failed password for root from 203.0.113.8 port 22 ssh2");
        let marked = auth.read(line.as_bytes()).is_some_and(|s| s.attributes.iter().any(|a| a.0 == "forgeable"));
        assert!(marked);
    }

    #[test]
    fn a_line_of_a_strange_host_from_the_past_names_nobody() {
        let mut auth = auth();
        let said = "sshd[1]: Failed password for root from 198.51.100.10 port 1 ssh2";
        assert_eq!(
            blamed(&mut auth, "Nov 20 10:15:32 gw dnsmasq-dhcp[801]: DHCPACK(eth1) 192.168.1.50 aa:bb:cc:dd:ee:ff a"),
            None
        );
        assert_eq!(blamed(&mut auth, &format!("Nov 20 10:00:00 h {said}")), Some(("-".into(), 1)));
        assert_eq!(blamed(&mut auth, &format!("Nov 20 10:15:33 h {said}")), Some(("198.51.100.10".into(), 1)));
        assert_eq!(blamed(&mut auth, &format!("Nov 20 10:15:00 gw {said}")), Some(("198.51.100.10".into(), 1)));
    }

    #[test]
    fn the_old_pam_tag() {
        let line = "Jun 14 15:16:01 gw sshd(pam_unix)[19939]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=203.0.113.7 ";
        assert_eq!(blamed(&mut auth(), line), Some(("203.0.113.7".into(), 1)));
    }

    proptest! {
        #[test]
        fn bytes_never_panic(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 0..4), text in "(sshd|sudo|su|login)(\\[[0-9]{0,4}\\])?: [ -~]{0,80}") {
            let mut auth = auth();
            for line in &lines {
                let _ = auth.read(line);
            }
            let _ = auth.read(format!("Nov 20 10:15:32 gw {text}").as_bytes());
        }
    }
}
