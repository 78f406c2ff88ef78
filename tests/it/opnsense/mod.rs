//! An OPNsense firewall over its API, as a person uses it: what is refused, what is put back, and by whom.

mod blocks;
mod deploy;
mod faults;
mod judged;
mod savepoint;
mod server;
mod tls;

use crate::kernel::feed;
use crate::shell::{Ended, afo};
use crate::tree::bin;
use serde_json::{Value, json};
use server::{Fault, Server};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A place with a configuration, a key and a state.
pub struct Place {
    directory: TempDir,
}

impl Place {
    /// One for the firewall at `url`, with further lines of its section.
    pub fn new(url: &str, more: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let place = Self { directory };
        place.write("key.txt", "key=test-key\nsecret=test-secret\n");
        let key = place.path("key.txt");
        let text = format!(
            "[deploy]\nbackend = \"opnsense\"\n[opnsense]\nurl = \"{url}\"\ncredentials = \"{}\"\n{more}\n",
            key.display()
        );
        place.write("afo.toml", &text);
        place
    }

    /// One for a server without TLS.
    pub fn of(server: &Server) -> Self {
        Self::new(&format!("http://{}", server.address), "")
    }

    /// As [`of`](Self::of), for a server that fails once: for a reply that never comes nobody waits long.
    pub fn beside(server: &Server, fault: &Fault) -> Self {
        let more = if matches!(fault, Fault::Slow) { "reply_seconds = 5" } else { "" };
        Self::new(&format!("http://{}", server.address), more)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file that its owner alone reads.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    /// A command here.
    pub fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = afo(name, args);
        command.arg("--config").arg(self.path("afo.toml"));
        if ["afo-deploy", "afo-queue"].contains(&name) {
            command.arg("--state").arg(self.path("state.db"));
        }
        command
    }

    /// Runs a command here over `input`.
    pub fn run(&self, name: &str, args: &[&str], input: &str) -> Ended {
        feed(&mut self.command(name, args), input.as_bytes()).into()
    }

    /// Runs afo-deploy here.
    pub fn deploy(&self, args: &[&str], input: &str) -> Ended {
        self.run("afo-deploy", args, input)
    }

    /// Starts afo-deploy here and leaves it.
    pub fn start(&self, args: &[&str], input: &str) -> Child {
        let mut command = self.command("afo-deploy", args);
        std::fs::write(self.path("input"), input).expect("written");
        let input = std::fs::File::open(self.path("input")).expect("it is there");
        command.stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap_or_else(|e| panic!("{}: {e}", bin("afo-deploy").display()))
    }

    /// The status of the newest deployment in the state.
    pub fn newest(&self) -> String {
        let mut command = afo("afo-log", &["deployments", "--json"]);
        command.arg("--config").arg(self.path("afo.toml")).arg("--state").arg(self.path("state.db"));
        let ended: Ended = feed(&mut command, b"").into();
        let last = ended.of_kind("deployment").pop();
        last.map_or("none".to_owned(), |row| row["status"].as_str().unwrap_or_default().to_owned())
    }
}

/// A proposal of rules, as a person pipes it.
pub fn proposal(rules: &Value) -> String {
    let id = format!("p-{}", rules[0]["id"].as_str().unwrap_or_default());
    let proposal = json!({"kind": "proposal", "v": 1, "id": id, "ts": "2026-01-02T03:04:05Z", "ok": true, "origin": {"by": "user"}, "rules": rules});
    format!("{proposal}\n")
}

/// A proposal of a rule that lets a port in.
pub fn opens(port: u16) -> String {
    proposal(
        &json!([{"id": format!("r{port}"), "action": "accept", "direction": "input", "protocol": ["tcp"], "destination_port": [port.to_string()]}]),
    )
}

/// A proposal that bars an address for a time.
pub fn bars(address: &str, seconds: u64) -> String {
    proposal(
        &json!([{"id": format!("b{seconds}"), "action": "drop", "direction": "input", "source_address": [address], "ttl_seconds": seconds}]),
    )
}
