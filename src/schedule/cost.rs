//! Predicts how long a pass takes, from passes that were measured: `ms = a + b·tokens + c·attended positions`.
//!
//! `a` is the reading of the weights, `b` the arithmetic of a token, `c` the reading of one position's keys and values.
//! Fitted while running by recursive least squares with forgetting, on relative errors, so that a machine that others
//! use too is followed and one slow pass does not count for more than ten quick ones.
//! Must not know: clocks, sequences.
//! Source: recursive least squares with exponential forgetting, as in any text on adaptive filters.

/// What the time of a pass depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// New tokens of all sequences.
    pub n_tokens: usize,
    /// Positions that these tokens attend to, summed up.
    pub n_attended: usize,
}

const N: usize = 3;
/// What a pass weighs against the one after it.
const FORGETTING: f64 = 0.98;
/// How far the first estimates may be off, squared; large, so that the first passes decide.
const UNKNOWN: f64 = 1e4;
/// Passes before a prediction is worth anything.
const MIN_PASSES: usize = 8;
/// A pass that other programs' sequences wait for may take this many times what it takes without prompts.
///
/// The promise is 2.5 times; the rest is for what the prediction misses.
const STRETCH: f64 = 2.0;
/// Prompt tokens of such a pass at least, so that prompts get on at all.
const MIN_ROOM: usize = 8;
/// Prompt tokens of such a pass while nothing is known yet.
const FIRST_ROOM: usize = 32;

/// How much more than its row a guessed token has to be worth: rows beside few others cost more than rows of a prompt,
/// which the fit is mostly about.
const MARGIN: f64 = 1.5;
/// Guessed tokens of one sequence in a pass.
const MAX_DRAFTS: usize = 8;

/// A fitted model of the time of a pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    weights: [f64; N],
    /// Uncertainty of the weights: their covariance, up to a factor.
    spread: [[f64; N]; N],
    n_passes: usize,
}

impl Default for Cost {
    fn default() -> Self {
        let mut spread = [[0.0; N]; N];
        (0..N).for_each(|i| spread[i][i] = UNKNOWN);
        Self { weights: [0.0; N], spread, n_passes: 0 }
    }
}

impl Load {
    /// The features, scaled to similar sizes.
    fn features(self) -> [f64; N] {
        [1.0, self.n_tokens as f64 / 16.0, self.n_attended as f64 / 16384.0]
    }

    /// The load with so many tokens more, that attend to `n_attended` positions each.
    pub fn with(self, n_tokens: usize, n_attended: usize) -> Self {
        Self { n_tokens: self.n_tokens + n_tokens, n_attended: self.n_attended + n_tokens * n_attended }
    }
}

impl Cost {
    /// Takes in a measured pass.
    pub fn observe(&mut self, load: Load, ms: f64) {
        if !(ms.is_finite() && ms > 0.0) {
            return;
        }
        self.n_passes += 1;
        let x = load.features().map(|feature| feature / ms);
        let uncertain: [f64; N] = std::array::from_fn(|i| dot(&self.spread[i], &x));
        let scale = FORGETTING + dot(&x, &uncertain);
        let error = 1.0 - dot(&self.weights, &x);
        for i in 0..N {
            self.weights[i] += uncertain[i] / scale * error;
            for j in 0..N {
                // Bounded: a kind of pass that does not occur for long is forgotten, not unlearned without end.
                let narrowed = (self.spread[i][j] - uncertain[i] * uncertain[j] / scale) / FORGETTING;
                self.spread[i][j] = narrowed.clamp(-UNKNOWN, UNKNOWN);
            }
        }
    }

    /// Milliseconds of a pass, once enough passes were seen.
    pub fn predict_ms(&self, load: Load) -> Option<f64> {
        let ms = dot(&self.weights, &load.features());
        (self.n_passes >= MIN_PASSES).then_some(ms).filter(|ms| *ms > 0.0)
    }

    /// Prompt tokens, at `n_attended` positions each, that a pass with the load `decoding` has room for without
    /// keeping its decoding sequences waiting; `most` of them at most.
    pub fn room(&self, decoding: Load, n_attended: usize, most: usize) -> usize {
        let Some(base) = self.predict_ms(decoding) else { return FIRST_ROOM.min(most) };
        let per_token = self.predict_ms(decoding.with(16, n_attended)).map_or(0.0, |ms| (ms - base) / 16.0);
        if per_token <= 0.0 {
            return most;
        }
        ((base * (STRETCH - 1.0) / per_token) as usize).max(MIN_ROOM).min(most)
    }
}

