//! Opening: the file and its directory, the settings of the connection, the schema.

use super::row::fault;
use super::{Result, State, StateError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use rusqlite_migration::{M, Migrations};
use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// "AFO1" in the file's header, so that file(1) and AFO know whose it is.
const APPLICATION_ID: i64 = 0x4146_4f31;

/// Numbered by their place; one that was released is never edited.
const STEPS: &[M<'_>] =
    &[M::up(include_str!("schema.sql")), M::up(include_str!("events.sql")), M::up(include_str!("approvals.sql"))];
const MIGRATIONS: Migrations<'_> = Migrations::from_slice(STEPS);

/// Between two attempts where SQLite itself does not wait.
const PAUSE: Duration = Duration::from_millis(20);

/// What the state is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To read only; the file must be there.
    Read,
    /// To read and write; what is missing is made.
    Write,
}

pub(super) fn memory() -> Result<State> {
    let path = PathBuf::from(":memory:");
    let db = Connection::open_in_memory().map_err(|e| fault(&path, 0, &e))?;
    prepare(State { db, path, file: None, seconds: 0 }, Access::Write)
}

pub(super) fn file(path: &Path, access: Access, seconds: u64) -> Result<State> {
    let flags = match access {
        Access::Read => look(path).map(|()| OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        Access::Write => make(path).map(|()| OpenFlags::SQLITE_OPEN_READ_WRITE)?,
    };
    let open = |name: &Path, flags| Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let failed = |e| fault(path, seconds, &e);
    let mut db = open(path, flags).map_err(failed)?;
    if access == Access::Read && unreachable_log(&db) {
        let frozen = flags | OpenFlags::SQLITE_OPEN_URI;
        db = open(Path::new(&immutable(path)), frozen).map_err(failed)?;
    }
    let meta = std::fs::metadata(path).map_err(|e| refused(path, "open", &e))?;
    let state = State { db, path: path.to_owned(), file: Some((meta.dev(), meta.ino())), seconds };
    prepare(state, access)
}

/// Whether the write-ahead log cannot be had: it is not there and may not be made in this directory or file system. Then nobody
/// writes, and the database file alone is the whole state.
fn unreachable_log(db: &Connection) -> bool {
    let first = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    first.is_err_and(|e| matches!(e.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)))
}

fn immutable(path: &Path) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-".contains(b);
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    let name: String =
        bytes.iter().map(|b| if plain(b) { char::from(*b).to_string() } else { format!("%{b:02x}") }).collect();
    format!("file:{name}?immutable=1")
}

/// Whether the file is there and may be read. It is never opened besides SQLite: closing any descriptor of it would drop this
/// process's locks on it (fcntl(2)).
fn look(path: &Path) -> Result<()> {
    may(path, rustix::fs::Access::READ_OK, "read")
}

fn may(path: &Path, what: rustix::fs::Access, verb: &'static str) -> Result<()> {
    let meta = std::fs::metadata(path).map_err(|e| refused(path, verb, &e))?;
    if !meta.is_file() {
        return Err(StateError::Foreign { path: path.to_owned(), what: "not a regular file" });
    }
    rustix::fs::access(path, what).map_err(|e| refused(path, verb, &e.into()))
}

fn make(path: &Path) -> Result<()> {
    let refused = |e: std::io::Error| refused(path, "write", &e);
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o750).create(parent).map_err(refused)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o640).open(path) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            may(path, rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK, "write")
        }
        Err(e) => Err(refused(e)),
    }
}

fn refused(path: &Path, verb: &'static str, cause: &std::io::Error) -> StateError {
    let path = path.to_owned();
    match cause.kind() {
        ErrorKind::NotFound => StateError::Missing { path },
        ErrorKind::PermissionDenied => StateError::Denied { path, verb },
        ErrorKind::ReadOnlyFilesystem => StateError::ReadOnly { path },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StateError::Full { path },
        _ => StateError::Open { path, cause: cause.to_string() },
    }
}

