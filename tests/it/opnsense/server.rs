//! An OPNsense firewall as its API shows it: a small state machine of rules and aliases behind HTTP, written from the documented requests
//! and what the controllers answer. It can be told to fail in one place.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

/// The header of the key `test-key` with the secret `test-secret`.
const KEY: &str = "Basic dGVzdC1rZXk6dGVzdC1zZWNyZXQ=";

/// How a request fails.
#[derive(Debug, Clone)]
pub enum Fault {
    /// With this status and message; nothing is done.
    Status(u16, &'static str),
    /// No reply comes for as long as anybody waits; it is done.
    Slow,
    /// Half of a reply; it is done.
    Half,
    /// The connection is closed; it is done.
    Lost,
    /// The connection is closed, it is done, and nothing answers any more.
    Down,
    /// To another place.
    Redirect,
    /// A page instead of JSON.
    Page,
    /// Somebody else adds a rule first; then it is done.
    Meddled,
    /// What the request says is not valid.
    Invalid,
}

/// A fault, on the n-th request (from 1) whose path holds a text, or on all from there on.
#[derive(Debug, Clone)]
pub struct When {
    pub path: &'static str,
    pub nth: usize,
    pub for_good: bool,
    pub fault: Fault,
}

/// What the firewall holds.
#[derive(Debug, Default)]
pub struct Firewall {
    pub rules: Vec<Map<String, Value>>,
    /// What pf has: the enabled rules at the last `apply`, by their descriptions.
    pub loaded: Vec<String>,
    pub aliases: Vec<Map<String, Value>>,
    /// Port forwards; a version without their list has none.
    pub forwards: Vec<Value>,
    pub tables: BTreeMap<String, BTreeSet<String>>,
    pub seen: Vec<String>,
    /// Whose connections were ended.
    pub ended: Vec<String>,
    /// Whether it is of a version that has savepoints, and by which controller.
    pub savepoints: Option<&'static str>,
    /// The rules of the last savepoint, and whether its timer runs.
    saved: Option<(Vec<Map<String, Value>>, bool)>,
    faults: Vec<(When, usize)>,
    /// How many requests failed.
    pub failed: usize,
    made: usize,
}

/// A firewall that is listened to.
#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    firewall: Arc<Mutex<Firewall>>,
}

/// A stream of either kind.
pub trait Line: Read + Write {}
impl<T: Read + Write> Line for T {}

/// What turns a connection into one that carries HTTP: nothing, or TLS.
pub type Wrap = Arc<dyn Fn(TcpStream) -> Option<Box<dyn Line>> + Send + Sync>;

impl Server {
    /// A firewall with a rule of its own, on loopback.
    pub fn start() -> Self {
        Self::wrapped(Arc::new(|stream| Some(Box::new(stream))))
    }

