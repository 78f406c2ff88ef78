//! A check that must hold after a change, as the configuration writes it: one thing that is asked, how long, and how often in a row.

use crate::packet::AddressSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What is asked, and how. It is made through the path that a change changes; one that only this host can answer says nothing about
/// who still comes in, which is what `from` is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written", into = "Written")]
#[schemars(with = "Written")]
pub struct Heartbeat {
    pub check: Check,
    /// Seconds that one try may take.
    pub timeout: u32,
    /// How often in a row it must hold.
    pub count: u32,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// This address and port accept a new TCP connection.
    Tcp(SocketAddr),
    /// This address answers an echo request.
    Ping(IpAddr),
    /// This server answers with this status; it is not followed elsewhere.
    Http { url: String, status: u16 },
    /// One of these addresses opens a new TCP connection to this port, of this host or through it.
    From { peer: AddressSpec, port: u16 },
    /// This program with its arguments exits with 0; it is started directly, never by a shell.
    Command(Vec<String>),
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp {address}"),
            Self::Ping(address) => write!(f, "ping {address}"),
            Self::Http { url, status } => write!(f, "http {url} {status}"),
            Self::From { peer, port } => write!(f, "from {peer} to port {port}"),
            Self::Command(words) => write!(f, "command {}", words.join(" ")),
        }
    }
}

/// A heartbeat is one of `tcp`, `ping`, `http`, `from` and `command`, with what belongs to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename = "Heartbeat")]
#[schemars(rename = "Heartbeat")]
struct Written {
    /// An address and port that accept a new TCP connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    tcp: Option<SocketAddr>,
    /// An address that answers an echo request.
    #[serde(skip_serializing_if = "Option::is_none")]
    ping: Option<IpAddr>,
    /// A server that answers: `http://` or `https://`.
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<String>,
    /// The status that the server answers with; 200 where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    status: Option<u16>,
    /// Who opens a new TCP connection to `port`, of this host or through it: an address, a network or a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<AddressSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    port: Option<u16>,
    /// A program, by its absolute path, with its arguments, that exits with 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    /// Seconds that one try may take; 2 where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600))]
    timeout: Option<u32>,
    /// How often in a row it must hold; once where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    count: Option<u32>,
}

const TIMEOUT: u32 = 2;

impl TryFrom<Written> for Heartbeat {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { tcp, ping, http, status, from, port, command, timeout, count } = written;
        if status.is_some() && http.is_none() {
            return Err("`status` belongs to `http`".into());
        }
        if port.is_some() && from.is_none() {
            return Err("`port` belongs to `from`".into());
        }
        let mut checks: Vec<Check> = Vec::new();
        checks.extend(tcp.map(Check::Tcp));
        checks.extend(ping.map(Check::Ping));
        checks.extend(http.map(|url| answered(url, status)).transpose()?);
        checks.extend(from.map(|peer| opened(peer, port)).transpose()?);
        checks.extend(command.map(started).transpose()?);
        let one = (checks.len() == 1).then(|| checks.remove(0));
        let check = one.ok_or("a heartbeat is exactly one of tcp, ping, http, from, command")?;
        let timeout = within("timeout", timeout.unwrap_or(TIMEOUT), 600)?;
        Ok(Self { check, timeout, count: within("count", count.unwrap_or(1), 100)? })
    }
}

fn within(name: &str, number: u32, most: u32) -> Result<u32, String> {
    match (1..=most).contains(&number) {
        true => Ok(number),
        false => Err(format!("{name}: {number} is not between 1 and {most}")),
    }
}

fn answered(url: String, status: Option<u16>) -> Result<Check, String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    if rest.is_none_or(|rest| {
        rest.is_empty() || rest.starts_with('/') || url.contains(|c: char| c.is_ascii_control() || c == ' ')
    }) {
        return Err(format!("`{}` is no address of a web server; `http://192.0.2.1/health` is", url.escape_debug()));
    }
    let status = status.unwrap_or(200);
    match (100..600).contains(&status) {
        true => Ok(Check::Http { url, status }),
        false => Err(format!("status: {status} is not between 100 and 599")),
    }
}

fn opened(peer: AddressSpec, port: Option<u16>) -> Result<Check, String> {
    match port {
        Some(0) => Err("port 0 is not between 1 and 65535".into()),
        Some(port) => Ok(Check::From { peer, port }),
        None => Err("`from` needs the port that is connected to: { from = \"192.0.2.7\", port = 22 }".into()),
    }
}