fn prepare(mut state: State, access: Access) -> Result<State> {
    let failed = |e: rusqlite::Error, state: &State| state.fault(&e);
    (|| {
        state.db.busy_timeout(Duration::from_secs(state.seconds))?;
        state.db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        state.db.set_prepared_statement_cache_capacity(64);
        state.db.pragma_update(None, "foreign_keys", true)
    })()
    .map_err(|e| failed(e, &state))?;
    match access {
        Access::Read => match made(&state)? {
            found if found == STEPS.len() => Ok(state),
            found => Err(StateError::TooOld { path: state.path.clone(), found, known: STEPS.len() }),
        },
        Access::Write => {
            recognise(&state)?;
            journal(&state).map_err(|e| failed(e, &state))?;
            migrate(&mut state)?;
            Ok(state)
        }
    }
}

/// The version of the schema. An empty file is one that another process makes into a state just now: whoever reads waits for it,
/// and finds version 0 where nobody does.
fn made(state: &State) -> Result<usize> {
    for _ in 0..state.seconds * 50 {
        match recognise(state)? {
            None => std::thread::sleep(PAUSE),
            Some(version) => return Ok(version),
        }
    }
    Ok(recognise(state)?.unwrap_or(0))
}

/// The version of the schema, none for an empty file.
fn recognise(state: &State) -> Result<Option<usize>> {
    let path = || state.path.clone();
    match marks(&state.db).map_err(|e| state.fault(&e))? {
        (0, 0, 0) => Ok(None),
        (APPLICATION_ID, version, _) => match usize::try_from(version) {
            Ok(found) if found <= STEPS.len() => Ok(Some(found)),
            Ok(found) => Err(StateError::TooNew { path: path(), found, known: STEPS.len() }),
            Err(_) => Err(StateError::Corrupt { path: path(), cause: format!("its schema has the number {version}") }),
        },
        _ => Err(StateError::Foreign { path: path(), what: "a database of another program" }),
    }
}

/// The application's number, the schema's number, and how many tables and indexes there are: all of one moment, because another
/// process may be making the state just now.
fn marks(db: &Connection) -> rusqlite::Result<(i64, i64, i64)> {
    let moment = Transaction::new_unchecked(db, TransactionBehavior::Deferred)?;
    let number = |query: &str| moment.query_row(query, [], |row| row.get::<_, i64>(0));
    Ok((
        number("SELECT * FROM pragma_application_id")?,
        number("SELECT * FROM pragma_user_version")?,
        number("SELECT count(*) FROM sqlite_schema")?,
    ))
}

/// The log stays when the last process closes, emptied into the file: who may only read could not make it again.
fn journal(state: &State) -> rusqlite::Result<()> {
    let db = &state.db;
    db.pragma_update(None, "synchronous", "FULL")?;
    if state.file.is_none() {
        return Ok(());
    }
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.pragma_update(None, "journal_size_limit", 8 << 20)?;
    patiently(state, || db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)))?;
    Ok(())
}