    /// As [`start`](Self::start), behind TLS.
    pub fn wrapped(wrap: Wrap) -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let address = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().expect("an address").port()));
        let server = Self { address, firewall: Arc::default() };
        server.lock().rules.push(row(&json!({
            "uuid": "user-1", "enabled": "1", "action": "pass", "quick": "1", "direction": "in", "ipprotocol": "inet", "interface": "lan",
            "protocol": "TCP", "source_net": "any", "destination_net": "any", "destination_port": "443", "sequence": "10", "description": "people's own"
        })));
        let own = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (own, wrap) = (own.clone(), wrap.clone());
                std::thread::spawn(move || own.serve(stream, &wrap));
            }
        });
        server
    }

    /// What it holds.
    pub fn lock(&self) -> MutexGuard<'_, Firewall> {
        self.firewall.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Lets it fail.
    pub fn fail(&self, path: &'static str, nth: usize, fault: Fault) {
        self.lock().faults = vec![(When { path, nth, for_good: false, fault }, 0)];
    }

    /// Lets it fail from the n-th request on.
    pub fn fail_for_good(&self, path: &'static str, nth: usize, fault: Fault) {
        self.lock().faults = vec![(When { path, nth, for_good: true, fault }, 0)];
    }

    /// Lets it work.
    pub fn mend(&self) {
        self.lock().faults.clear();
    }

    fn serve(&self, stream: TcpStream, wrap: &Wrap) {
        let raw = stream.try_clone().expect("a handle");
        let Some(mut line) = wrap(stream) else { return };
        let Some((method, path, authorization, body)) = request(line.as_mut()) else { return };
        let fault = self.lock().fault(&path);
        let reply = self.answer(&method, &path, &authorization, &body, fault.as_ref());
        let sent = match (&fault, reply) {
            (Some(Fault::Lost | Fault::Down), _) => Ok(()),
            (Some(Fault::Half), (_, _, text)) => {
                write!(
                    line,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                    text.len(),
                    &text[..text.len() / 2]
                )
            }
            (Some(Fault::Slow), _) => {
                // Until whoever asked goes away.
                let _ = line.read(&mut [0]);
                Ok(())
            }
            (_, (status, kind, text)) => {
                let more = if status == 302 { "Location: https://elsewhere.example/\r\n" } else { "" };
                write!(
                    line,
                    "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
                    text.len()
                )
            }
        };
        let _ = sent.and_then(|()| line.flush());
        let _ = raw.shutdown(Shutdown::Both);
    }

    fn answer(
        &self,
        method: &str,
        path: &str,
        authorization: &str,
        body: &Value,
        fault: Option<&Fault>,
    ) -> (u16, &'static str, String) {
        const JSON: &str = "application/json; charset=UTF-8";
        let refused =
            |status: u16, words: &str| (status, JSON, json!({ "status": status, "message": words }).to_string());
        if authorization != KEY {
            return refused(401, "Authentication Failed");
        }
        match fault {
            Some(Fault::Status(status, words)) => return refused(*status, words),
            Some(Fault::Redirect) => return (302, JSON, String::new()),
            Some(Fault::Page) => return (200, "text/html", "<html>login</html>".to_owned()),
            Some(Fault::Invalid) => {
                let said =
                    json!({ "result": "failed", "validations": { "rule.source_net": "test-secret is not valid" } });
                return (200, JSON, said.to_string());
            }
            Some(Fault::Meddled) => self.lock().meddle(),
            _ => {}
        }
        if matches!(fault, Some(Fault::Down)) {
            let reply = self.lock().reply(method, path, body).unwrap_or_default();
            self.fail_for_good("/api/", 1, Fault::Status(500, "busy"));
            return (200, JSON, reply.to_string());
        }
        let mut firewall = self.lock();
        firewall.seen.push(format!("{method} {path}"));
        match firewall.reply(method, path, body) {
            Some(value) => (200, JSON, value.to_string()),
            None => refused(404, "Endpoint not found"),
        }
    }
}

fn row(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

fn request(line: &mut dyn Line) -> Option<(String, String, String, Value)> {
    let mut reader = BufReader::new(line);
    let mut words = String::new();
    reader.read_line(&mut words).ok()?;
    let mut first = words.split_whitespace();
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut head = String::new();
        reader.read_line(&mut head).ok()?;
        let Some((name, value)) = head.trim_end().split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => value.clone_into(&mut authorization),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, authorization, serde_json::from_slice(&body).unwrap_or_default()))
}

impl Firewall {
    fn fault(&mut self, path: &str) -> Option<Fault> {
        let (when, count) = self.faults.iter_mut().find(|(when, _)| path.contains(when.path))?;
        *count += 1;
        let fails = *count == when.nth || when.for_good && *count > when.nth;
        self.failed += usize::from(fails);
        fails.then(|| when.fault.clone())
    }

