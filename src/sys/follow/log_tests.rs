use super::super::LONGEST;
use super::*;
use proptest::prelude::*;
use std::fs::{File, OpenOptions};
use std::io::Write;
use tempfile::TempDir;

struct Place {
    dir: TempDir,
    log: Log,
    lines: Vec<String>,
}

impl Place {
    fn new(start: Start) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let log = Log::new(dir.path().join("auth.log"), start);
        Self { dir, log, lines: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).expect("open");
        file.write_all(text.as_bytes()).expect("written");
    }

    fn look(&mut self) -> Vec<String> {
        let lines = &mut self.lines;
        lines.clear();
        self.log.pump(&mut |piece| keep(lines, piece)).expect("read");
        lines.clone()
    }

    /// The log as a new process finds it.
    fn restart(&mut self) {
        self.log = Log::new(self.path("auth.log"), Start::At(self.log.positions()));
    }
}

fn keep(lines: &mut Vec<String>, piece: Piece<'_>) {
    match piece {
        Piece::Opened { .. } => {}
        Piece::Line { bytes, .. } => lines.push(String::from_utf8_lossy(bytes).into_owned()),
        Piece::TooLong { length, .. } => lines.push(format!("{length} bytes")),
    }
}

#[test]
fn lines_come_once_and_whole() {
    let mut place = Place::new(Start::Beginning);
    assert_eq!(place.look(), [""; 0]);
    place.append("auth.log", "a\nb");
    assert_eq!(place.look(), ["a"]);
    place.append("auth.log", "c\n\n");
    assert_eq!(place.look(), ["bc", ""]);
    assert_eq!(place.look(), [""; 0]);
}

#[test]
fn from_the_end_takes_what_comes_later() {
    let mut place = Place::new(Start::End);
    place.append("auth.log", "old\nbeg");
    assert_eq!(place.look(), [""; 0]);
    place.append("auth.log", "un\nnew\n");
    assert_eq!(place.look(), ["begun", "new"]);
}

#[test]
fn renamed_and_still_written_to() {
    let mut place = Place::new(Start::Beginning);
    place.append("auth.log", "a\n");
    assert_eq!(place.look(), ["a"]);
    place.append("auth.log", "b\n");
    std::fs::rename(place.path("auth.log"), place.path("auth.log.1")).expect("renamed");
    assert_eq!(place.look(), ["b"]);
    place.append("auth.log.1", "c\n");
    place.append("auth.log", "d\n");
    assert_eq!(place.look(), ["c", "d"]);
    place.append("auth.log.1", "e\n");
    assert_eq!(place.look(), ["e"]);
}

#[test]
fn copied_and_truncated_also_when_it_has_grown_again() {
    let mut place = Place::new(Start::Beginning);
    place.append("auth.log", "first line\nsecond line\n");
    assert_eq!(place.look().len(), 2);
    File::create(place.path("auth.log")).expect("truncated");
    place.append("auth.log", "x\n");
    assert_eq!(place.look(), ["x"]);
    File::create(place.path("auth.log")).expect("truncated");
    place.append("auth.log", "another, longer than what was there\nand one\n");
    assert_eq!(place.look(), ["another, longer than what was there", "and one"]);
    File::create(place.path("auth.log")).expect("truncated");
    place.append("auth.log", "another, with the length of the former\nxxxxx\n");
    assert_eq!(place.look().len(), 2);
}

#[test]
fn deleted_and_made_anew() {
    let mut place = Place::new(Start::Beginning);
    place.append("auth.log", "a\n");
    assert_eq!(place.look(), ["a"]);
    std::fs::remove_file(place.path("auth.log")).expect("deleted");
    assert_eq!(place.look(), [""; 0]);
    place.append("auth.log", "b\n");
    assert_eq!(place.look(), ["b"]);
}

#[test]
fn a_symlink_that_is_swapped() {
    let mut place = Place::new(Start::Beginning);
    place.append("one", "a\n");
    place.append("two", "b\n");
    std::os::unix::fs::symlink(place.path("one"), place.path("auth.log")).expect("link");
    assert_eq!(place.look(), ["a"]);
    std::os::unix::fs::symlink(place.path("two"), place.path("link")).expect("link");
    std::fs::rename(place.path("link"), place.path("auth.log")).expect("swapped");
    assert_eq!(place.look(), ["b"]);
    place.append("one", "c\n");
    assert_eq!(place.look(), ["c"]);
}

