//! Which program holds a socket, through /proc, as far as the permission goes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// The programs by the inode of their sockets. Only those that `wanted` takes by their name are looked into: looking into
/// every process of a large host takes tens of milliseconds. A socket that several hold belongs to the lowest process.
pub(super) fn owners(wanted: impl Fn(&str) -> bool) -> BTreeMap<u64, String> {
    let mut pids: Vec<u32> = numbers(Path::new("/proc")).collect();
    pids.sort_unstable_by(|a, b| b.cmp(a));
    let mut found = BTreeMap::new();
    for pid in pids {
        let place = Path::new("/proc").join(pid.to_string());
        let Some(name) = program(&place) else { continue };
        if wanted(&name) {
            found.extend(sockets(&place.join("fd")).map(|inode| (inode, name.clone())));
        }
    }
    found
}

/// The name of a process's program, of 15 bytes at most (proc_pid_comm(5)): one read gets all of it.
fn program(place: &Path) -> Option<String> {
    let mut bytes = [0; 64];
    let length = File::open(place.join("comm")).and_then(|mut file| file.read(&mut bytes)).ok()?;
    std::str::from_utf8(&bytes[..length]).ok().map(|name| name.trim_end().to_owned())
}

fn numbers(place: &Path) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn sockets(descriptors: &Path) -> impl Iterator<Item = u64> {
    let entries = fs::read_dir(descriptors).into_iter().flatten().flatten();
    entries.filter_map(|entry| inode(fs::read_link(entry.path()).ok()?.to_str()?))
}

/// `socket:[4242]` (proc_pid_fd(5)).
fn inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Whether a program is one that administrators log in through.
pub(super) fn is_login_server(name: &str) -> bool {
    matches!(name, "sshd" | "dropbear" | "tinysshd") || name.starts_with("sshd-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_descriptors() {
        assert_eq!(inode("socket:[4242]"), Some(4242));
        for target in ["pipe:[1]", "socket:[]", "socket:[-1]", "/dev/null", "socket:[1"] {
            assert_eq!(inode(target), None, "{target}");
        }
    }

    #[test]
    fn this_program_owns_its_socket() {
        let _socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        assert!(!owners(|_| true).is_empty());
        assert!(owners(|_| false).is_empty());
        assert!(is_login_server("sshd-session") && !is_login_server("nginx"));
    }
}