fn started(words: Vec<String>) -> Result<Check, String> {
    match words.first() {
        Some(program) if program.starts_with('/') => Ok(Check::Command(words)),
        Some(program) => Err(format!("`{program}` is not an absolute path of a program")),
        None => Err("a command needs a program; `[\"/usr/local/bin/probe\", \"-q\"]` is one".into()),
    }
}

impl From<Heartbeat> for Written {
    fn from(Heartbeat { check, timeout, count }: Heartbeat) -> Self {
        let mut written = Self {
            timeout: (timeout != TIMEOUT).then_some(timeout),
            count: (count != 1).then_some(count),
            ..Self::default()
        };
        match check {
            Check::Tcp(address) => written.tcp = Some(address),
            Check::Ping(address) => written.ping = Some(address),
            Check::Http { url, status } => {
                (written.http, written.status) = (Some(url), (status != 200).then_some(status))
            }
            Check::From { peer, port } => (written.from, written.port) = (Some(peer), Some(port)),
            Check::Command(words) => written.command = Some(words),
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn read(one: &str) -> Result<Heartbeat, String> {
        let text = format!("[deploy]\nheartbeat = [{one}]");
        parse("x", &text).map(|config| config.deploy.heartbeat[0].clone()).map_err(|e| e.to_string())
    }

    #[test]
    fn each_check_is_read_and_written() {
        for (one, words) in [
            (r#"{ tcp = "192.0.2.1:443" }"#, "tcp 192.0.2.1:443"),
            (r#"{ ping = "2001:db8::1", count = 3 }"#, "ping 2001:db8::1"),
            (r#"{ http = "http://192.0.2.1/health" }"#, "http http://192.0.2.1/health 200"),
            (r#"{ http = "https://example.net", status = 301, timeout = 5 }"#, "http https://example.net 301"),
            (r#"{ from = "192.0.2.0/24", port = 22, timeout = 15 }"#, "from 192.0.2.0/24 to port 22"),
            (r#"{ command = ["/bin/true", "-q"] }"#, "command /bin/true -q"),
        ] {
            let heartbeat = read(one).expect(one);
            assert_eq!(heartbeat.check.to_string(), words);
            let text = toml::to_string(&heartbeat).expect("toml");
            assert_eq!(toml::from_str::<Heartbeat>(&text).expect("toml"), heartbeat, "{text}");
        }
        let Heartbeat { timeout, count, .. } = read(r#"{ ping = "192.0.2.1" }"#).expect("ping");
        assert_eq!((timeout, count), (2, 1));
    }

    #[test]
    fn each_mistake_is_named() {
        for (one, words) in [
            ("{}", "a heartbeat is exactly one of tcp, ping, http, from, command"),
            (
                r#"{ tcp = "192.0.2.1:1", ping = "192.0.2.1" }"#,
                "a heartbeat is exactly one of tcp, ping, http, from, command",
            ),
            (r#"{ ping = "192.0.2.1", status = 200 }"#, "`status` belongs to `http`"),
            (r#"{ ping = "192.0.2.1", port = 22 }"#, "`port` belongs to `from`"),
            (r#"{ ping = "192.0.2.1", count = 0 }"#, "count: 0 is not between 1 and 100"),
            (r#"{ ping = "192.0.2.1", timeout = 601 }"#, "timeout: 601 is not between 1 and 600"),
            (r#"{ http = "ftp://x" }"#, "`ftp://x` is no address of a web server; `http://192.0.2.1/health` is"),
            (r#"{ http = "http://x", status = 600 }"#, "status: 600 is not between 100 and 599"),
            (
                r#"{ from = "192.0.2.7" }"#,
                "`from` needs the port that is connected to: { from = \"192.0.2.7\", port = 22 }",
            ),
            (r#"{ from = "192.0.2.7", port = 0 }"#, "port 0 is not between 1 and 65535"),
            (r#"{ command = ["probe"] }"#, "`probe` is not an absolute path of a program"),
            ("{ command = [] }", "a command needs a program; `[\"/usr/local/bin/probe\", \"-q\"]` is one"),
        ] {
            let said = read(one).expect_err(one);
            assert_eq!(said, format!("x:2:14: deploy.heartbeat[0]: {words}"), "{one}");
        }
    }
}
