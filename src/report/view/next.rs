//! What to do next, as commands that can be copied.

use crate::event::Skip;
use crate::model::{Decision, Found, Outcome};

use super::head::moment;
use super::{HoldView, Pair, RunView, Step};

/// How many pending steps are told one by one.
const MOST: usize = 5;

/// Lists the commands that lead on from here: what it does, and the command.
pub(super) fn steps(view: &RunView) -> Vec<Pair> {
    let run = view.record().run.as_str();
    let mut list = Vec::new();
    let pending = || view.attention().iter().filter_map(|p| view.step(*p)).filter(|s| s.outcome() == Outcome::Pending);
    let manual: Vec<Step<'_>> = pending().filter(waits_for_a_person).collect();
    for step in manual.iter().take(MOST) {
        let command = format!("holdpoint attest {run} {} --pass --note \"…\"", step.id());
        list.push(Pair::new(format!("Answer \"{}\" (or --fail, --na)", step.name()), command));
    }
    if manual.len() > MOST {
        let more = manual.len() - MOST;
        list.push(Pair::new(format!("Answer {more} more in the same way; list them"), format!("holdpoint show {run}")));
    }
    for hold in view.holds().into_iter().filter(|hold| hold.state == "waiting") {
        list.extend(hold_steps(&hold, run));
    }
    if let Some(paused) = &view.record().paused {
        let when = paused.until.map(|until| format!(" (there is something to do from {})", moment(until)));
        list.push(Pair::new(
            format!("Go on with the run{}", when.unwrap_or_default()),
            format!("holdpoint resume {run}"),
        ));
    } else if view.record().interrupted.is_some() || view.record().finished.is_none() {
        list.push(Pair::new("Take the run up where it was cut", format!("holdpoint resume {run}")));
    }
    let path = shell(&view.record().header.checklist.path);
    if pending().any(|s| s.changes().is_some()) {
        let command = match view.record().finished {
            Some(_) => format!("holdpoint run {path} --allow-changes"),
            None => format!("holdpoint resume {run} --allow-changes"),
        };
        list.push(Pair::new("Consent to the steps that change something", command));
    }
    let refused = view.not_run().iter().filter_map(|p| view.step(*p)).any(|s| s.skip() == Some(Skip::Refused));
    if refused {
        list.push(Pair::new("Run what --read-only refused", format!("holdpoint run {path}")));
    }
    if view.decision() == Decision::Held && view.record().finished.is_some() {
        list.extend(view.roles().iter().filter(|role| role.missing() > 0).map(|role| {
            let command = format!("holdpoint sign {run} --role {} --decision approve", shell(&role.role));
            Pair::new(format!("Sign as {} (or --decision conditional, reject)", role.role), command)
        }));
    }
    if matches!(view.decision(), Decision::NoGo | Decision::Undecided) {
        list.push(Pair::new("Look at the run again", format!("holdpoint show {run}")));
    }
    list
}

fn hold_steps(hold: &HoldView, run: &str) -> Vec<Pair> {
    let (section, id) = (&hold.section, &hold.id);
    let release = || Pair::new(format!("Release {section:?} (or --decline)"), format!("holdpoint release {run} {id}"));
    let sign = |role: &String| {
        let command = format!("holdpoint sign {run} --hold {id} --role {role} --decision approve");
        Pair::new(format!("Release {section:?} as {role} (or --decision reject)"), command)
    };
    match hold.roles.is_empty() {
        true => vec![release()],
        false => hold.roles.iter().map(sign).collect(),
    }
}

fn waits_for_a_person(step: &Step<'_>) -> bool {
    let waiting = step.observation().is_some_and(|o| matches!(o.found, Found::Waiting { .. }));
    (waiting || step.probe() == "manual") && step.changes().is_none()
}

/// Quotes a word for the shell where that is needed.
fn shell(word: &str) -> String {
    let bare = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    match !word.is_empty() && word.chars().all(bare) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
