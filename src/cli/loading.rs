//! From the name of a model to an engine that runs it.

use super::{Failure, Kind, Settings, transfer};
use crate::engine::{self, Engine, EngineOptions};

/// Starts the model with this name or path, or the default model; fetches it first if it is not here.
///
/// # Errors
/// Those of the catalog and of the engine.
pub fn open(model: Option<&str>, settings: &Settings, options: &EngineOptions) -> Result<Engine, Failure> {
    let located = transfer::ensure(model, settings)?;
    engine::load(&located.path, options, &mut |_| {}).map_err(|error| Failure::from_error(Kind::Machine, &error))
}