/// The change to WAL does not wait for others by itself (sqlite.org/wal.html, "Activating And Configuring WAL Mode").
fn patiently<T>(state: &State, attempt: impl Fn() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    for _ in 0..state.seconds * 50 {
        match attempt() {
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    attempt()
}

/// Two processes may find the same empty file: the one that comes second finds the tables made and the version right.
fn migrate(state: &mut State) -> Result<()> {
    state.db.set_transaction_behavior(TransactionBehavior::Immediate);
    let Err(error) = MIGRATIONS.to_latest(&mut state.db) else { return Ok(()) };
    match (recognise(state), error) {
        (Ok(Some(version)), _) if version == STEPS.len() => Ok(()),
        (_, rusqlite_migration::Error::RusqliteError { err, .. }) => Err(state.fault(&err)),
        (_, other) => Err(StateError::Failed { path: state.path.clone(), cause: other.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample::{anna, at, on_disk};

    #[test]
    fn the_schema_is_sound() {
        assert_eq!(MIGRATIONS.validate(), Ok(()));
        let state = memory().expect("memory");
        assert_eq!(recognise(&state), Ok(Some(STEPS.len())));
    }

    fn words(path: &Path, access: Access) -> String {
        let error = State::open_patient(path, access, 0).expect_err("refused");
        error.to_string().replace(&*path.to_string_lossy(), "PATH")
    }

    #[test]
    fn directory_and_file_are_made_for_owner_and_group_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/b/state.db");
        assert_eq!(words(&path, Access::Read), "cannot open the state PATH: no such file");
        drop(State::open(&path, Access::Write).expect("made"));
        let mode = |name: &str| std::fs::metadata(path.with_file_name(name)).expect(name).mode() & 0o7777;
        let others = 0o007;
        assert_eq!([mode("state.db") & others, mode("state.db-wal") & others, mode(".") & others], [0, 0, 0]);
        assert_eq!((mode("state.db") & !0o640, mode(".") & !0o750), (0, 0));
        assert!(State::open(&path, Access::Read).expect("readable").setting("audit_head").expect("read").is_some());
    }

    #[test]
    fn who_reads_cannot_write() {
        let (_dir, state) = on_disk();
        let mut reader = State::open(state.path(), Access::Read).expect("readable");
        let error = reader.begin(at(0), &anna()).and_then(|change| change.set("a", "b")).expect_err("read-only");
        assert!(matches!(error, StateError::ReadOnly { .. }), "{error}");
    }

    #[test]
    fn what_is_no_state_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let text = dir.path().join("notes.txt");
        std::fs::write(&text, "this is no database, though it is long enough to have had a header\n".repeat(40))
            .expect("written");
        let before = std::fs::read(&text).expect("read");
        assert_eq!(words(&text, Access::Write), "PATH is no state of AFO: not an SQLite database");
        assert_eq!(std::fs::read(&text).expect("read"), before);
        let other = dir.path().join("other.db");
        Connection::open(&other).expect("made").execute_batch("CREATE TABLE t (x)").expect("a table");
        assert_eq!(words(&other, Access::Write), "PATH is no state of AFO: a database of another program");
        assert_eq!(words(&other, Access::Read), "PATH is no state of AFO: a database of another program");
        for access in [Access::Read, Access::Write] {
            assert_eq!(words(dir.path(), access), "PATH is no state of AFO: not a regular file");
            assert_eq!(words(Path::new("/dev/null"), access), "PATH is no state of AFO: not a regular file");
        }
    }

    #[test]
    fn another_schema_is_named() {
        let (_dir, state) = on_disk();
        state.db.pragma_update(None, "user_version", 99).expect("set");
        let known = STEPS.len();
        let newer = format!("the state PATH has schema 99, newer than {known}, the newest that this program knows");
        assert_eq!([words(&state.path, Access::Write), words(&state.path, Access::Read)], [newer.clone(), newer]);
        state.db.pragma_update(None, "user_version", 0).expect("set");
        let older = format!("the state PATH has schema 0, older than {known}, and is open for reading only");
        assert_eq!(words(&state.path, Access::Read), older);
    }

    #[test]
    fn a_deleted_or_replaced_file_takes_no_change() {
        let (dir, mut state) = on_disk();
        std::fs::remove_dir_all(dir.path()).expect("removed");
        let error = state.begin(at(0), &anna()).expect_err("gone");
        assert!(error.to_string().ends_with("was deleted or replaced while it was in use"), "{error}");
        std::fs::create_dir(dir.path()).expect("made");
        std::fs::write(&state.path, "").expect("another file");
        assert!(matches!(state.begin(at(0), &anna()), Err(StateError::Gone { .. })));
    }

    #[test]
    fn a_lock_that_does_not_end_is_reported_and_changes_nothing() {
        let (_dir, mut state) = on_disk();
        let mut other = State::open_patient(&state.path, Access::Write, 1).expect("a second one");
        let change = state.begin(at(0), &anna()).expect("the lock");
        let error = other.begin(at(0), &anna()).expect_err("locked").to_string();
        assert!(error.contains(" is locked by ") && error.ends_with(" for more than 1 s"), "{error}");
        assert_eq!(other.setting("daemon_state"), Ok(None), "who reads does not wait");
        drop(change);
        other.begin(at(0), &anna()).expect("free again");
    }

    #[test]
    fn a_closed_state_is_whole_in_its_one_file() {
        let (dir, mut state) = on_disk();
        let change = state.begin(at(0), &anna()).expect("begin");
        change.set("daemon_state", "running").expect("set");
        change.commit().expect("commit");
        let path = state.path.clone();
        drop(state);
        let copy = dir.path().join("copy.db");
        std::fs::copy(&path, &copy).expect("copied");
        let copied = State::open(&copy, Access::Read).expect("readable");
        assert_eq!(copied.setting("daemon_state"), Ok(Some("running".into())));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_no_panic() {
        let (_dir, state) = on_disk();
        let path = state.path.clone();
        drop(state);
        for log in ["state.db-wal", "state.db-shm"] {
            std::fs::remove_file(path.with_file_name(log)).expect("it would heal the file");
        }
        let mut bytes = std::fs::read(&path).expect("read");
        bytes[4096..].fill(0xff);
        std::fs::write(&path, bytes).expect("written");
        let state = State::open(&path, Access::Write);
        let error = state.and_then(|state| state.live_blocks(at(0)).map(drop)).expect_err("damaged");
        assert!(error.to_string().contains("state.db is damaged: "), "{error}");
    }

    #[test]
    fn many_may_make_the_same_state_at_once() {
        for round in 0..10 {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("state.db");
            // Whoever reads needs a file; who writes makes it.
            let readers = if round % 2 == 0 { 0 } else { 4 };
            if readers > 0 {
                std::fs::write(&path, "").expect("an empty file");
            }
            let one = |n: usize| {
                let (path, access) = (path.clone(), if n < readers { Access::Read } else { Access::Write });
                std::thread::spawn(move || State::open_patient(&path, access, 60).map(drop))
            };
            let all: Vec<_> = (0..8).map(one).collect();
            for (n, one) in all.into_iter().enumerate() {
                assert_eq!(one.join().expect("no panic"), Ok(()), "round {round}, number {n}");
            }
        }
    }

    /// One makes the state and takes everything out again, all the time: the other must never see a part of it.
    #[test]
    fn a_state_is_seen_made_or_empty_and_never_half_made() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state.db");
        let maker = Connection::open(&path).expect("made");
        maker.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF").expect("set");
        let db = Connection::open(&path).expect("opened");
        let other = State { db, path, file: None, seconds: 5 };
        let marks = |id: i64, version: i64| format!("PRAGMA application_id = {id}; PRAGMA user_version = {version};");
        let make = format!("BEGIN IMMEDIATE; {} CREATE TABLE t (x); COMMIT", marks(APPLICATION_ID, 1));
        let unmake = format!("BEGIN IMMEDIATE; {} DROP TABLE t; COMMIT", marks(0, 0));
        let maker = std::thread::spawn(move || {
            for turn in std::iter::repeat_n([&make, &unmake], 1000).flatten() {
                maker.execute_batch(turn).expect(turn);
            }
        });
        while !maker.is_finished() {
            let found = recognise(&other);
            assert!(matches!(found, Ok(None | Some(1))), "{found:?}");
        }
        maker.join().expect("no panic");
    }

    #[test]
    fn an_empty_file_that_nobody_makes_into_a_state_is_refused_to_readers() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state.db");
        std::fs::write(&path, "").expect("an empty file");
        assert_eq!(
            words(&path, Access::Read),
            format!("the state PATH has schema 0, older than {}, and is open for reading only", STEPS.len())
        );
        assert_eq!(State::open_patient(&path, Access::Write, 0).map(drop), Ok(()));
        assert_eq!(State::open_patient(&path, Access::Read, 0).map(drop), Ok(()));
    }

    #[test]
    fn odd_names_become_an_address() {
        assert_eq!(immutable(Path::new("/a b/s?.db")), "file:/a%20b/s%3f.db?immutable=1");
    }
}
