//! The `manual` probe: a person looks.

use async_trait::async_trait;

use super::{Compiling, Look, Probe, ProbeKind, measure};
use crate::diag::Diagnostic;
use crate::model::{Found, Kind, Note, Observation};
use crate::shape::{Object, Shape, field, required};
use crate::template::{Place, Template};
use crate::yaml::Node;

/// The kind.
pub const KIND: ProbeKind = ProbeKind {
    name: "manual",
    summary: "a person: pass, fail or not applicable, with a note",
    manual: MANUAL,
    shape: Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]),
    measures: &[measure("answer", Kind::Text, "What the person answered: pass, fail or not-applicable.")],
    speaks_for_itself: true,
    compile,
};

static OBJECT: Object = Object {
    name: "a manual check",
    fields: &[
        required("instruction", Shape::Template, "What the person is asked to do or to look at."),
        field("by", Shape::Text, "The role that is to answer."),
    ],
    open: false,
};

const MANUAL: &str = "\
Asks a person. The step stays `pending`, and the run `held`, until somebody answers with \
`holdpoint attest RUN STEP --pass|--fail|--na --note TEXT --evidence FILE`; the answer is kept with its name, its time, \
its note and its files. `holdpoint attest RUN` goes through all that is open. With `by`, only a member of that role of \
`signoff` answers (`--as NAME`).

No `expect` is needed: the answer speaks for itself.

```yaml
- name: Release notes are published
  manual: Publish the release notes and paste the link as evidence.

- name: The change was announced
  manual: { instruction: \"Announce {{ inputs.version }} to the support desk.\", by: support }
```
";

struct Manual {
    instruction: Template,
    by: Option<String>,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let text = if node.map().is_some() { node.get("instruction")? } else { node };
    if text.text().is_none_or(|t| t.trim().is_empty()) {
        let message = "the instruction is empty: say what the person is to do";
        compiling.reading.say(Diagnostic::error("bad-value", text.span, message));
        return None;
    }
    let instruction = compiling.reading.template(text, Place::Plain)?;
    let by = node.get("by").and_then(Node::text).map(str::to_owned);
    Some(Box::new(Manual { instruction, by }))
}

#[async_trait]
impl Probe for Manual {
    fn describe(&self) -> String {
        let who = self.by.as_deref().unwrap_or("a person");
        format!("asks {who}: {}", self.instruction.source().trim())
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let instruction = match self.instruction.render(look.scope) {
            Ok(text) => text.trim().to_owned(),
            Err(error) => return Observation::new(self.describe(), Found::refused(error.to_string())),
        };
        let who = self.by.as_deref().unwrap_or("a person");
        let mut observation = Observation::new(format!("asks {who}"), Found::Waiting { instruction });
        observation.notes.extend(self.by.as_ref().map(|role| Note::info(format!("to be answered by {role}"))));
        observation
    }
}
