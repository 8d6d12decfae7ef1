//! Predicts how long a pass takes, from passes that were measured: what it takes without prompts, and what prompts add.
//!
//! - Without prompts: `a + b·tokens + c·attended positions`, fitted to passes without prompts only. `a` is the reading of
//!   the weights, `b` the arithmetic of a token, `c` the reading of one position's keys and values.
//! - Prompts add `d·tokens + e·attended positions`, fitted to what passes with prompts take longer than without.
//!
//! Two fits, because in a stretch of passes that are all alike one could not tell its terms apart, and would blame the
//! weights for what the prompt takes. For the same reason a long prompt pauses once in [`PAUSE`] passes ([`Cost::room`]):
//! so it stays known what a pass takes without it.
//!
//! Fitted while running by a Kalman filter whose weights drift, on relative errors, so that a machine that others use too
//! is followed and one slow pass does not count for more than ten quick ones. Passes that are all alike leave apart what
//! they cannot tell apart: only the doubt about it grows.
//! Must not know: clocks, sequences.
//! Source: the Kalman filter for the weights of a linear regression that walk at random, as in any text on adaptive
//! filters.

/// What the time of a pass depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// New tokens of all sequences.
    pub n_tokens: usize,
    /// Positions that these tokens attend to, summed up.
    pub n_attended: usize,
}

/// How much of itself a weight may drift from one pass to the next.
const DRIFT: f64 = 0.02;
/// How far a pass is off what any weights say, as a part of itself.
const NOISE: f64 = 0.2;
/// How far the first estimates may be off, squared; large, so that the first passes decide.
const UNKNOWN: f64 = 1e4;
/// Passes before a prediction is worth anything.
const MIN_PASSES: usize = 8;
/// A pass that other programs' sequences wait for may take this many times what it takes without prompts.
///
/// The promise is 2.5 times; the rest is for what the prediction misses.
const STRETCH: f64 = 1.8;
/// Passes after which prompts that keep others waiting pause for one.
const PAUSE: usize = 16;
/// Prompt tokens of such a pass at least, so that prompts get on at all.
const MIN_ROOM: usize = 2;
/// Prompt tokens of such a pass while nothing is known yet.
const FIRST_ROOM: usize = 16;
/// What a prompt takes is a part of its pass's time at least as large as this, whatever the prediction of the rest.
const MIN_PART: f64 = 0.05;

/// How much more than its row a guessed token has to be worth.
const MARGIN: f64 = 1.5;
/// Guessed tokens of one sequence in a pass.
const MAX_DRAFTS: usize = 8;

/// Sequences that [`Cost::n_abreast`] tells at most, less one.
const MAX_ABREAST: usize = 31;

/// A fitted model of the time of a pass.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cost {
    /// Passes without prompts: once, tokens, attended positions.
    decode: Fit<3>,
    /// What prompts add: tokens, attended positions.
    prompt: Fit<2>,
    /// Passes since the latest one without prompts.
    n_since_pause: usize,
}

/// Weights of a sum, with what is known of each.
#[derive(Debug, Clone, PartialEq)]
struct Fit<const N: usize> {
    weights: [f64; N],
    /// Uncertainty of the weights: their covariance.
    spread: [[f64; N]; N],
    n_passes: usize,
}

impl<const N: usize> Default for Fit<N> {
    fn default() -> Self {
        let mut spread = [[0.0; N]; N];
        (0..N).for_each(|i| spread[i][i] = UNKNOWN);
        Self { weights: [0.0; N], spread, n_passes: 0 }
    }
}

impl<const N: usize> Fit<N> {
    fn observe(&mut self, features: [f64; N], ms: f64) {
        self.n_passes += 1;
        for (i, weight) in self.weights.iter().enumerate() {
            self.spread[i][i] += (DRIFT * weight).powi(2);
        }
        let x = features.map(|feature| feature / ms);
        let uncertain: [f64; N] = std::array::from_fn(|i| dot(&self.spread[i], &x));
        let scale = NOISE.powi(2) + dot(&x, &uncertain);
        let error = 1.0 - dot(&self.weights, &x);
        for i in 0..N {
            self.weights[i] += uncertain[i] / scale * error;
            for j in 0..N {
                self.spread[i][j] -= uncertain[i] * uncertain[j] / scale;
            }
        }
    }

    /// How far a sum of the weights may be off: a standard deviation.
    fn doubt(&self, features: [f64; N]) -> f64 {
        let uncertain: [f64; N] = std::array::from_fn(|i| dot(&self.spread[i], &features));
        dot(&features, &uncertain).max(0.0).sqrt()
    }

    fn predict(&self, features: [f64; N]) -> Option<f64> {
        let ms = dot(&self.weights, &features);
        (self.n_passes >= MIN_PASSES).then_some(ms).filter(|ms| *ms > 0.0)
    }
}

