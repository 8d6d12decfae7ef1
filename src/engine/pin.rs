//! A hold on a prefix that work to come will ask for.
//!
//! Must not know: which work.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::worker::Command;
use super::{Engine, Handle};
use crate::cache::PinId;
use crate::types::Token;

/// Keeps a prefix in the cache as long as it lives. It does not keep the engine alive.
#[must_use = "a pin that is dropped keeps nothing"]
pub struct Pin {
    engine: Weak<Handle>,
    id: PinId,
}

impl Engine {
    /// Asks the cache to let the prefix `tokens` go last, until the pin is dropped: what is known of it, and what will be.
    ///
    /// A pin is never in the way of a sequence. All pins together keep no more than half of the KV memory, and older ones
    /// come first.
    pub fn pin(&self, tokens: Vec<Token>) -> Pin {
        let id = PinId(self.0.next_pin.fetch_add(1, Ordering::Relaxed));
        // An engine that has stopped keeps nothing anyway.
        let _ = self.0.commands.send(Command::Pin(id, tokens));
        Pin { engine: Arc::downgrade(&self.0), id }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        if let Some(handle) = self.engine.upgrade() {
            let _ = handle.commands.send(Command::Unpin(self.id));
        }
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pin").field(&self.id.0).finish()
    }
}