impl Cost {
    /// How many guessed tokens of one sequence are worth computing in a pass with the load `pass` and so many sequences,
    /// if `rate` of them turn out right.
    ///
    /// A right one saves the sequence a pass; the pass would have served the others too, so it is their share of it that
    /// is saved. Without a prediction, none.
    pub fn n_drafts(&self, pass: Load, n_attended: usize, n_sequences: usize, rate: f64) -> usize {
        let Some(base) = self.predict_ms(pass) else { return 0 };
        let per_token = self.predict_ms(pass.with(16, n_attended)).map_or(0.0, |ms| (ms - base) / 16.0);
        let worth = base / n_sequences.max(1) as f64;
        (1..=MAX_DRAFTS).take_while(|&i| rate.powi(i as i32) * worth > MARGIN * per_token).count()
    }
}

fn dot(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 ms of weights, 2 ms a token, 1 ms per 10,000 positions.
    fn truth(load: Load) -> f64 {
        40.0 + 2.0 * load.n_tokens as f64 + load.n_attended as f64 * 1e-4
    }

    /// Passes of an ordinary day, some of them ten times as slow as they should be.
    fn fitted(n_passes: usize, slow_every: usize) -> Cost {
        let mut cost = Cost::default();
        for i in 1..=n_passes {
            let load = Load::default().with(1 + i * 7 % 16, 100 + i * 131 % 3000).with(i * 37 % 200, i * 17 % 2000);
            cost.observe(load, truth(load) * if i.is_multiple_of(slow_every) { 10.0 } else { 1.0 });
        }
        cost
    }

    #[test]
    fn a_linear_machine_is_learned() {
        for (n_passes, slow_every, tolerance) in [(100, usize::MAX, 0.02), (300, 20, 0.3)] {
            let cost = fitted(n_passes, slow_every);
            for load in [Load::default().with(1, 500), Load::default().with(8, 2000), Load::default().with(200, 1000)] {
                let (got, want) = (cost.predict_ms(load).unwrap(), truth(load));
                assert!((got - want).abs() < tolerance * want, "{load:?}: {got} is not {want}");
            }
        }
        assert_eq!(fitted(7, usize::MAX).predict_ms(Load::default().with(1, 1)), None);
    }

    #[test]
    fn a_machine_that_slows_down_is_followed() {
        let mut cost = fitted(200, usize::MAX);
        let load = Load::default().with(4, 800);
        (0..200).for_each(|i| cost.observe(load.with(i % 50, 100), 3.0 * truth(load.with(i % 50, 100))));
        let (got, want) = (cost.predict_ms(load).unwrap(), 3.0 * truth(load));
        assert!((got - want).abs() < 0.1 * want, "{got} is not {want}");
    }

    #[test]
    fn prompts_get_the_room_that_decoding_leaves() {
        let cost = fitted(200, usize::MAX);
        let decoding = Load::default().with(8, 1000);
        let room = cost.room(decoding, 2000, 256);
        let stretched = truth(decoding.with(room, 2000)) / truth(decoding);
        assert!((1.8..2.2).contains(&stretched), "{room} tokens stretch the pass {stretched} times");
        assert_eq!(cost.room(decoding, 2000, 10), 10);
        assert_eq!(Cost::default().room(decoding, 2000, 256), FIRST_ROOM);
        // However slow prompts are, they get on.
        assert_eq!(cost.room(Load::default().with(1, 1), 4_000_000, 256), MIN_ROOM);
    }

    #[test]
    fn guesses_have_to_be_worth_their_rows() {
        let cost = fitted(200, usize::MAX);
        // 42 ms a pass, 2.1 ms a token.
        let alone = Load::default().with(1, 1000);
        let n_drafts = |n_sequences, rate| cost.n_drafts(alone, 1000, n_sequences, rate);
        assert_eq!((n_drafts(1, 0.9), n_drafts(1, 0.5), n_drafts(1, 0.02)), (MAX_DRAFTS, 3, 0));
        assert_eq!((n_drafts(8, 0.9), n_drafts(32, 0.9)), (4, 0));
        assert_eq!(Cost::default().n_drafts(alone, 1000, 1, 0.9), 0);
    }

    #[test]
    fn nonsense_is_not_learned() {
        let mut cost = fitted(50, usize::MAX);
        let before = cost.clone();
        [0.0, -1.0, f64::NAN, f64::INFINITY].into_iter().for_each(|ms| cost.observe(Load::default(), ms));
        assert_eq!(cost, before);
    }
}
