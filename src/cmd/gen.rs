//! afo-gen: what a person wants, or an assessment asks for, as rules; or a question, or a refusal that says why.

use super::{config, context_from, live_context};
use crate::cli::config::Config;
use crate::cli::{Command, Common, Exit, Failure, Out, Shell, Stage, Trouble, Work};
use crate::packet::Widths;
use crate::propose::{Answers, Fault, Outcome, Reaction, Reader, Understood, explain, react};
use crate::record::{
    Answer, Assessment, By, Choice, Context, Generator, Id, Origin, Proposal, Question, Request, Timestamp, content_id,
    parse,
};
use crate::sys::clock::{new_id, now};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Questions that wait for their choice; the oldest goes when there are more.
const MOST_OPEN: usize = 1000;

/// Turn plain English or assessments into rules
///
/// A sentence becomes a `proposal` with rules, or a `question` where it has two meanings or names something unknown, or a
/// refusal that says which word is not understood: a rule is never guessed. TEXT is the sentence; without it each line of
/// stdin that is no record is one. Names of zones, hosts and services are the context's; what the sentence leaves open is
/// listed in `assumed`. Assessments become denials of their subjects for a time. Everything else passes through.
///
/// Examples:
///   $ afo-gen "block ssh from 192.0.2.0/24"
///   $ echo "allow https from the lan" | afo-gen | afo-render --native
///   $ afo-ctx | afo-gen "block ssh from the guest vlan"
///   $ afo-gen --answer ID=1 "allow ssh"      answers a question that was asked
///   $ afo-gen "ban 192.0.2.66 for 2 hours" | afo-gen --explain
///
/// Exit status:
///   0  every request became rules
///   1  a request was refused or must be asked about
///   2  usage, a bad record, or output that could not be written
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "afo-gen", version, verbatim_doc_comment)]
pub struct Args {
    /// What is wanted, in plain English
    pub text: Vec<String>,
    /// Read the context from FILE instead of from the kernel and the configuration
    #[arg(long, value_name = "FILE")]
    pub context: Option<PathBuf>,
    /// Answer the question ID with its option CHOICE (repeatable)
    #[arg(long, value_name = "ID=CHOICE", value_parser = answer)]
    pub answer: Vec<(Id, Id)>,
    /// Say in English what the rules of proposals on stdin do
    #[arg(long, conflicts_with_all = ["text", "answer", "context"])]
    pub explain: bool,
    /// Understand requests with NAME; `grammar` is built in
    #[arg(long, value_name = "NAME", default_value = "grammar")]
    pub provider: String,
    #[command(flatten)]
    pub common: Common,
}

fn answer(text: &str) -> Result<(Id, Id), String> {
    let (question, option) = text.split_once('=').ok_or("an answer is ID=CHOICE, as the question shows it")?;
    let id = |part: &str| part.parse::<Id>().map_err(|e| e.to_string());
    Ok((id(question)?, id(option)?))
}

impl Command for Args {
    const NAME: &'static str = "afo-gen";

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        if self.explain {
            return shell.filter(&mut Explanations);
        }
        let provider = &self.provider;
        if provider != "grammar" {
            let failure = Failure::undecided(format!("the provider `{}` is not available", provider.escape_debug()));
            return Err(failure.hint("`--provider grammar`, the default, is what there is"));
        }
        let config = config(shell)?;
        let given = self.context.as_deref().map(context_from).transpose()?;
        let alone = self.context.is_some() || !stdin_is_pipe();
        let mut stage = Requests::new(shell, &config, given, self.answer.into_iter().collect());
        if self.text.is_empty() {
            return shell.filter(&mut stage);
        }
        stage.last = Some(self.text.join(" "));
        let mut out = shell.out();
        if alone {
            crate::cli::Stage::finish(&mut stage, &mut out)?;
            return shell.close(&mut out);
        }
        shell.filter_into(&mut stage, &mut out)
    }
}

/// Whether records may come on stdin beside a TEXT: a context from afo-ctx. A script's own input is left alone.
fn stdin_is_pipe() -> bool {
    let stat = rustix::fs::fstat(rustix::stdio::stdin());
    stat.is_ok_and(|s| rustix::fs::FileType::from_raw_mode(s.st_mode) == rustix::fs::FileType::Fifo)
}

/// The stage: requests, assessments and choices in, proposals, questions and alerts out.
struct Requests<'a> {
    shell: &'a Shell,
    config: &'a Config,
    /// From a file or the stream; otherwise the live one is looked up when it is needed.
    given: Option<Context>,
    known: Option<(Context, Reader)>,
    answers: Answers,
    /// The sentences of open questions with their runs.
    open: BTreeMap<Id, (String, Option<Id>)>,
    /// The sentence of the command line, worked on when the input has ended.
    last: Option<String>,
}

impl<'a> Requests<'a> {
    fn new(shell: &'a Shell, config: &'a Config, given: Option<Context>, answers: Answers) -> Self {
        Self { shell, config, given, known: None, answers, open: BTreeMap::new(), last: None }
    }

    fn known(&mut self) -> &(Context, Reader) {
        let (shell, config, given) = (self.shell, self.config, &self.given);
        self.known.get_or_insert_with(|| {
            let context = given.clone().unwrap_or_else(|| live_context(shell, config));
            let reader = Reader::new(&context);
            (context, reader)
        })
    }

