//! What waits for a person: shown with everything that is computed of it anew, approved for the rules as they are now, deployed once.

use super::doors;
use super::ending::ending;
use super::foreign;
use super::plan::{Plan, Refused, plan};
use super::site::{Site, failure};
use super::split::{split, timed};
use crate::analyze::{Against, Budget, Judgement};
use crate::cli::config::Placement;
use crate::cli::{Exit, Failure};
use crate::cmd::{check, conflicts, render};
use crate::record::{ApprovalStatus, Effect, Id, Proposal, Rendered, Rule, Timestamp};
use crate::respond::{Admission, Facts, judge};
use crate::rule::doorway::{Doorway, with_doors};
use crate::rule::ruleset::Ruleset;
use crate::state::{Decided, Queued, approval_hash};
use crate::sys::clock;
use jiff::SignedDuration;
use std::borrow::Cow;

/// How often it is judged anew because somebody else changed the rules meanwhile.
const PROOFS: usize = 3;

/// What a person looks at before deciding.
#[derive(Debug)]
pub struct Card {
    pub queued: Queued,
    /// With all that could be computed of it.
    pub proposal: Proposal,
    /// Why afo-deploy would refuse it as things are, approved or not.
    pub refused: Option<String>,
    /// What takes it back.
    pub rollback: String,
    /// Of the ruleset that it was judged against.
    pub base: String,
}

/// The entry of the queue that is meant: `id`, else the only one that waits.
///
/// # Errors
/// When there is none, or more than one (exit 1).
pub fn meant(site: &Site, id: Option<&Id>) -> Result<Queued, Failure> {
    let none = |words: String| Failure::new(Exit::No, words).hint("see what waits with: afo-queue list");
    if let Some(id) = id {
        let found = site.state.queued(id).map_err(failure)?;
        return found.ok_or_else(|| none(format!("proposal {id} is not in the queue")));
    }
    let mut all = site.state.queue(clock::now()).map_err(failure)?;
    match all.len() {
        1 => Ok(all.remove(0)),
        0 => Err(none("nothing waits for a person".to_owned())),
        count => Err(none(format!("{count} proposals wait: name one"))),
    }
}

/// Why an entry does not wait any more, in words; nothing where it does.
pub fn ended(queued: &Queued, now: Timestamp) -> Option<String> {
    let by = queued.decided_by.as_deref().unwrap_or("a person");
    match queued.status_at(now) {
        ApprovalStatus::Pending => None,
        ApprovalStatus::Approved => Some(format!("it was approved by {by}")),
        ApprovalStatus::Rejected => Some(format!("it was rejected by {by}")),
        ApprovalStatus::Expired => Some("it waited for a person and nobody decided in time".to_owned()),
    }
}

/// The proposal of an entry as it was brought.
fn brought(site: &Site, queued: &Queued) -> Result<Proposal, Failure> {
    let missing = || Failure::refused(format!("proposal {} is not in the state any more", queued.proposal));
    Ok(site.state.stored_proposal(&queued.proposal).map_err(failure)?.ok_or_else(missing)?.proposal)
}

/// The same with where it stands.
///
/// # Errors
/// When the state cannot be read.
pub fn stored(site: &Site, queued: &Queued) -> Result<Proposal, Failure> {
    Ok(Proposal { approval: Some(queued.approval(clock::now())), ..brought(site, queued)? })
}

/// What a proposal changes and which open connections it ends, as far as that can be computed now.
///
/// # Errors
/// When the state cannot be read.
pub fn effect(site: &Site, proposal: &Proposal) -> Result<Option<Effect>, Failure> {
    let Ok(live) = site.backend.live() else { return Ok(None) };
    let live = match site.config.deploy.placement {
        Placement::Own => live,
        Placement::Foreign => {
            // What cannot be planned now is judged as it would stand in AFO's own chains.
            let plan = plan(site, std::slice::from_ref(proposal), &clock::new_id(), &[]);
            with_doors(&live, &plan.map_or_else(|_| Vec::new(), |plan| opened(&plan)))
        }
    };
    Ok(Some(judgement(site, proposal, live)?.effect))
}

