//! The way through what a run says of itself before it begins: head, sections, steps and what they expect.
//!
//! A record can be judged again after masking: what was observed is masked in the same way as what is expected.

use std::borrow::Cow;

use super::{MASK, Redactor};
use crate::event::EventKind;
use crate::model::outline::{Appendix, ChecklistHead, Guidance, Header, SectionOutline, StepOutline};
use crate::model::waiver::Waiver;
use crate::model::{Expectation, Literal, Matcher, MeasureName, Quantity};

/// Masks an event that does not come from a worker. What workers tell is masked by them, before it is cut to size.
pub(super) fn event(redactor: &Redactor, kind: &mut EventKind) {
    match kind {
        EventKind::RunStarted { header, .. } => head(redactor, header),
        EventKind::Planned { section, steps } => {
            section_outline(redactor, section);
            steps.iter_mut().for_each(|outline| step(redactor, outline));
        }
        EventKind::StepStarted { doing, .. } => text(redactor, doing),
        EventKind::Interrupted { cause } => text(redactor, cause),
        EventKind::Answered { answer, .. } => {
            text(redactor, &mut answer.note);
            texts(redactor, answer.evidence.iter_mut().map(|file| &mut file.name));
        }
        EventKind::Released { release, .. } => texts(redactor, [&mut release.note, &mut release.by]),
        EventKind::Paused { why, .. } | EventKind::Waiting { why, .. } => text(redactor, why),
        EventKind::ClockMoved { what } => text(redactor, what),
        EventKind::Waived { waivers } => {
            text(redactor, &mut waivers.file);
            waivers.waivers.iter_mut().for_each(|one| waiver(redactor, one));
        }
        EventKind::Resumed { resumption } => texts(redactor, &mut resumption.accepted),
        // A signed text is checked for secrets before it is signed: to mask it here would break it.
        EventKind::Signed { .. }
        | EventKind::CheckpointStarted { .. }
        | EventKind::Checked { .. }
        | EventKind::Held { .. } => {}
        EventKind::Decided { reasons, .. } => texts(redactor, reasons),
        EventKind::SectionStarted { .. }
        | EventKind::SectionFinished { .. }
        | EventKind::Looked { .. }
        | EventKind::StepFinished { .. }
        | EventKind::RunFinished { .. } => {}
    }
}

fn text(redactor: &Redactor, text: &mut String) {
    if let Cow::Owned(masked) = redactor.text(text) {
        *text = masked;
    }
}

fn texts<'a>(redactor: &Redactor, all: impl IntoIterator<Item = &'a mut String>) {
    all.into_iter().for_each(|one| text(redactor, one));
}

fn head(redactor: &Redactor, header: &mut Header) {
    let Header { checklist, inputs, host, user, options, roles, appendix, .. } = header;
    checklist_head(redactor, checklist);
    for input in inputs {
        text(redactor, &mut input.from);
        input.value.iter_mut().for_each(|value| redactor.json(value));
    }
    texts(redactor, [host, user]);
    texts(redactor, options);
    for role in roles {
        text(redactor, &mut role.role);
        texts(redactor, &mut role.members);
    }
    appendix.iter_mut().for_each(|part| carried(redactor, part));
}

fn checklist_head(redactor: &Redactor, head: &mut ChecklistHead) {
    let ChecklistHead {
        path: _,
        digest: _,
        parts: _,
        name,
        stage,
        service,
        description,
        owner,
        risk,
        estimates,
        links,
    } = head;
    text(redactor, name);
    texts(redactor, [stage, service, description, owner, risk].into_iter().flatten());
    texts(redactor, estimates.values_mut().chain(links.values_mut()));
}

fn carried(redactor: &Redactor, part: &mut Appendix) {
    text(redactor, &mut part.title);
    texts(redactor, &mut part.text);
    if let Some(table) = &mut part.table {
        texts(redactor, table.columns.iter_mut().chain(table.rows.iter_mut().flatten()));
    }
}

fn section_outline(redactor: &Redactor, section: &mut SectionOutline) {
    text(redactor, &mut section.name);
    texts(redactor, &mut section.description);
    for cell in &mut section.cells {
        text(redactor, &mut cell.id);
        cell.values.values_mut().for_each(|value| redactor.json(value));
    }
}

fn waiver(redactor: &Redactor, waiver: &mut Waiver) {
    let Waiver { step: _, reason, approved_by, risk, ticket, from: _, until: _ } = waiver;
    texts(redactor, [reason, approved_by]);
    texts(redactor, [risk, ticket].into_iter().flatten());
}