impl Load {
    /// The features, scaled to similar sizes.
    fn features(self) -> [f64; 2] {
        [self.n_tokens as f64 / 16.0, self.n_attended as f64 / 16384.0]
    }

    fn features_and_one(self) -> [f64; 3] {
        let [tokens, attended] = self.features();
        [1.0, tokens, attended]
    }

    /// The load with so many tokens more, that attend to `n_attended` positions each.
    pub fn with(self, n_tokens: usize, n_attended: usize) -> Self {
        Self { n_tokens: self.n_tokens + n_tokens, n_attended: self.n_attended + n_tokens * n_attended }
    }
}

impl Cost {
    /// Takes in a measured pass: the load of its decoding sequences, and that of its prompts.
    pub fn observe(&mut self, decode: Load, prompt: Load, ms: f64) {
        if !(ms.is_finite() && ms > 0.0) {
            return;
        }
        if prompt.n_tokens == 0 {
            self.n_since_pause = 0;
            return self.decode.observe(decode.features_and_one(), ms);
        }
        self.n_since_pause += 1;
        let rest = ms - self.decode.predict(decode.features_and_one()).unwrap_or(0.0);
        self.prompt.observe(prompt.features(), rest.max(MIN_PART * ms));
    }

    /// Milliseconds of a pass without prompts, once enough of them were seen.
    pub fn decode_ms(&self, decode: Load) -> Option<f64> {
        self.decode.predict(decode.features_and_one())
    }

    /// Milliseconds that prompts add to a pass, once enough passes with prompts were seen.
    pub fn prompt_ms(&self, prompt: Load) -> Option<f64> {
        self.prompt.predict(prompt.features())
    }

    /// Prompt tokens, at `n_attended` positions each, that a pass with the load `decoding` has room for without
    /// keeping its decoding sequences waiting; `most` of them at most, and none once in a while.
    pub fn room(&self, decoding: Load, n_attended: usize, most: usize) -> usize {
        if self.n_since_pause >= PAUSE {
            return 0;
        }
        let per_token = self.prompt_ms(Load::default().with(16, n_attended)).map(|ms| ms / 16.0);
        match (self.decode_ms(decoding), per_token) {
            (Some(base), Some(per_token)) => ((base * (STRETCH - 1.0) / per_token) as usize).max(MIN_ROOM).min(most),
            _ => FIRST_ROOM.min(most),
        }
    }

    /// How many sequences, each with so many positions behind it, are decoded in passes that take at most twice as long as
    /// those of one alone. Nothing as long as passes of one sequence alone were seen, which do not tell.
    pub fn n_abreast(&self, n_attended: usize) -> Option<usize> {
        let one = Load::default().with(1, n_attended);
        let base = self.decode_ms(one)?;
        let per_sequence = (self.decode_ms(one.with(16, n_attended))? - base) / 16.0;
        let [tokens, attended] = Load::default().with(1, n_attended).features();
        let doubt = self.decode.doubt([0.0, tokens, attended]);
        if doubt > per_sequence.max(base / MAX_ABREAST as f64) / 2.0 {
            return None;
        }
        Some((base / per_sequence.max(base / MAX_ABREAST as f64)) as usize + 1)
    }

    /// How many guessed tokens of one sequence are worth computing in a pass with the load `pass`, no prompts and so many
    /// sequences, if `rate` of them turn out right.
    ///
    /// A right one saves the sequence a pass; the pass would have served the others too, so it is their share of it that
    /// is saved. Without a prediction, none.
    pub fn n_drafts(&self, pass: Load, n_attended: usize, n_sequences: usize, rate: f64) -> usize {
        let Some(base) = self.decode_ms(pass) else { return 0 };
        let per_token = self.decode_ms(pass.with(16, n_attended)).map_or(0.0, |ms| (ms - base) / 16.0);
        let worth = base / n_sequences.max(1) as f64;
        (1..=MAX_DRAFTS).take_while(|&i| rate.powi(i as i32) * worth > MARGIN * per_token).count()
    }
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 ms of weights, 2 ms a token, 1 ms per 10,000 positions.
    fn decode_truth(load: Load) -> f64 {
        40.0 + 2.0 * load.n_tokens as f64 + load.n_attended as f64 * 1e-4
    }

    /// 3 ms a token, 1 ms per 5,000 positions.
    fn prompt_truth(load: Load) -> f64 {
        3.0 * load.n_tokens as f64 + load.n_attended as f64 * 2e-4
    }