/// What is to be said of a proposal beside the `live` rules: where they are not this kernel's, the effect alone.
fn judgement(site: &Site, proposal: &Proposal, live: Ruleset) -> Result<Judgement, Failure> {
    let ending = ending(site, proposal, &live)?;
    let judged = if site.backend.is_of_this_kernel() {
        conflicts::conflicts(proposal, &Against::new(Cow::Owned(live)), Budget::default())
    } else {
        let effect = match split(site.backend, std::slice::from_ref(proposal)) {
            Err(refused) => foreign::undecided(&refused.join("; ")),
            Ok(split) => {
                let confirmed = site.state.policy_rules().map_err(failure)?;
                let confirmed: Vec<Rule> = confirmed.into_iter().map(|p| p.rule).collect();
                foreign::effect(site.backend, &live, &split, &confirmed)
            }
        };
        Judgement { effect, ..Judgement::default() }
    };
    Ok(Judgement { effect: Effect { ending, ..judged.effect }, ..judged })
}

/// The chains of other programs in which a change needs doors: what it accepts goes through them.
fn opened(plan: &Result<Plan, Refused>) -> Vec<Doorway> {
    plan.as_ref().map_or_else(|_| Vec::new(), |plan| doors::ways(&plan.doors))
}

/// What an effect ends, in words: the open connections where they are known, else every packet class of open ones.
pub fn cut(effect: &Effect) -> Vec<String> {
    match &effect.ending {
        Some(ending) => {
            let more = ending.count.saturating_sub(ending.examples.len() as u64);
            let more = (more > 0).then(|| format!("{more} more open connections"));
            ending.examples.iter().cloned().chain(more).collect()
        }
        None => effect.cut.iter().map(|class| class.text.clone()).collect(),
    }
}

/// Computes all that is to be known of an entry of the queue, against the rules that hold now.
///
/// # Errors
/// When the state, the kernel or its program cannot be asked.
pub fn card(site: &Site, queued: Queued) -> Result<Card, Failure> {
    let proposal = stored(site, &queued)?;
    for _ in 0..PROOFS {
        let base = site.backend.base()?;
        let card = card_now(site, queued.clone(), proposal.clone(), base)?;
        if site.backend.base()? == card.base {
            return Ok(card);
        }
    }
    Err(Failure::refused("another program keeps changing the rules").hint("stop it, or try again when it has ended"))
}

fn card_now(site: &Site, queued: Queued, proposal: Proposal, base: String) -> Result<Card, Failure> {
    let plan = plan(site, std::slice::from_ref(&proposal), &clock::new_id(), &[])?;
    let judged = judgement(site, &proposal, with_doors(&site.backend.live()?, &opened(&plan)))?;
    let timed = timed(site, &proposal);
    let cut = cut(&judged.effect);
    let risk = judge(&Facts {
        effect: Some(&judged.effect),
        cut: Some(&cut),
        timed: timed.as_deref(),
        evidence: proposal.origin.assessment.is_some(),
        never: &site.never,
        admission: &Admission::Admitted,
    });
    let language = render::known_backend(site.backend.name(), &site.config)?;
    let native = render::native(&proposal, language).ok();
    let rendered = native.map(|native| Rendered {
        backend: site.backend.name().to_owned(),
        native: native.text,
        json: None,
        placement: native.placement,
    });
    let validation = check::check(&proposal, &check::Against::live(language))?;
    let refused = plan.err();
    let rollback = rollback(site, &proposal);
    let proposal = Proposal {
        rendered,
        validation: Some(validation),
        // Of rules elsewhere no conflicts are looked for; what stops them is in `refused`.
        conflicts: site.backend.is_of_this_kernel().then_some(judged.conflicts),
        effect: Some(judged.effect),
        advice: judged.advice,
        risk: Some(risk.risk),
        risk_reasons: risk.reasons,
        ..proposal
    };
    Ok(Card { queued, proposal, refused, rollback, base })
}

/// What takes a change back.
fn rollback(site: &Site, proposal: &Proposal) -> String {
    let Ok(split) = split(site.backend, std::slice::from_ref(proposal)) else { return String::new() };
    let mut words = Vec::new();
    if split.changes_policy() {
        let seconds = site.config.deploy.confirm_seconds;
        words.push(format!(
            "the rules go back by themselves unless confirmed within {seconds} s; later: afo-deploy rollback"
        ));
    }
    if !split.bans.is_empty() {
        words.push("each block ends by itself; sooner: afo-deploy unblock ADDRESS".to_owned());
    }
    words.join("; ")
}