fn step(redactor: &Redactor, step: &mut StepOutline) {
    texts(redactor, [&mut step.name, &mut step.window]);
    texts(redactor, [&mut step.changes, &mut step.baseline, &mut step.by].into_iter().flatten());
    let Guidance { why, runbook, owner, contact, priority, tags } = &mut step.guidance;
    texts(redactor, [why, runbook, owner, contact, priority].into_iter().flatten());
    texts(redactor, tags);
    [&mut step.expect, &mut step.warn].into_iter().flatten().for_each(|one| expectation(redactor, one));
}

fn expectation(redactor: &Redactor, expectation: &mut Expectation) {
    match expectation {
        Expectation::Measure { name, kind: _, matcher: wanted, origin: _ } => {
            if let Some(masked) = measure_name(redactor, name) {
                *name = masked;
            }
            matcher(redactor, wanted);
        }
        Expectation::That { expression, origin: _ } => text(redactor, expression),
        Expectation::All(list) | Expectation::Any(list) => {
            list.iter_mut().for_each(|one| self::expectation(redactor, one));
        }
        Expectation::Not(inner) => self::expectation(redactor, inner),
    }
}

/// Masks the key of a keyed measure. Nothing when there is nothing to mask.
pub(super) fn measure_name(redactor: &Redactor, name: &MeasureName) -> Option<MeasureName> {
    match redactor.text(name.key()?) {
        Cow::Owned(masked) => Some(MeasureName::parse(&format!("{}[{masked}]", name.name()))),
        Cow::Borrowed(_) => None,
    }
}

fn matcher(redactor: &Redactor, matcher: &mut Matcher) {
    let hidden = |quantity: &Quantity| redactor.hides(&quantity.value);
    let masked = match matcher {
        Matcher::Relative(..) | Matcher::NotWorse(..) => false,
        Matcher::Compare(_, one) | Matcher::Within(_, one) => hidden(one),
        Matcher::Between(low, high) | Matcher::Around(low, high) => hidden(low) || hidden(high),
        Matcher::Equals(value) | Matcher::Contains(value) => {
            literal(redactor, value);
            false
        }
        Matcher::StartsWith(part) | Matcher::EndsWith(part) | Matcher::Semver(part) => {
            text(redactor, part);
            false
        }
        Matcher::Matches(pattern) => {
            // The mask as a pattern finds the mask in what was observed.
            if let Cow::Owned(masked) = redactor.text(pattern) {
                *pattern = masked.replace(MASK, r"\*\*\*");
            }
            false
        }
        Matcher::OneOf(list) | Matcher::All(list) => {
            list.iter_mut().for_each(|one| self::matcher(redactor, one));
            false
        }
        Matcher::Length(inner) | Matcher::Not(inner) => {
            self::matcher(redactor, inner);
            false
        }
        Matcher::StatusClass(_)
        | Matcher::Exists
        | Matcher::Absent
        | Matcher::Empty
        | Matcher::Every
        | Matcher::NoneOf
        | Matcher::Some => false,
    };
    if masked {
        *matcher = Matcher::Equals(Literal::Text(MASK.to_owned()));
    }
}

fn literal(redactor: &Redactor, value: &mut Literal) {
    match value {
        Literal::Quantity(quantity) if redactor.hides(&quantity.value) => *value = Literal::Text(MASK.to_owned()),
        Literal::Text(word) => text(redactor, word),
        Literal::Json(inner) => redactor.json(inner),
        Literal::Quantity(_) | Literal::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, Origin, Secret};

    #[test]
    fn what_is_expected_is_masked_and_can_still_be_judged() {
        let redactor = Redactor::new(&[Secret::new("s3cr3t.word"), Secret::new("48151623")]);
        let origin = Origin { file: "t.yaml".into(), line: 1, column: 1 };
        let measure = |matcher| Expectation::Measure {
            name: MeasureName::keyed("json", "$.s3cr3t.word"),
            kind: Kind::Text,
            matcher,
            origin: origin.clone(),
        };
        let word = || "s3cr3t.word".to_owned();
        let mut all = Expectation::All(vec![
            measure(Matcher::Matches(r"^s3cr3t\.word$".into())),
            Expectation::Not(Box::new(measure(Matcher::Equals(Literal::Text(word()))))),
            Expectation::Any(vec![measure(Matcher::OneOf(vec![Matcher::StartsWith(word())]))]),
            measure(Matcher::Equals(Literal::Json(serde_json::json!({ "a": "s3cr3t.word" })))),
            measure(Matcher::Compare(crate::model::Op::Less, Quantity::parse("48151623").expect("a number"))),
            Expectation::That { expression: "body == 's3cr3t.word'".into(), origin },
        ]);
        expectation(&redactor, &mut all);
        let shown = serde_json::to_string(&all).expect("serialises");
        assert!(!shown.contains("s3cr3t") && !shown.contains("48151623"), "{shown}");
        assert!(shown.contains(r"^\\*\\*\\*$"), "{shown}");
    }
}
