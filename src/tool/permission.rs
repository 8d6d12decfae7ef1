//! What tools do besides giving a value, and what of it the person lets them do.
//!
//! A tool carries its [`Effect`]s; [`Permissions`] say of each tool whether it may be used freely, after a question, or not
//! at all. They come from what the person typed and from the person's own settings, never from a workspace. What a change
//! may touch is another matter, which [`super::Policy`] decides: no permission lifts it.
//! Must not know: who is asked, and how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Something that a tool does besides giving a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Reads files of the workspace.
    Reads,
    /// Changes files of the workspace.
    Writes,
    /// Runs a program.
    Runs,
    /// Talks to other machines.
    Network,
}

impl Effect {
    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Runs => "runs",
            Self::Network => "network",
        }
    }
}

/// Whether a tool may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Leave {
    /// Without a question.
    Allow,
    /// After the person has said yes.
    Ask,
    /// Not at all.
    Deny,
}

/// How careful a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Asks before a file that was there is changed, and before anything leaves the machine.
    #[default]
    Ordinary,
    /// Never asks.
    Yes,
    /// Asks before every effect.
    Ask,
    /// Only reads.
    ReadOnly,
}

/// What the tools of a run may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// How careful the run is.
    pub mode: Mode,
    /// What the person's settings say of single tools.
    pub tools: BTreeMap<String, Leave>,
}

impl Permissions {
    /// Whether the tool may be used. What is stricter wins, but for [`Mode::Yes`], which answers questions.
    pub fn leave(&self, tool: &str, effects: &[Effect]) -> Leave {
        let only_reads = effects.iter().all(|effect| *effect == Effect::Reads);
        match (self.mode, self.tools.get(tool)) {
            (_, Some(Leave::Deny)) => Leave::Deny,
            (Mode::ReadOnly, _) if !only_reads => Leave::Deny,
            (Mode::Yes, _) => Leave::Allow,
            (Mode::Ask, _) if !effects.is_empty() => Leave::Ask,
            (_, Some(leave)) => *leave,
            (_, None) if effects.contains(&Effect::Network) => Leave::Ask,
            (_, None) => Leave::Allow,
        }
    }

    /// Whether the settings let the tool change what it may change without a question.
    pub fn is_trusted(&self, tool: &str) -> bool {
        self.mode != Mode::Ask && self.tools.get(tool) == Some(&Leave::Allow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_of_mode_and_settings_wins() {
        use Effect::{Network, Reads, Runs, Writes};
        use Leave::{Allow, Ask, Deny};
        let all = [Mode::Ordinary, Mode::Yes, Mode::Ask, Mode::ReadOnly];
        for (setting, effects, want) in [
            (None, &[][..], [Allow, Allow, Allow, Allow]),
            (None, &[Reads], [Allow, Allow, Ask, Allow]),
            (None, &[Reads, Writes], [Allow, Allow, Ask, Deny]),
            (None, &[Runs], [Allow, Allow, Ask, Deny]),
            (None, &[Network], [Ask, Allow, Ask, Deny]),
            (Some(Allow), &[Network], [Allow, Allow, Ask, Deny]),
            (Some(Allow), &[Writes], [Allow, Allow, Ask, Deny]),
            (Some(Ask), &[Reads], [Ask, Allow, Ask, Ask]),
            (Some(Ask), &[Runs], [Ask, Allow, Ask, Deny]),
            (Some(Deny), &[Reads], [Deny, Deny, Deny, Deny]),
        ] {
            let tools: BTreeMap<String, Leave> = setting.map(|leave| ("t".to_owned(), leave)).into_iter().collect();
            let got = all.map(|mode| Permissions { mode, tools: tools.clone() }.leave("t", effects));
            assert_eq!(got, want, "{setting:?} {effects:?}");
            assert_eq!(Permissions { mode: Mode::Ask, tools: tools.clone() }.leave("u", &[]), Allow);
        }
    }
}
