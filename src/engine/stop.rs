//! Cuts text off at the first stop string, and holds back what could become one.
//!
//! Invariants: text that was given out never contains a stop string or the beginning of one that comes true; given
//! out, held and cut text add up to what was pushed.
//! Must not know: tokens.

/// Watches one text for its stop strings.
#[derive(Debug, Clone)]
pub(super) struct StopFilter {
    stops: Vec<String>,
    held: String,
    is_stopped: bool,
}

impl StopFilter {
    /// Empty stop strings are ignored.
    pub fn new(stops: Vec<String>) -> Self {
        let stops = stops.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self { stops, held: String::new(), is_stopped: false }
    }

    /// Adds text and returns what can be given out.
    pub fn push(&mut self, text: &str) -> String {
        if self.is_stopped {
            return String::new();
        }
        self.held.push_str(text);
        let first = self.stops.iter().filter_map(|stop| self.held.find(stop)).min();
        let n_out = first.unwrap_or_else(|| self.held.len() - self.n_doubtful());
        let rest = self.held.split_off(n_out);
        self.is_stopped = first.is_some();
        let out = std::mem::replace(&mut self.held, rest);
        if self.is_stopped {
            self.held.clear();
        }
        out
    }

    /// Whether a stop string has come.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// The end of the text: what was held back is text after all.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes at the end of the held text that a stop string may begin with.
    fn n_doubtful(&self) -> usize {
        let overlap = |stop: &String| {
            let longest = self.held.len().min(stop.len() - 1);
            let fits = |&n: &usize| stop.is_char_boundary(n) && self.held.ends_with(&stop[..n]);
            (1..=longest).rev().find(fits).unwrap_or(0)
        };
        self.stops.iter().map(overlap).max().unwrap_or(0)
    }
}
