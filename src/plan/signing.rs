//! Who must sign, and what holds for every signature.

use std::collections::HashMap;

use super::head::texts;
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::model::outline::{Role, SignRules};
use crate::yaml::Node;

/// Reads the roles.
pub(super) fn roles(node: &Node) -> Vec<Role> {
    let read = |role: &Node| {
        Some(Role {
            role: role.get("role")?.text()?.to_owned(),
            needs: role.get("needs").and_then(Node::number).map_or(1, |n| n as u32),
            members: texts(role.get("members")),
        })
    };
    written(node).iter().filter_map(read).collect()
}

/// Reads what holds for every signature.
pub(super) fn rules(node: &Node, reading: &mut Reading<'_>) -> SignRules {
    let Some(signoff) = node.get("signoff") else { return SignRules::default() };
    let flag = |key: &str| signoff.get(key).and_then(Node::bool).unwrap_or_default();
    let valid_for = signoff.get("valid_for").and_then(|n| Some((reading.duration(n)?, n.span)));
    if let Some((_, place)) = valid_for.filter(|(time, _)| time.is_zero()) {
        let message = "a signature that is valid for no time lapses as it is given";
        reading.say(Diagnostic::error("bad-value", place, message).help("write a time such as 72h, or leave it out"));
    }
    SignRules {
        distinct: flag("distinct"),
        not_runner: flag("not_runner"),
        valid_for_ms: valid_for.map(|(time, _)| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        allowed_signers: signoff.get("allowed_signers").and_then(|n| reading.known_text(n)),
    }
}

/// Says which roles can never be filled.
pub(super) fn check(node: &Node, roles: &[Role], reading: &mut Reading<'_>) {
    let mut seen = HashMap::new();
    for written in written(node) {
        let Some(name) = written.get("role").filter(|n| n.text().is_some()) else { continue };
        if let Some(first) = seen.insert(name.text(), name.span) {
            let message = format!("the role {:?} stands twice", name.text().unwrap_or_default());
            reading.say(Diagnostic::error("duplicate-id", name.span, message).also(first, "the first one"));
        }
        let Some(role) = roles.iter().find(|role| Some(role.role.as_str()) == name.text()) else { continue };
        let count = role.members.len();
        if let Some((key, _)) = written.entry("needs").filter(|_| count > 0 && count < role.needs as usize) {
            let message = format!("{} must sign, and the role has {count} members", role.needs);
            reading.say(Diagnostic::error("bad-value", key.span, message).help("name more members, or ask for fewer"));
        }
    }
}

fn written(node: &Node) -> &[Node] {
    node.get("signoff").and_then(|s| s.get("roles")).and_then(Node::list).unwrap_or_default()
}