    /// Another administrator is at work.
    fn meddle(&mut self) {
        self.made += 1;
        let uuid = format!("other-{}", self.made);
        self.rules.push(row(&json!({ "uuid": uuid, "enabled": "1", "action": "block", "quick": "1", "direction": "in", "ipprotocol": "inet",
            "protocol": "UDP", "destination_port": "9", "sequence": "77", "description": "another's" })));
    }

    fn reply(&mut self, method: &str, path: &str, body: &Value) -> Option<Value> {
        let words: Vec<&str> = path.trim_start_matches("/api/").split('?').next()?.split('/').collect();
        match (method, words.as_slice()) {
            ("GET", ["firewall", "filter", "search_rule"]) => Some(self.listed()),
            ("GET", ["firewall", "alias", "search_item"]) => {
                Some(json!({ "rows": self.aliases, "total": self.aliases.len() }))
            }
            ("GET", ["firewall", "d_nat", "search_rule"]) if !self.forwards.is_empty() => {
                Some(json!({ "rows": self.forwards, "total": self.forwards.len() }))
            }
            ("POST", ["firewall", "alias_util", "list", name]) => {
                let rows: Vec<Value> = self.tables.get(*name)?.iter().map(|ip| json!({ "ip": ip })).collect();
                Some(json!({ "total": rows.len(), "rowCount": -1, "current": 1, "rows": rows }))
            }
            ("POST", ["firewall", controller, action, rest @ ..])
                if self.savepoints == Some(controller)
                    && (["savepoint", "cancelRollback"].contains(action) || *action == "apply" && !rest.is_empty()) =>
            {
                Some(self.guard(action, rest))
            }
            ("POST", ["firewall", "filter", action, rest @ ..]) => self.rule(action, rest, body),
            ("POST", ["firewall", "alias", action, rest @ ..]) => self.alias(action, rest, body),
            ("POST", ["firewall", "alias_util", action, name]) => {
                let (address, table) = (body["address"].as_str()?.to_owned(), self.tables.get_mut(*name)?);
                let _ = if *action == "add" { table.insert(address) } else { table.remove(&address) };
                Some(json!({ "status": "done" }))
            }
            ("POST", ["diagnostics", "firewall", "kill_states"]) => {
                self.ended.push(body["filter"].as_str()?.to_owned());
                Some(json!({ "result": "ok", "dropped_states": 1 }))
            }
            _ => None,
        }
    }

    fn guard(&mut self, action: &str, rest: &[&str]) -> Value {
        const REVISION: &str = "1700000000.5";
        match action {
            "savepoint" => {
                self.saved = Some((self.rules.clone(), false));
                json!({ "status": "ok", "retention": "60", "revision": REVISION })
            }
            "apply" => {
                self.saved.iter_mut().for_each(|(_, runs)| *runs = rest == [REVISION]);
                self.rule("apply", &[], &Value::Null).unwrap_or_default()
            }
            _ => {
                let ran = self.saved.as_mut().is_some_and(|(_, runs)| rest == [REVISION] && std::mem::take(runs));
                json!({ "status": if ran { "OK" } else { "Error (1)" } })
            }
        }
    }

    /// Whether the timer of a savepoint runs.
    pub fn is_guarded(&self) -> bool {
        self.saved.as_ref().is_some_and(|(_, runs)| *runs)
    }

    /// Its minute is over.
    pub fn roll_back(&mut self) {
        if let Some((rules, true)) = self.saved.take() {
            self.rules = rules;
            let _ = self.rule("apply", &[], &Value::Null);
        }
    }