    fn request(&mut self, text: &str, run: Option<Id>, out: &mut Out) {
        let run = run.unwrap_or_else(new_id);
        let _work = Work::on(out.stage(), "request", Some(run.as_str()));
        let answers = std::mem::take(&mut self.answers);
        let outcome = self.known().1.read(text, &answers);
        self.answers = answers;
        match outcome {
            Outcome::Understood(understood) => propose(&proposal(text, run, understood, new_id(), now()), out),
            Outcome::Refused(fault) => {
                propose(&refusal(text, run, &fault, new_id(), now()), out);
                out.ends(Exit::No);
            }
            Outcome::Asked(question) => {
                self.remember(question.id.clone(), text, Some(run.clone()));
                tracing::info!(question = %question.id, "asked");
                out.record(&Question { ts: Some(now()), run: Some(run), ..question });
                out.ends(Exit::No);
            }
        }
    }

    fn remember(&mut self, question: Id, text: &str, run: Option<Id>) {
        if self.open.len() >= MOST_OPEN {
            self.open.pop_first();
        }
        self.open.insert(question, (text.to_owned(), run));
    }

    fn choice(&mut self, choice: Choice, out: &mut Out) -> Result<(), Trouble> {
        let Some((text, run)) = self.open.remove(&choice.question) else {
            let words = format!("the question {} was not asked here", choice.question);
            return Err(Trouble::bad_with_hint(
                words,
                "put the `question` record before it, or use --answer ID=CHOICE",
            ));
        };
        // the answer is to this question, and not to the same sentence said another time
        let kept = self.answers.clone();
        self.answers.insert(choice.question, choice.option);
        self.request(&text, run, out);
        self.answers = kept;
        Ok(())
    }
}

impl Stage for Requests<'_> {
    fn takes(&self, kind: &str) -> bool {
        matches!(kind, "request" | "assessment" | "choice" | "context" | "question")
    }

    fn record(&mut self, kind: &str, line: &str, out: &mut Out) -> Result<(), Trouble> {
        match kind {
            "request" => {
                let request: Request = parse(line)?;
                self.request(&request.text, request.run, out);
            }
            "assessment" => {
                let assessment: Assessment = parse(line)?;
                let respond = &self.config.respond;
                let widths = Widths { v4: respond.max_prefix_v4, v6: respond.max_prefix_v6 };
                match react(&assessment, &self.known().0, &widths) {
                    Reaction::Propose(proposal) => propose(&proposal, out),
                    Reaction::Tell(alert) => {
                        tracing::info!(assessment = %assessment.id, "told, no rules");
                        out.record(&alert);
                    }
                }
            }
            "choice" => self.choice(parse(line)?, out)?,
            "context" => {
                self.given = Some(parse(line)?);
                self.known = None;
                out.line(line);
            }
            _ => {
                let question: Question = parse(line)?;
                self.remember(question.id, &question.request, question.run);
                out.line(line);
            }
        }
        Ok(())
    }

    fn text(&mut self, line: &str, out: &mut Out) -> Result<(), Trouble> {
        self.request(line, None, out);
        Ok(())
    }

    fn idle(&mut self, _: &mut Out) -> Result<(), Failure> {
        // the host may be another one after a pause
        if self.given.is_none() {
            self.known = None;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Out) -> Result<(), Failure> {
        if let Some(text) = self.last.take() {
            self.request(&text, None, out);
        }
        Ok(())
    }
}

fn propose(proposal: &Proposal, out: &mut Out) {
    tracing::info!(proposal = %proposal.id, rules = proposal.rules.len(), ok = proposal.ok, "proposed");
    out.record(proposal);
}

/// A proposal of what was understood. Its rules' ids follow from its own.
pub fn proposal(text: &str, run: Id, understood: Understood, id: Id, ts: Timestamp) -> Proposal {
    let Understood { mut rules, changes, assumed, explanation } = understood;
    for (at, rule) in rules.iter_mut().enumerate() {
        rule.id = content_id(ts, &[b"rule", id.as_str().as_bytes(), &at.to_be_bytes()]);
    }
    Proposal { rules, changes, assumed, explanation, ok: true, ..empty(text, run, id, ts) }
}

/// A proposal that says why there is none.
pub fn refusal(text: &str, run: Id, fault: &Fault, id: Id, ts: Timestamp) -> Proposal {
    Proposal { error: Some(fault.refusal(text)), ..empty(text, run, id, ts) }
}

fn empty(text: &str, run: Id, id: Id, ts: Timestamp) -> Proposal {
    let origin = Origin { by: By::User, request: Some(text.to_owned()), assessment: None };
    let generator = Generator { provider: "grammar".into(), ..Generator::default() };
    Proposal { run: Some(run), ..Proposal::empty(id, ts, origin, generator) }
}

/// The stage of `--explain`: a proposal in, what its rules do out.
struct Explanations;

impl Stage for Explanations {
    fn takes(&self, kind: &str) -> bool {
        kind == "proposal"
    }

    fn record(&mut self, _: &str, line: &str, out: &mut Out) -> Result<(), Trouble> {
        let proposal: Proposal = parse(line)?;
        let all = explain(&proposal.rules, &proposal.changes);
        let sentences: Vec<String> = all.lines().map(str::to_owned).collect();
        let (text, evidence) = match sentences.as_slice() {
            [] => ("It changes nothing.".to_owned(), Vec::new()),
            [one] => (one.clone(), Vec::new()),
            _ => (format!("{} rules or changes:", sentences.len()), sentences),
        };
        out.record(&Answer {
            text,
            evidence,
            request: proposal.origin.request,
            run: proposal.run,
            ..Answer::default()
        });
        Ok(())
    }
}
