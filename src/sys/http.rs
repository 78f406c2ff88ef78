//! Requests with JSON to one server: verified by TLS, within a time, without following where it leads elsewhere.
//!
//! What a reply says is for the caller; here it is only made sure that it is a whole one. No error shows the credentials.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

/// The longest reply that is read.
const LONGEST: u64 = 64 << 20;

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Nothing was sent.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// Nothing was sent.
    #[error("its certificate is not trusted: {0}")]
    Untrusted(String),
    #[error("did not reply in time ({0})")]
    Slow(String),
    #[error("the reply breaks off: {0}")]
    Broken(String),
    #[error("leads elsewhere ({status}, {to}), which is not followed")]
    Elsewhere { status: u16, to: String },
    #[error("says {status}{words}")]
    Refused { status: u16, words: String },
    #[error("replies with {0}, not with JSON")]
    NotJson(String),
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection, its TLS included.
    pub connect: Duration,
    /// For a request from its first byte to the last one of the reply.
    pub reply: Duration,
}

/// One server.
pub struct Server {
    url: String,
    agent: Agent,
    authorization: String,
    /// What no error may show.
    secrets: Vec<String>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Server {
    /// The server at `url`, with a user and a password (RFC 7617), and the certificates that its own must come from; those that browsers
    /// trust where none are given.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn new(url: &str, user: (&str, &str), ca: Option<&[u8]>, patience: Patience) -> Result<Self, String> {
        let roots = match ca {
            None => RootCerts::WebPki,
            Some(pem) => RootCerts::new_with_certs(&certificates(pem)?),
        };
        let agent = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("afo/", env!("CARGO_PKG_VERSION")))
            // A connection that the server has closed meanwhile would make a request that may have been heard fail.
            .max_idle_connections(0)
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_global(Some(patience.reply))
            .build()
            .new_agent();
        let encoded = base64(format!("{}:{}", user.0, user.1).as_bytes());
        let authorization = format!("Basic {encoded}");
        let secrets = vec![encoded, user.0.to_owned(), user.1.to_owned()];
        Ok(Self { url: url.to_owned(), agent, authorization, secrets })
    }

    /// Asks for what is at a path.
    ///
    /// # Errors
    /// When there is no whole reply with JSON.
    pub fn get(&self, path: &str) -> Result<String, HttpError> {
        let request = self.agent.get(format!("{}{path}", self.url));
        let sent = request.header(header::AUTHORIZATION, &self.authorization).call();
        self.reply(sent)
    }

    /// Sends JSON to a path.
    ///
    /// # Errors
    /// When there is no whole reply with JSON. Whether the server has done what was asked is then not known, but where nothing was sent.
    pub fn post(&self, path: &str, body: &str) -> Result<String, HttpError> {
        let request = self.agent.post(format!("{}{path}", self.url)).content_type("application/json");
        let sent = request.header(header::AUTHORIZATION, &self.authorization).send(body);
        self.reply(sent)
    }

    fn reply(&self, sent: Result<Response<Body>, ureq::Error>) -> Result<String, HttpError> {
        let mut response = sent.map_err(|error| self.failed(&error))?;
        let (status, kind) = (response.status(), self.head(&response, header::CONTENT_TYPE));
        if status.is_redirection() {
            return Err(HttpError::Elsewhere { status: status.as_u16(), to: self.head(&response, header::LOCATION) });
        }
        let mut bytes = Vec::new();
        let limited = response.body_mut().with_config().limit(LONGEST).reader().read_to_end(&mut bytes);
        limited.map_err(|error| match error.downcast::<ureq::Error>() {
            Ok(error) => self.failed(&error),
            Err(error) => HttpError::Broken(self.hidden(&error.to_string())),
        })?;
        let text = String::from_utf8(bytes).map_err(|_| HttpError::NotJson("bytes that are no text".to_owned()))?;
        if status != StatusCode::OK {
            return Err(HttpError::Refused { status: status.as_u16(), words: self.words(&text) });
        }
        match kind.split(';').next().unwrap_or_default().trim() {
            "application/json" => Ok(text),
            "" => Err(HttpError::NotJson("no content type".to_owned())),
            other => Err(HttpError::NotJson(other.to_owned())),
        }
    }

    fn head(&self, response: &Response<Body>, name: header::HeaderName) -> String {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        self.hidden(value)
    }

    /// What a reply says of a refusal: the message in its JSON.
    fn words(&self, text: &str) -> String {
        let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let said = ["errorMessage", "message", "errorTitle"].into_iter().find_map(|name| json.get(name)?.as_str());
        said.map(|words| format!(": {}", self.hidden(words))).unwrap_or_default()
    }

    /// Words of others, short, harmless for a terminal and without what nobody may see.
    pub fn hidden(&self, words: &str) -> String {
        let hidden =
            self.secrets.iter().fold(words.to_owned(), |text, secret| text.replace(secret.as_str(), "(hidden)"));
        hidden.chars().take(160).flat_map(char::escape_debug).collect()
    }

    fn failed(&self, error: &ureq::Error) -> HttpError {
        use ureq::{Error, Timeout};
        let words = self.hidden(&error.to_string());
        match error {
            Error::Timeout(Timeout::Resolve | Timeout::Connect) => HttpError::Unreachable(words),
            Error::Timeout(_) => HttpError::Slow(words),
            Error::Rustls(_) | Error::Tls(_) | Error::Pem(_) => HttpError::Untrusted(words),
            Error::HostNotFound | Error::ConnectionFailed | Error::BadUri(_) => HttpError::Unreachable(words),
            Error::Io(error) => io_failed(error, words),
            _ => HttpError::Broken(words),
        }
    }

    /// Every address that the name of the server has and that this host has a way to, each with this host's own on that way.
    ///
    /// # Errors
    /// When the name has no address now, or there is a way to none, in words.
    pub fn ends(&self) -> Result<Vec<(IpAddr, SocketAddr)>, String> {
        let (scheme, authority) = self.url.split_once("://").unwrap_or(("https", &self.url));
        let port = if scheme == "https" { 443 } else { 80 };
        let there =
            authority.to_socket_addrs().or_else(|_| (authority.trim_matches(['[', ']']), port).to_socket_addrs());
        let there = there.map_err(|error| format!("the name in {authority} has no address: {error}"))?;
        let ends: Vec<_> = there.filter_map(|there| Some((towards(there)?, there))).collect();
        if ends.is_empty() { Err(format!("there is no way to {authority}")) } else { Ok(ends) }
    }
}

