//! Conversations that the model has had, as the tokens that it read and wrote.
//!
//! A text need not be tokenized into the tokens it was generated as. A conversation that goes on from one of these goes
//! on from its very tokens, so that nothing of it is computed again.
//! Must not know: the engine, what a conversation is about.

use std::collections::VecDeque;

use crate::types::{Message, Role, Token};

/// Conversations that are kept; the oldest goes first.
const MAX_KEPT: usize = 16;

/// What was said lately.
#[derive(Debug, Default)]
pub(super) struct Transcripts(VecDeque<Transcript>);

#[derive(Debug)]
struct Transcript {
    /// The turns, the model's last one included.
    messages: Vec<Message>,
    /// Everything up to the end of that turn's text, without what closes it.
    tokens: Vec<Token>,
}

impl Transcripts {
    /// Keeps a conversation: `prompt` stood for `messages` and the beginning of the model's turn, which became `text`.
    pub fn add(&mut self, mut messages: Vec<Message>, text: String, prompt: &[Token], generated: &[Token]) {
        messages.push(Message::new(Role::Assistant, text));
        let tokens = [prompt, generated].concat();
        if self.0.len() == MAX_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Transcript { messages, tokens });
    }

    /// `rendered`, which stands for `messages`, with the known part of it as it was read and written.
    ///
    /// `render` turns a part of the conversation into tokens, and `is_end` tells the tokens that close a turn. Where a
    /// template leaves no trace of the turn's end, or changes earlier turns, `rendered` is returned as it is.
    pub fn splice(
        &self,
        messages: &[Message],
        rendered: Vec<Token>,
        render: impl Fn(&[Message]) -> Option<Vec<Token>>,
        is_end: impl Fn(Token) -> bool,
    ) -> Vec<Token> {
        let known = self.0.iter().rev().filter(|transcript| messages.starts_with(&transcript.messages));
        let Some(longest) = known.max_by_key(|transcript| transcript.messages.len()) else { return rendered };
        let Some(known) = render(&longest.messages) else { return rendered };
        match (rendered.strip_prefix(known.as_slice()), known.iter().rposition(|&token| is_end(token))) {
            (Some(rest), Some(closing)) => [&longest.tokens, &known[closing..], rest].concat(),
            _ => rendered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Token = 99;

    /// A turn is its letters and an end.
    fn render(messages: &[Message]) -> Option<Vec<Token>> {
        let turn = |message: &Message| message.content.bytes().map(Token::from).chain([END]).collect::<Vec<_>>();
        Some(messages.iter().flat_map(turn).collect())
    }

    #[test]
    fn what_the_model_wrote_stays_as_it_wrote_it() {
        let turn = |text: &str| Message::new(Role::User, text);
        let mut transcripts = Transcripts::default();
        // The model wrote `ab` as one token.
        transcripts.add(vec![turn("x")], "ab".into(), &[120, END], &[500]);
        let splice = |messages: &[Message]| {
            transcripts.splice(messages, render(messages).unwrap(), render, |token| token == END)
        };
        let said = Message::new(Role::Assistant, "ab");
        let goes_on = [turn("x"), said.clone(), turn("y")];
        assert_eq!(splice(&goes_on), [120, END, 500, END, 121, END]);
        let other = [turn("z"), said, turn("y")];
        assert_eq!(splice(&other), render(&other).unwrap());
        let endless = transcripts.splice(&goes_on, render(&goes_on).unwrap(), render, |_| false);
        assert_eq!(endless, render(&goes_on).unwrap());
    }
}