    #[test]
    fn as_many_sequences_run_abreast_as_double_the_time_of_one() {
        assert_eq!(Cost::default().n_abreast(500), None);
        let mut alone = Cost::default();
        (0..100).for_each(|i| alone.observe(Load::default().with(1, 500 + i), Load::default(), 50.0));
        assert_eq!(alone.n_abreast(500), None, "only passes of one");
        // 42 ms and 0.05 ms for the first, 2.05 ms for every other.
        let n = fitted(400, usize::MAX).n_abreast(500).unwrap();
        assert!((19..=24).contains(&n), "{n}");
    }

    /// Passes of an ordinary day, some of them ten times as slow as they should be; every third has prompts.
    fn fitted(n_passes: usize, slow_every: usize) -> Cost {
        let mut cost = Cost::default();
        for i in 1..=n_passes {
            let decode = Load::default().with(1 + i * 7 % 16, 100 + i * 131 % 3000);
            let n_tokens = if i.is_multiple_of(3) { 1 + i * 37 % 200 } else { 0 };
            let prompt = Load::default().with(n_tokens, i * 17 % 2000);
            let ms = decode_truth(decode) + prompt_truth(prompt);
            cost.observe(decode, prompt, ms * if i.is_multiple_of(slow_every) { 10.0 } else { 1.0 });
        }
        cost
    }

    fn check_near(got: Option<f64>, want: f64, tolerance: f64) {
        let got = got.expect("enough passes were seen");
        assert!((got - want).abs() < tolerance * want, "{got} is not {want}");
    }

    #[test]
    fn a_linear_machine_is_learned() {
        for (n_passes, slow_every, tolerance) in [(150, usize::MAX, 0.02), (400, 20, 0.5)] {
            let cost = fitted(n_passes, slow_every);
            for load in [Load::default().with(1, 500), Load::default().with(8, 2000)] {
                check_near(cost.decode_ms(load), decode_truth(load), tolerance);
            }
            for load in [Load::default().with(20, 500), Load::default().with(200, 1000)] {
                check_near(cost.prompt_ms(load), prompt_truth(load), tolerance);
            }
        }
        assert_eq!(fitted(7, usize::MAX).decode_ms(Load::default().with(1, 1)), None);
    }

    #[test]
    fn a_machine_that_slows_down_is_followed() {
        let mut cost = fitted(200, usize::MAX);
        let load = |i: usize| Load::default().with(4 + i % 9, 800);
        (0..200).for_each(|i| cost.observe(load(i), Load::default(), 3.0 * decode_truth(load(i))));
        check_near(cost.decode_ms(load(0)), 3.0 * decode_truth(load(0)), 0.1);
    }

    /// A long prompt beside four sequences, for as many passes as it takes: how far the passes were stretched.
    fn stretched(noise: f64) -> Vec<f64> {
        let (mut cost, mut n_done, mut stretched) = (fitted(60, usize::MAX), 0, Vec::new());
        for i in 0.. {
            let decode = Load::default().with(4, 200 + i);
            let room = cost.room(decode, n_done, 256);
            let prompt = Load::default().with(room, n_done);
            n_done += room;
            let ms = (decode_truth(decode) + prompt_truth(prompt)) * (1.0 + noise * (i * 37 % 11) as f64 / 10.0);
            cost.observe(decode, prompt, ms);
            stretched.push((decode_truth(decode) + prompt_truth(prompt)) / decode_truth(decode));
            if n_done > 4096 {
                return stretched;
            }
        }
        unreachable!("the prompt gets on")
    }

    #[test]
    fn a_long_prompt_stretches_passes_by_what_was_promised() {
        for (noise, most) in [(0.0, 1.9), (0.3, 2.3)] {
            let stretched = stretched(noise);
            let longest = stretched.iter().copied().fold(0.0, f64::max);
            assert!(longest < most, "{longest} times with noise {noise}");
            assert!(stretched.len() < 1500, "{} passes", stretched.len());
        }
    }

    #[test]
    fn prompts_get_the_room_that_decoding_leaves() {
        let cost = fitted(200, usize::MAX);
        let decoding = Load::default().with(8, 1000);
        assert_eq!(cost.room(decoding, 2000, 10), 10);
        assert_eq!(Cost::default().room(decoding, 2000, 256), FIRST_ROOM);
        // However slow prompts are, they get on, and pause now and then.
        assert_eq!(cost.room(Load::default().with(1, 1), 4_000_000, 256), MIN_ROOM);
        let mut cost = cost;
        (0..PAUSE).for_each(|_| cost.observe(decoding, Load::default().with(5, 10), 100.0));
        assert_eq!(cost.room(decoding, 2000, 256), 0);
        cost.observe(decoding, Load::default(), 60.0);
        assert!(cost.room(decoding, 2000, 256) > 0);
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
        let observe = |ms| cost.observe(Load::default(), Load::default(), ms);
        [0.0, -1.0, f64::NAN, f64::INFINITY].into_iter().for_each(observe);
        assert_eq!(cost, before);
    }
}