    fn listed(&self) -> Value {
        let order = |rule: &Map<String, Value>| {
            let one = rule
                .get("interface")
                .and_then(Value::as_str)
                .is_some_and(|name| !name.is_empty() && !name.contains(','));
            let sequence: u32 = rule["sequence"].as_str().and_then(|n| n.parse().ok()).unwrap_or(1);
            format!("{}.0{sequence:06}", if one { 400_000 } else { 200_000 })
        };
        let shown = |rule: &Map<String, Value>| {
            let mut rule = rule.clone();
            rule.insert("sort_order".to_owned(), order(&rule).into());
            rule.insert("category_colors".to_owned(), json!([]));
            rule.insert("packets".to_owned(), json!(3));
            Value::Object(rule)
        };
        let mut rows: Vec<Value> = self.rules.iter().map(shown).collect();
        let own = |uuid: usize, quick: bool, action: &str, direction: &str, order: &str, words: &str| {
            json!({ "uuid": format!("auto-{}-{uuid}", self.seen.len()), "legacy": true, "is_automatic": true, "enabled": "1", "action": action, "quick": quick,
                "direction": direction, "ipprotocol": "inet46", "protocol": "", "source_net": "any", "destination_net": "any", "interface": "",
                "description": words, "sort_order": order })
        };
        rows.push(own(1, false, "block", "in", "000001.1000001", "Default deny / state violation rule"));
        rows.push(own(2, false, "pass", "out", "100000.1000002", "let out anything from firewall host itself"));
        json!({ "rows": rows, "total": rows.len(), "rowCount": -1, "current": 1 })
    }

    fn rule(&mut self, action: &str, rest: &[&str], body: &Value) -> Option<Value> {
        let uuid = rest.first().copied().unwrap_or_default();
        let at = self.rules.iter().position(|rule| rule["uuid"] == uuid);
        match action {
            "add_rule" => {
                self.made += 1;
                let mut rule = row(body.get("rule")?);
                let uuid = format!("uuid-{}", self.made);
                rule.insert("uuid".to_owned(), uuid.clone().into());
                self.rules.push(rule);
                Some(json!({ "result": "saved", "uuid": uuid }))
            }
            "set_rule" => {
                let rule = self.rules.get_mut(at?)?;
                rule.extend(row(body.get("rule")?));
                Some(json!({ "result": "saved" }))
            }
            "del_rule" => Some(json!({ "result": at.map_or("not found", |at| { self.rules.remove(at); "deleted" }) })),
            "toggle_rule" => {
                let on = *rest.get(1)?;
                self.rules.get_mut(at?)?.insert("enabled".to_owned(), on.into());
                Some(json!({ "result": if on == "1" { "Enabled" } else { "Disabled" }, "changed": true }))
            }
            "apply" => {
                let on = self.rules.iter().filter(|rule| rule["enabled"] == "1");
                self.loaded = on.map(|rule| rule["description"].as_str().unwrap_or_default().to_owned()).collect();
                Some(json!({ "status": "OK\n\n" }))
            }
            _ => None,
        }
    }

    fn alias(&mut self, action: &str, rest: &[&str], body: &Value) -> Option<Value> {
        match action {
            "add_item" => {
                self.made += 1;
                let mut alias = row(body.get("alias")?);
                let uuid = format!("uuid-{}", self.made);
                alias.insert("uuid".to_owned(), uuid.clone().into());
                self.tables.insert(alias["name"].as_str()?.to_owned(), BTreeSet::new());
                self.aliases.push(alias);
                Some(json!({ "result": "saved", "uuid": uuid }))
            }
            "del_item" => {
                self.aliases.retain(|alias| alias["uuid"] != rest[0]);
                Some(json!({ "result": "deleted" }))
            }
            "reconfigure" => Some(json!({ "status": "ok" })),
            _ => None,
        }
    }

    /// The rules of AFO's, by their descriptions, with whether they are on.
    pub fn own(&self) -> Vec<String> {
        let own = self
            .rules
            .iter()
            .filter(|rule| rule["description"].as_str().is_some_and(|words| words.starts_with("afo ")));
        own.map(|rule| {
            format!(
                "{} {}",
                rule["description"].as_str().unwrap_or_default(),
                rule["enabled"].as_str().unwrap_or_default()
            )
        })
        .collect()
    }
}