/// This host's address on the way to another. Nothing is sent: the route is looked up.
fn towards(there: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if there.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(there).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn io_failed(error: &std::io::Error, words: String) -> HttpError {
    use std::io::ErrorKind as K;
    let certificate = error.get_ref().is_some_and(|inner| inner.to_string().contains("certificate"));
    match error.kind() {
        _ if certificate => HttpError::Untrusted(words),
        K::ConnectionRefused | K::HostUnreachable | K::NetworkUnreachable | K::AddrNotAvailable => {
            HttpError::Unreachable(words)
        }
        // The resolver's failures have no kind of their own (getaddrinfo(3)).
        _ if words.contains("failed to lookup address") => HttpError::Unreachable(words),
        K::TimedOut | K::WouldBlock => HttpError::Slow(words),
        _ => HttpError::Broken(words),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    let items = parse_pem(pem).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
    let certificate = |item| if let PemItem::Certificate(certificate) = item { Some(certificate) } else { None };
    let found: Vec<Certificate<'static>> = items.into_iter().filter_map(certificate).collect();
    if found.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(found) }
}

/// Base64 (RFC 4648, 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = |n: usize| match n <= chunk.len() {
            true => char::from(DIGITS[(bits >> (18 - 6 * n) & 63) as usize]),
            false => '=',
        };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Server {
        let patience = Patience { connect: Duration::from_secs(1), reply: Duration::from_secs(2) };
        Server::new(url, ("a-key", "a-secret"), None, patience).expect("a server")
    }

    #[test]
    fn base64_as_the_rfc_has_it() {
        for (text, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }

    #[test]
    fn nothing_shows_what_is_secret() {
        let server = server("http://127.0.0.1:1");
        assert!(!format!("{server:?}").contains("secret"));
        assert_eq!(server.hidden("no a-secret of a-key\u{1b}[2J"), "no (hidden) of (hidden)\\u{1b}[2J");
        assert!(matches!(server.get("/x"), Err(HttpError::Unreachable(_))));
    }

    #[test]
    fn the_way_to_a_server_has_two_ends() {
        let ends =
            |url| server(url).ends().map(|ends| ends.iter().map(|(a, b)| format!("{a} {b}")).collect::<Vec<_>>());
        assert_eq!(ends("http://127.0.0.1:8080"), Ok(vec!["127.0.0.1 127.0.0.1:8080".to_owned()]));
        assert_eq!(ends("https://[::1]"), Ok(vec!["::1 [::1]:443".to_owned()]));
        assert!(ends("http://localhost:8080").is_ok_and(|ends| !ends.is_empty()));
        let absent = ends("https://firewall.invalid").expect_err("no address");
        assert!(absent.starts_with("the name in firewall.invalid has no address: "), "{absent}");
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert_eq!(certificates(b"hello").expect_err("none"), "there is no certificate in it");
    }
}