/// Writes down that a person at a terminal approves of what waits, for the rules as they are now.
///
/// # Errors
/// When it does not wait, nobody sits at a terminal, or afo-deploy would refuse it (exit 1).
pub fn approve(site: &mut Site, id: Option<&Id>, reason: &str, terminal: Option<&str>) -> Result<Card, Failure> {
    let by = approver(site, terminal)?;
    let _hold = site.hold()?;
    let queued = meant(site, id)?;
    let card = card(site, queued)?;
    if approval_hash(&card.proposal, &card.queued.backend) != card.queued.hash {
        return Err(Failure::new(Exit::No, format!("proposal {} is not the one that was queued", card.proposal.id))
            .hint("afo-log verify tells what was changed"));
    }
    if let Some(why) = &card.refused {
        let words = format!("proposal {} would be refused: {why}", card.proposal.id);
        return Err(Failure::new(Exit::No, words)
            .hint("nothing was approved; afo-queue reject it, or change what stands against it"));
    }
    let seconds = SignedDuration::from_secs(site.config.respond.approval_seconds.into());
    let until = clock::now().checked_add(seconds).unwrap_or(Timestamp::MAX);
    let change = site.begin()?;
    let queued = change
        .decide(&card.proposal.id, Decided::Approved { base: &card.base, until }, &by, reason)
        .map_err(failure)?;
    change.commit().map_err(failure)?;
    let approval = Some(queued.approval(clock::now()));
    Ok(Card { proposal: Proposal { approval, ..card.proposal }, queued, ..card })
}

/// Writes down that a person rejects what waits.
///
/// # Errors
/// When it does not wait, or nobody sits at a terminal (exit 1).
pub fn reject(site: &mut Site, id: Option<&Id>, reason: &str, terminal: Option<&str>) -> Result<Proposal, Failure> {
    let by = approver(site, terminal)?;
    let queued = meant(site, id)?;
    let change = site.begin()?;
    let queued = change.decide(&queued.proposal, Decided::Rejected, &by, reason).map_err(failure)?;
    change.commit().map_err(failure)?;
    stored(site, &queued)
}

/// Who decides: a person, by uid and terminal. What proposes without a person (the daemon, a model, a tool of another program) sits at none.
fn approver(site: &Site, terminal: Option<&str>) -> Result<String, Failure> {
    let name = terminal.ok_or_else(|| {
        Failure::new(Exit::No, "a person decides, at a terminal, and there is none")
            .hint("nothing was decided; run it in a login shell")
    })?;
    Ok(format!("{} at {name}", site.actor))
}

/// A proposal, as it was brought, that a person approved of.
#[derive(Debug)]
pub struct Approved {
    pub proposal: Proposal,
    /// The hash of the ruleset that it may be deployed to; why it may not, where something has changed since.
    pub base: Result<String, String>,
}

/// The approval of a proposal, where there is one.
///
/// # Errors
/// When the state or the kernel cannot be asked.
pub fn approved(site: &Site, proposal: &Proposal) -> Result<Option<Approved>, Failure> {
    let Some(queued) = site.state.queued(&proposal.id).map_err(failure)? else { return Ok(None) };
    if queued.status != ApprovalStatus::Approved {
        return Ok(None);
    }
    let again = format!("; look at it and approve it again: afo-queue approve {}", proposal.id);
    let base = site.backend.base()?;
    let base = match () {
        () if queued.deployment.is_some() => Err("its approval was used already".to_owned()),
        () if queued.status_at(clock::now()) != queued.status => Err(format!("its approval is too old{again}")),
        () if approval_hash(proposal, site.backend.name()) != queued.hash => {
            Err("what was approved is another change".to_owned())
        }
        () if queued.base.as_ref() != Some(&base) => {
            Err(format!("the rules of this host have changed since it was approved{again}"))
        }
        () => Ok(base),
    };
    Ok(Some(Approved { proposal: brought(site, &queued)?, base }))
}

/// What a proposal is, for the beginning of a sentence: the first line of its explanation, without its period.
pub fn title(proposal: &Proposal) -> &str {
    match proposal.explanation.lines().next().unwrap_or_default().trim_end_matches('.') {
        "" => "a proposal",
        words => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::parse;

    #[test]
    fn a_title_is_one_line_without_a_period() {
        let proposal = |explanation: &str| -> Proposal {
            let line = format!(
                r#"{{"kind":"proposal","id":"p","ts":"2026-01-02T03:04:05Z","ok":true,"explanation":"{explanation}"}}"#
            );
            parse(&line).expect("a proposal")
        };
        assert_eq!(title(&proposal("Drop it for 1 hour.\\nAnd more.")), "Drop it for 1 hour");
        assert_eq!(title(&proposal("")), "a proposal");
    }
}
