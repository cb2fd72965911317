//! Clients of the back ends that are asked about a service. One file a kind.

use indexmap::IndexMap;

/// The back ends that a checklist declares, by name.
#[derive(Default)]
pub struct Sources {
    pub(crate) by_name: IndexMap<String, ()>,
}
