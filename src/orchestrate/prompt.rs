//! Prompts, as typed segments from the stable to the volatile.
//!
//! Every call of a run shares the longest possible prefix with the others: `system and tools` (all runs),
//! `survey and goal` (one run), `plan` (as the planner wrote it), `step`. [`Prompt::push`] refuses a stable
//! segment after a volatile one, so a prompt that would not share its prefix cannot be built.
//! Must not know: the engine, the state of a run.

use super::plan;
use crate::tool::Registry;
use crate::types::{Message, Role};

/// How often a segment changes, from never to with every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// The same for every run: who the model is, tools, rules, examples.
    System,
    /// The same within a run: survey and goal.
    Goal,
    /// The plan as the planner wrote it.
    Plan,
    /// Documents that several questions share.
    Documents,
    /// This step only.
    Step,
}

/// A conversation made of segments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prompt {
    messages: Vec<Message>,
    last: Option<Segment>,
}

impl Prompt {
    /// Adds a turn.
    ///
    /// # Panics
    /// If `segment` is more stable than one that is already there: a mistake in this crate.
    pub fn push(mut self, segment: Segment, role: Role, content: impl Into<String>) -> Self {
        assert!(self.last <= Some(segment), "{segment:?} after {:?} would break the shared prefix", self.last);
        self.last = Some(segment);
        self.messages.push(Message::new(role, content));
        self
    }

    /// The conversation.
    pub fn messages(self) -> Vec<Message> {
        self.messages
    }
}

/// The prefix that all calls share: who the model is, its tools, how plans look.
pub fn system(registry: &Registry) -> Prompt {
    let mut text = String::from(
        "You finish goals on local files in stages: first you plan, then you do the steps one by one, then you report.\n\nTools:\n",
    );
    for (name, description) in plan::tool_names(registry) {
        text.push_str(&format!("- {name}: {description}\n"));
    }
    text.push_str(RULES);
    Prompt::default().push(Segment::System, Role::System, text)
}

/// Adds survey, goal and the request for a plan.
pub fn planning(prompt: Prompt, survey: &str, goal: &str) -> Prompt {
    prompt.push(Segment::Goal, Role::User, format!("Workspace:\n{survey}\nGoal: {goal}\n\nThe plan:"))
}

const RULES: &str = r#"
A plan is JSON. Every step has "for": the file that its result is saved in, or "reply" if the person wants to be told its result, or "later" if only later steps need it. "do" says completely what to do, with every condition of the goal. "tool" is the tool, "from" the files and earlier results ($1, $2) it reads, "each" repeats the step for every item, "as" is the form of the file. Use as few steps as possible: one step does a whole computation. No step is needed to read a file or to save a result. A question that needs no file of the workspace, such as one of general knowledge, has no steps.

Examples:
Goal: Count the members of each club in members.csv, save the counts in clubs.md, biggest club first, and tell me the biggest club.
{"steps":[{"for":"clubs.md","do":"number of members per club, biggest first","tool":"query_table","from":["members.csv"],"as":"markdown_table"},{"for":"reply","do":"the club with the most members and their number","tool":"query_table","from":["members.csv"]}]}
Goal: How many legs does a spider have?
{"steps":[]}
Goal: Who wrote the novel Dracula? Just answer, the files do not matter.
{"steps":[]}
Goal: Leave the faulty rows of scores.csv out, keep the others with their header in valid.csv, and tell me the mean score.
{"steps":[{"for":"valid.csv","do":"all rows that are not faulty, with every column","tool":"query_table","from":["scores.csv"],"as":"csv"},{"for":"reply","do":"mean score of the rows that are not faulty","tool":"query_table","from":["scores.csv"]}]}
Goal: Turn pupils.csv into pupils.json with the keys name and age, oldest first, without those who have left.
{"steps":[{"for":"pupils.json","do":"name and age of the pupils who have not left, oldest first","tool":"query_table","from":["pupils.csv"],"as":"json"}]}
Goal: Which room in rooms.json is the cheapest for 30 people with a projector? Write its name to room.txt.
{"steps":[{"for":"room.txt","do":"name of the cheapest room with a projector and at least 30 seats","tool":"query_table","from":["rooms.json"],"as":"text"}]}
Goal: From the contracts in the folder legal, find out how long the notice is, how high the deposit is and whether pets are allowed. Put the answers into summary.md with the file names.
{"steps":[{"for":"summary.md","do":"How long is the notice period? How high is the deposit? Are pets allowed?","tool":"answer","from":["legal/"],"as":"bullet_list"}]}
Goal: Translate every note in the folder notes into French, save each under the same name in french, and list the most frequent topics in topics.md.
{"steps":[{"for":"french/*","do":"translate the note into French","tool":"write","from":[],"each":"file in notes"},{"for":"topics.md","do":"What are the most frequent topics of the notes?","tool":"answer","from":["notes/"],"as":"bullet_list"}]}
Goal: Compute the fuel cost of the trips in trips.csv with the prices in prices.json and the rules in rules.txt, and write the parts and the total to cost.txt.
{"steps":[{"for":"cost.txt","do":"multiply the litres of every trip with the price of its fuel, add up, apply the surcharge of the rules; print parts and total","tool":"script","from":["trips.csv","prices.json","rules.txt"],"as":"text"}]}
Goal: Find every use of old_name in the folder lib, save the places in uses.md and tell me how many there are.
{"steps":[{"for":"uses.md","do":"every line with old_name below lib","tool":"search_text","from":["lib/"],"as":"bullet_list"}]}
Goal: Write a birthday poem of six lines for Ada with the words in words.txt into poem.txt and a card text that fits into card.txt.
{"steps":[{"for":"poem.txt","do":"birthday poem for Ada of exactly six lines with all the words","tool":"write","from":["words.txt"],"as":"text"},{"for":"card.txt","do":"short card text that fits the poem","tool":"write","from":["$1"],"as":"text"}]}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "would break the shared prefix")]
    fn a_stable_segment_after_a_volatile_one_is_refused() {
        let _ = Prompt::default().push(Segment::Step, Role::User, "x").push(Segment::Goal, Role::User, "y");
    }

    #[test]
    fn the_system_prompt_is_the_same_for_every_run() {
        assert_eq!(system(&Registry::builtin()), system(&Registry::builtin()));
    }
}
