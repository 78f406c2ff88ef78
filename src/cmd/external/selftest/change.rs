//! The lines of the contract that change what AFO has in the backend: apply, restore, and what a death in between leaves.

use super::look::{GARBAGE, written};
use super::sample::base;
use super::{Held, Trial, block, listed, same, session};
use crate::cmd::external::{External, Listed, Session};
use crate::record::{BackendReply, BackendRequest, Verb};
use crate::sys::clock;

/// A backend that was told to apply is killed at so many moments of the time that it takes for that.
const MOMENTS: u32 = 6;

/// Marks with what a program may forget to quote.
const MARKS: [&str; 2] = [r#"{"first":"\"ä'$(x)\\ %s"}"#, "second"];

/// What the rest of the test begins with: two texts, and what is listed once the first was applied.
pub(super) struct Ground {
    pub texts: [String; 2],
    pub first: Listed,
}

/// Holds them against a backend.
pub(super) fn tried(trial: &mut Trial, external: &External) {
    let line = "what was applied is listed as native, with its mark, to every process, and with another revision";
    let ground = match applied(external) {
        Ok(ground) => ground,
        Err(why) => {
            trial.note("apply", line, Err(why));
            return;
        }
    };
    trial.note("apply", line, Ok(()));
    let line = "with another revision than the listed one nothing is applied, and `stale` says so";
    trial.note("apply-stale", line, stale(external, &ground));
    let line = "a text that `check` refuses is not applied, nor a part of it";
    trial.note("apply-refuses", line, garbage(external, &ground));
    let line = "a text comes in the place of the one before";
    trial.note("apply-replaces", line, replaced(external, &ground));
    let line = "`restore` brings back what `list` told, to the byte, and once more changes nothing";
    trial.note("restore", line, restored(external, &ground));
    let line = "killed while it applies, it leaves what was there or what was to be there, never a part";
    trial.note("killed", line, killed(external, &ground));
    if external.ends_blocks() {
        block::tried(trial, external, &ground);
    }
    let line = "`restore` of the empty state leaves nothing of AFO";
    trial.note("restore-nothing", line, nothing(external));
}

fn request(native: &str, mark: &str, revision: &str) -> BackendRequest {
    let given = |text: &str| Some(text.to_owned());
    BackendRequest {
        native: given(native),
        mark: given(mark),
        revision: given(revision),
        ..BackendRequest::of(Verb::Apply)
    }
}

fn ask(session: &mut Session, request: BackendRequest) -> Result<BackendReply, String> {
    session.ask(request).map_err(|failure| failure.message)
}

/// Has a text applied; what is listed then.
pub(super) fn apply(external: &External, native: &str, mark: &str) -> Result<Listed, String> {
    let mut session = session(external)?;
    let before = session.list().map_err(|failure| failure.message)?;
    let told = ask(&mut session, request(native, mark, &before.revision))?;
    if !told.ok {
        return Err(format!("it refuses its own text: {}", told.error.unwrap_or_default()));
    }
    let after = session.list().map_err(|failure| failure.message)?;
    same(&after, &listed(external)?, "to another process")?;
    let told = Some(mark);
    match () {
        () if after.native != native => Err("it said that it did it, and `list` tells another native".to_owned()),
        () if after.mark.as_deref() != told => Err("`list` tells another mark than came with the text".to_owned()),
        () if after.revision == before.revision => Err("the revision is the same although rules changed".to_owned()),
        () if after.state.is_empty() => Err("the state is empty although rules are there".to_owned()),
        () => Ok(after),
    }
}

fn applied(external: &External) -> Result<Ground, String> {
    let mut session = session(external)?;
    let rule = |id| base(&external.told().capabilities, id);
    let one = written(&mut session, vec![rule("one")])?;
    let two = written(&mut session, vec![rule("two"), rule("three")])?;
    let first = apply(external, &one, MARKS[0])?;
    Ok(Ground { texts: [one, two], first })
}

fn stale(external: &External, ground: &Ground) -> Held {
    let told = ask(&mut session(external)?, request(&ground.texts[1], MARKS[1], "another revision"))?;
    match () {
        () if told.ok => Err("it applied a text to a revision that is not there".to_owned()),
        () if !told.stale => Err("it refuses without saying that the revision is stale".to_owned()),
        () => same(&ground.first, &listed(external)?, "after what it refused"),
    }
}

fn garbage(external: &External, ground: &Ground) -> Held {
    let half = format!("{}{GARBAGE}", ground.texts[1]);
    let told = ask(&mut session(external)?, request(&half, MARKS[1], &ground.first.revision))?;
    match told.ok {
        true => Err("it says that it applied a text that is none of its own".to_owned()),
        false => same(&ground.first, &listed(external)?, "after what it refused"),
    }
}

fn replaced(external: &External, ground: &Ground) -> Held {
    apply(external, &ground.texts[1], MARKS[1]).map(drop)
}

fn restored(external: &External, ground: &Ground) -> Held {
    for when in ["after restore", "after restore once more"] {
        session(external)?.restore(&ground.first.state).map_err(|failure| failure.message)?;
        same(&ground.first, &listed(external)?, when)?;
    }
    Ok(())
}

fn killed(external: &External, ground: &Ground) -> Held {
    let begun = clock::since_boot();
    apply(external, &ground.texts[1], MARKS[1])?;
    let whole = clock::since_boot().saturating_sub(begun);
    for moment in 0..MOMENTS {
        let pause = whole * moment / MOMENTS;
        session(external)?.restore(&ground.first.state).map_err(|failure| failure.message)?;
        let mut session = session(external)?;
        let revision = session.list().map_err(|failure| failure.message)?.revision;
        let line = session.line(request(&ground.texts[1], MARKS[1], &revision));
        session.into_talk().ask_and_kill(line.as_bytes(), pause).map_err(|e| e.to_string())?;
        let after = listed(external)?;
        let new = after.native == ground.texts[1] && after.mark.as_deref() == Some(MARKS[1]);
        if !new && same(&ground.first, &after, "").is_err() {
            let pause = pause.as_millis();
            return Err(format!("killed {pause} ms after it was told to apply, it leaves neither the old nor the new"));
        }
    }
    Ok(())
}

fn nothing(external: &External) -> Held {
    session(external)?.restore("").map_err(|failure| failure.message)?;
    let after = listed(external)?;
    if after.is_empty() { Ok(()) } else { Err("`list` tells of something afterwards".to_owned()) }
}
