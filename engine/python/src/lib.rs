//! The module `shadowmesh._engine`. Its typed face, and the words about each method, are in
//! `src/shadowmesh/_engine.pyi`.

mod arguments;
mod counters;
mod engine;
mod errors;
mod events;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("EngineError", py.get_type::<errors::EngineError>())?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<counters::Counters>()?;
    module.add_class::<counters::PeerCounters>()?;
    module.add_class::<events::ControlDatagram>()?;
    module.add_class::<events::UnroutedPacket>()?;
    module.add_class::<events::PeerHandshake>()?;
    module.add_class::<events::PeerRoamed>()?;
    module.add_class::<events::EngineFailed>()?;
    module.add("Event", events::union(py)?)?;
    engine::stop_at_exit(py)
}
