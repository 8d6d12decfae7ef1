//! Keeps what a conversation says from becoming a control token.
//!
//! A template may trim, cut or quote a message, so the places of messages in the rendered text are unknown. Instead
//! every spelling of a control token in a message gets a marker before it, a character that occurs nowhere else; the
//! encoder takes a marked spelling for text and drops the markers. A message without such spellings is not touched,
//! so a template sees what it always sees.
//! Must not know: how a template is written.

use serde_json::Value;

use super::Tokenizer;
use super::vocabulary::Kind;
use crate::types::{Message, Token, ToolCall};

/// Characters that Unicode keeps out of all text.
pub(super) const MARKERS: std::ops::RangeInclusive<char> = '\u{fdd0}'..='\u{fdef}';

/// Marks the control tokens that one conversation spells.
pub(super) struct Guard<'a> {
    tokenizer: &'a Tokenizer,
    controls: Vec<&'a str>,
    marker: char,
}

impl<'a> Guard<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer, messages: &[Message], tools: &[Value]) -> Self {
        let mut texts: Vec<String> = tools.iter().map(Value::to_string).collect();
        for message in messages {
            texts.push(message.content.clone());
            texts.extend(message.tool_calls.iter().map(|call| format!("{}{}", call.name, call.arguments)));
        }
        let is_free = |marker: &char| !texts.iter().any(|text| text.contains(*marker));
        // Text with all 32 of them is made to break this; it loses one of them, and nothing else.
        let marker = MARKERS.clone().find(is_free).unwrap_or(*MARKERS.start());
        Self { tokenizer, controls: tokenizer.control_texts().collect(), marker }
    }

    pub(super) fn marker(&self) -> char {
        self.marker
    }

    pub(super) fn mark_message(&self, message: &Message) -> Message {
        let mark_call =
            |call: &ToolCall| ToolCall { name: self.mark(&call.name), arguments: self.mark_json(&call.arguments) };
        Message {
            role: message.role,
            content: self.mark(&message.content),
            tool_calls: message.tool_calls.iter().map(mark_call).collect(),
        }
    }

    pub(super) fn mark_json(&self, json: &Value) -> Value {
        match json {
            Value::String(text) => self.mark(text).into(),
            Value::Array(items) => items.iter().map(|item| self.mark_json(item)).collect(),
            Value::Object(entries) => {
                entries.iter().map(|(key, value)| (self.mark(key), self.mark_json(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// The text with a marker before every control token that it spells, or could spell together with its neighbours.
    fn mark(&self, text: &str) -> String {
        let text = text.replace(self.marker, "");
        let mut places: Vec<usize> = self.tokenizer.controls_in(&text).collect();
        for control in &self.controls {
            for (at, _) in control.char_indices().skip(1) {
                if text.starts_with(&control[at..]) {
                    places.push(0);
                }
                if text.ends_with(&control[..at]) {
                    places.push(text.len() - at);
                }
            }
        }
        places.sort_unstable();
        places.dedup();
        let mut marked = String::with_capacity(text.len() + 3 * places.len());
        let mut done = 0;
        for place in places {
            marked.push_str(&text[done..place]);
            marked.push(self.marker);
            done = place;
        }
        marked.push_str(&text[done..]);
        marked
    }
}

impl Tokenizer {
    /// The texts of all control tokens.
    fn control_texts(&self) -> impl Iterator<Item = &str> {
        self.0.vocabulary.iter().filter(|(_, _, kind)| is_guarded(*kind)).map(|(_, text, _)| text)
    }

    /// Where `text` spells a control token.
    fn controls_in<'a>(&'a self, text: &'a str) -> impl Iterator<Item = usize> + 'a {
        let is_control = |token: Token| is_guarded(self.0.vocabulary.kind(token));
        self.0.special.find(text).filter(move |(token, _)| is_control(*token)).map(|(_, range)| range.start)
    }
}

/// Whether user text must never become a token of this kind.
pub(super) fn is_guarded(kind: Kind) -> bool {
    matches!(kind, Kind::Control | Kind::Unknown)
}
