//! What a run does beyond asking the model once: each can be left out, to see what it brings.
//!
//! Must not know: how any of it is done.

/// A part of the orchestration that a run can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// Steps begin while the rest of the plan is being written.
    EarlyStart,
    /// A step sees the goal's words for its own result instead of the whole goal.
    OwnWords,
    /// Results are held against the ledger of requirements before they are saved.
    Ledger,
    /// Numbers and names that stand in no source are caught.
    Grounding,
    /// A step that failed is tried again, with the failure in view and another tool in the end.
    Retry,
    /// What is missing at the end is planned once more.
    Replan,
}

impl Mechanism {
    /// All of them, by the names that the command line gives them.
    pub const ALL: [(&'static str, Self); 6] = [
        ("early-start", Self::EarlyStart),
        ("own-words", Self::OwnWords),
        ("ledger", Self::Ledger),
        ("grounding", Self::Grounding),
        ("retry", Self::Retry),
        ("replan", Self::Replan),
    ];

    /// The mechanism of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, mechanism)| *mechanism)
    }
}
