//! Checks that must hold through a changed path: each says whether it holds, or in words why not.

use super::connections::{self, Connection, Open};
use super::{clock, process::Leash};
use crate::packet::{AddressSpec, Protocol};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

/// How often it is looked whether somebody has come.
const LOOK: Duration = Duration::from_millis(50);

/// Whether `address` accepts a new TCP connection within `limit`.
///
/// # Errors
/// The words of the failure.
pub fn tcp(address: SocketAddr, limit: Duration) -> Result<(), String> {
    TcpStream::connect_timeout(&address, limit).map(drop).map_err(|e| format!("no connection to {address}: {e}"))
}

/// Whether `address` answers one echo request within `limit` (ping(8), which has the permission that it needs), or until `leash` ends.
///
/// # Errors
/// The words of the failure.
pub fn ping(address: IpAddr, limit: Duration, leash: &Leash) -> Result<(), String> {
    let (seconds, text) = (limit.as_secs().max(1).to_string(), address.to_string());
    let arguments = ["-n", "-q", "-c", "1", "-W", seconds.as_str(), text.as_str()];
    match leash.run("ping", &arguments, b"", limit + Duration::from_secs(2)) {
        Ok(done) if done.status.success() => Ok(()),
        Ok(_) => Err(format!("{address} does not answer an echo request")),
        Err(cause) => Err(cause.to_string()),
    }
}

/// Whether a program with fixed arguments exits with 0 within `limit` and before `leash` ends; no shell is between.
///
/// # Errors
/// The words of the failure.
pub fn command(words: &[String], limit: Duration, leash: &Leash) -> Result<(), String> {
    let Some((program, rest)) = words.split_first() else { return Err("no program is named".to_owned()) };
    let arguments: Vec<&str> = rest.iter().map(String::as_str).collect();
    match leash.run(program, &arguments, b"", limit) {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(format!("{program}: {}", done.status)),
        Err(cause) => Err(cause.to_string()),
    }
}

/// Whether a web server answers with `status` within `limit`, over a connection of its own. Where it leads elsewhere is not followed; its
/// certificate is verified.
///
/// # Errors
/// The words of the failure.
pub fn http(url: &str, status: u16, limit: Duration) -> Result<(), String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(limit))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .proxy(None)
        .build();
    match ureq::Agent::new_with_config(config).get(url).call() {
        Ok(answer) if answer.status() == status => Ok(()),
        Ok(answer) => Err(format!("{url} answers {}, not {status}", answer.status().as_u16())),
        Err(cause) => Err(format!("{url}: {cause}")),
    }
}

/// Those who come in: which connections there were when it began, so that new ones are known.
#[derive(Debug, Clone)]
pub struct Arrivals {
    known: BTreeSet<(Protocol, SocketAddr, SocketAddr)>,
    /// Whether what is forwarded was seen too: a connection that was there before and is tracked only from now on is not new.
    tracked: bool,
}

impl Arrivals {
    /// From now on.
    ///
    /// # Errors
    /// The words of the failure.
    pub fn begin() -> Result<Self, String> {
        let open = open()?;
        Ok(Self { known: open.connections.iter().map(Connection::ends).collect(), tracked: open.tracked && open.whole })
    }

    /// Whether one of `peer` opens a TCP connection to `port`, of this host or through it, within `limit`. It is known from then on, so that
    /// asking again waits for another.
    ///
    /// # Errors
    /// The words of the failure.
    pub fn from(&mut self, peer: &AddressSpec, port: u16, limit: Duration) -> Result<(), String> {
        let end = clock::since_boot() + limit;
        let fits = |c: &Connection| {
            let there = c.asked.port() == port || c.destination.port() == port;
            c.protocol == Protocol::TCP && there && peer.contains(c.source.ip()) && (c.own || self.tracked)
        };
        loop {
            let new = open()?.connections.into_iter().find(|c| fits(c) && !self.known.contains(&c.ends()));
            if let Some(new) = new {
                self.known.insert(new.ends());
                return Ok(());
            }
            if clock::since_boot() >= end {
                return Err(format!("no new connection from {peer} to port {port} in {} s", limit.as_secs()));
            }
            thread::sleep(LOOK);
        }
    }
}

fn open() -> Result<Open, String> {
    connections::open().map_err(|e| format!("the connections of this host cannot be listed: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn a_listener_is_reached_and_a_closed_port_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("address");
        assert_eq!(tcp(address, LIMIT), Ok(()));
        drop(listener);
        assert!(tcp(address, LIMIT).expect_err("closed").starts_with("no connection to 127.0.0.1:"));
    }

    #[test]
    fn a_web_server_says_by_its_status() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/health", listener.local_addr().expect("address"));
        let server = thread::spawn(move || {
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().expect("a client");
                let _ = stream.read(&mut [0; 1024]).expect("a request");
                stream
                    .write_all(b"HTTP/1.1 301 Moved\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n")
                    .expect("sent");
            }
        });
        assert_eq!(http(&url, 301, LIMIT), Ok(()));
        assert_eq!(http(&url, 200, LIMIT), Err(format!("{url} answers 301, not 200")));
        assert!(
            http(&url.replace("http:", "https:"), 301, LIMIT).expect_err("no TLS").starts_with("https://127.0.0.1:")
        );
        server.join().expect("served");
    }

    #[test]
    fn who_was_there_before_does_not_count() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let here = listener.local_addr().expect("address");
        let old = TcpStream::connect(here).expect("connected");
        let peer: AddressSpec = "127.0.0.0/8".parse().expect("network");
        let mut arrivals = Arrivals::begin().expect("connections");
        let none = format!("no new connection from 127.0.0.0/8 to port {} in 0 s", here.port());
        let at_once = Duration::from_millis(1);
        assert_eq!(arrivals.from(&peer, here.port(), at_once), Err(none.clone()));
        let new = TcpStream::connect(here).expect("connected");
        let other = "192.0.2.7".parse().expect("address");
        assert!(arrivals.from(&other, here.port(), at_once).expect_err("another").contains("from 192.0.2.7 to port"));
        assert_eq!(arrivals.from(&peer, here.port(), LIMIT), Ok(()));
        assert_eq!(arrivals.from(&peer, here.port(), at_once), Err(none), "one connection is one");
        drop((old, new));
    }

    #[test]
    fn a_program_says_by_its_status() {
        let said = |program: &str| command(&[program.into()], LIMIT, &Leash::default());
        assert_eq!(said("/bin/true"), Ok(()));
        assert_eq!(said("/bin/false"), Err("/bin/false: exit status: 1".into()));
        assert_eq!(said("/no/such"), Err("/no/such is not installed".into()));
    }
}
