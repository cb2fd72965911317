//! Asks whoever sits at the terminal about hold points, as the run comes to them.

use std::collections::HashMap;
use std::io::IsTerminal;

use tokio::sync::mpsc::UnboundedSender;

use crate::event::{Event, EventKind, Release, Request, Sink, SinkError};
use crate::model::{RunId, SectionId};
use crate::report::plain;
use crate::run::Asked;

use super::stdio;

/// Asks, and hands the answers to the run.
pub(crate) struct Asker {
    run: RunId,
    asks: UnboundedSender<Asked>,
    user: String,
    /// The hold points that are planned: titles, and the roles that must sign.
    holds: HashMap<SectionId, (String, Vec<String>)>,
}

impl Asker {
    pub(crate) fn new(run: RunId, asks: UnboundedSender<Asked>, user: String) -> Self {
        Self { run, asks, user, holds: HashMap::new() }
    }

    fn ask(&self, section: &SectionId) {
        let Some((name, roles)) = self.holds.get(section) else { return };
        let run = &self.run;
        match roles.as_slice() {
            [] if is_interactive() => self.question(section, &plain::line(name)),
            [] => stdio::say(&format!("waiting for `holdpoint release {run} {section}`")),
            roles => {
                let roles = roles.join("|");
                stdio::say(&format!(
                    "waiting for `holdpoint sign {run} --hold {section} --role {roles} --decision approve`"
                ));
            }
        }
    }

    /// Asks on a thread of its own: the answer may take its time, and the run goes on being shown.
    fn question(&self, section: &SectionId, name: &str) {
        let (asks, section, by) = (self.asks.clone(), section.clone(), self.user.clone());
        let question = format!("Release {name:?}? [y]es, [n]o: stop the run, anything else: leave and decide later: ");
        std::thread::spawn(move || {
            stdio::tell(&question);
            let answer = line();
            let release = |accepted, note| Release { accepted, by, signed: false, note };
            let asked = match answer.trim() {
                "y" | "Y" | "yes" => Asked::Request(Request::Release(section, release(true, String::new()))),
                "n" | "N" | "no" => {
                    stdio::tell("Why? ");
                    Asked::Request(Request::Release(section, release(false, line().trim().to_owned())))
                }
                _ => Asked::Leave,
            };
            // The run may have been stopped meanwhile.
            let _ = asks.send(asked);
        });
    }
}

impl Sink for Asker {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        for event in events {
            match &event.kind {
                EventKind::Planned { section, .. } => {
                    if let Some(hold) = &section.hold {
                        self.holds.insert(section.id.clone(), (section.name.clone(), hold.sign.clone()));
                    }
                }
                EventKind::Held { section } => self.ask(section),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Tells whether somebody sits at a terminal and can be asked.
pub(crate) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && std::env::var_os("CI").is_none()
}

fn line() -> String {
    let mut line = String::new();
    // Nothing more comes from a terminal that is gone: that is no answer.
    let _ = std::io::stdin().read_line(&mut line);
    line
}
