//! Checks that must hold through a changed path: each says whether it holds, or in words why not.

use super::process::run;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// Whether `address` accepts a new TCP connection within `limit`.
///
/// # Errors
/// The words of the failure.
pub fn tcp(address: SocketAddr, limit: Duration) -> Result<(), String> {
    TcpStream::connect_timeout(&address, limit).map(drop).map_err(|e| format!("no connection to {address}: {e}"))
}

/// Whether `address` answers one echo request within `limit` (ping(8), which has the permission that it needs).
///
/// # Errors
/// The words of the failure.
pub fn ping(address: IpAddr, limit: Duration) -> Result<(), String> {
    let (seconds, text) = (limit.as_secs().max(1).to_string(), address.to_string());
    let arguments = ["-n", "-q", "-c", "1", "-W", seconds.as_str(), text.as_str()];
    match run("ping", &arguments, b"", limit + Duration::from_secs(2)) {
        Ok(done) if done.status.success() => Ok(()),
        Ok(_) => Err(format!("{address} does not answer an echo request")),
        Err(cause) => Err(cause.to_string()),
    }
}

/// Whether a program with fixed arguments exits with 0 within `limit`; no shell is between.
///
/// # Errors
/// The words of the failure.
pub fn command(words: &[String], limit: Duration) -> Result<(), String> {
    let Some((program, rest)) = words.split_first() else { return Err("no program is named".to_owned()) };
    let arguments: Vec<&str> = rest.iter().map(String::as_str).collect();
    match run(program, &arguments, b"", limit) {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(format!("{program}: {}", done.status)),
        Err(cause) => Err(cause.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn a_program_says_by_its_status() {
        assert_eq!(command(&["/bin/true".into()], LIMIT), Ok(()));
        assert_eq!(command(&["/bin/false".into()], LIMIT), Err("/bin/false: exit status: 1".into()));
        assert_eq!(command(&["/no/such".into()], LIMIT), Err("/no/such is not installed".into()));
    }
}
