//! Who runs this program: by the kernel, not by what the environment says.

use std::fs;
use std::io::{self, IsTerminal};

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name in /etc/passwd, else `uid N`.
    pub name: String,
    pub uid: u32,
}

/// The user who logged in (the kernel keeps it through sudo: /proc/self/loginuid), or the one this process runs as where nobody did.
pub fn current() -> User {
    let own = rustix::process::getuid().as_raw();
    let login = fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| text.trim().parse().ok());
    let uid = login.filter(|uid| *uid != u32::MAX).unwrap_or(own);
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    User { name: name_in(&passwd, uid).unwrap_or_else(|| format!("uid {uid}")), uid }
}

/// The terminal that a person sits at, such as `/dev/pts/3`: stderr is one, and it is the one that this process is controlled from.
pub fn terminal() -> Option<String> {
    let controlled = fs::File::options().read(true).write(true).open("/dev/tty").is_ok();
    let name = fs::read_link("/proc/self/fd/2").ok().filter(|_| controlled && io::stderr().is_terminal())?;
    Some(name.to_string_lossy().into_owned())
}

fn name_in(passwd: &str, uid: u32) -> Option<String> {
    let mut rows = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let row = rows.find(|row| row.get(2).is_some_and(|field| field.parse() == Ok(uid)))?;
    row.first().map(|name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nops:x:1000:1000::/home/ops:/bin/sh\n";
        assert_eq!(name_in(passwd, 1000).as_deref(), Some("ops"));
        assert_eq!(name_in(passwd, 7), None);
    }
}