#[test]
fn a_restart_after_rotation_finds_its_place() {
    let mut place = Place::new(Start::Beginning);
    place.append("auth.log", "a\n");
    assert_eq!(place.look(), ["a"]);
    place.append("auth.log", "b\n");
    std::fs::rename(place.path("auth.log"), place.path("auth.log.2")).expect("renamed");
    place.append("auth.log.1", "c\n");
    place.append("auth.log", "d\n");
    place.restart();
    assert_eq!(place.look(), ["b", "c", "d"]);
    place.restart();
    assert_eq!(place.look(), [""; 0]);
}

#[test]
fn a_restart_after_a_copy_finds_the_rest_in_the_copy() {
    let mut place = Place::new(Start::Beginning);
    place.append("auth.log", "a\n");
    assert_eq!(place.look(), ["a"]);
    place.append("auth.log", "b\n");
    std::fs::copy(place.path("auth.log"), place.path("auth.log.1")).expect("copied");
    File::create(place.path("auth.log")).expect("truncated");
    place.append("auth.log", "c\n");
    place.restart();
    assert_eq!(place.look(), ["b", "c"]);
    assert!(!place.log.is_gap());
}

#[test]
fn a_restart_without_its_file_says_so() {
    let mut place = Place::new(Start::Beginning);
    place.append("auth.log", "a\n");
    assert_eq!(place.look(), ["a"]);
    std::fs::remove_file(place.path("auth.log")).expect("deleted");
    place.append("auth.log", "b\n");
    place.restart();
    assert_eq!(place.look(), ["b"]);
    assert!(place.log.is_gap());
}

#[test]
fn a_line_that_is_too_long_costs_bounded_memory_and_one_notice() {
    let mut place = Place::new(Start::Beginning);
    place.append("auth.log", "a\n");
    place.append("auth.log", &"x".repeat(10 << 20));
    assert_eq!(place.look(), ["a"]);
    place.append("auth.log", "y\nb\n");
    assert_eq!(place.look(), [format!("{} bytes", (10 << 20) + 1), "b".into()]);
    place.append("auth.log", &format!("{}\nc\n", "z".repeat(LONGEST + 1)));
    assert_eq!(place.look(), [format!("{} bytes", LONGEST + 1), "c".into()]);
    place.restart();
    place.append("auth.log", "d\n");
    assert_eq!(place.look(), ["d"]);
}

#[test]
fn once_takes_the_last_line_without_its_end() {
    let mut place = Place::new(Start::Beginning);
    place.append("auth.log", "a\nb");
    let mut lines = Vec::new();
    while place.log.step(&mut |piece| keep(&mut lines, piece)).expect("read") {}
    assert_eq!(lines, ["a", "b"]);
    let mut absent = Log::new(place.path("absent"), Start::Beginning);
    assert_eq!(absent.step(&mut |_| {}).expect_err("absent").kind(), std::io::ErrorKind::NotFound);
    let mut directory = Log::new(place.dir.path().to_path_buf(), Start::Beginning);
    assert_eq!(directory.step(&mut |_| {}).expect_err("directory").kind(), std::io::ErrorKind::IsADirectory);
}

#[derive(Debug, Clone)]
enum Deed {
    Write(u8),
    Rename,
    CopyTruncate,
    Look,
    Restart,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (1..40u8).prop_map(Deed::Write),
        1 => Just(Deed::Rename),
        1 => Just(Deed::CopyTruncate),
        3 => Just(Deed::Look),
        2 => Just(Deed::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever is done to the files, and whenever it is stopped and started, every line comes once, in order. (A copy that is truncated
    /// between two looks loses what was written in between: nobody can read it. So it is looked at first, as inotify makes it.)
    #[test]
    fn nothing_is_lost_or_repeated(deeds in proptest::collection::vec(deed(), 1..40)) {
        let mut place = Place::new(Start::Beginning);
        let (mut written, mut seen, mut rotated) = (Vec::new(), Vec::new(), 0);
        place.append("auth.log", "");
        seen.extend(place.look());
        for deed in deeds {
            match deed {
                Deed::Write(length) => {
                    let line = format!("{} {}", written.len(), "x".repeat(length.into()));
                    place.append("auth.log", &format!("{line}\n"));
                    written.push(line);
                }
                Deed::Rename => {
                    seen.extend(place.look());
                    rotated += 1;
                    std::fs::rename(place.path("auth.log"), place.path(&format!("auth.log.{rotated}"))).expect("renamed");
                    place.append("auth.log", "");
                }
                Deed::CopyTruncate => {
                    seen.extend(place.look());
                    File::create(place.path("auth.log")).expect("truncated");
                }
                Deed::Look => seen.extend(place.look()),
                Deed::Restart => place.restart(),
            }
        }
        seen.extend(place.look());
        prop_assert_eq!(seen, written);
    }
}
