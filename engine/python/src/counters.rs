use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shadowmesh_core::PeerSnapshot;

use crate::arguments::{Address, address};

#[pyclass(frozen, module = "shadowmesh._engine")]
pub(crate) struct PeerCounters(PeerSnapshot);

#[pymethods]
impl PeerCounters {
    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.public_key.0)
    }

    #[getter]
    fn path(&self) -> Address {
        address(self.0.path.address)
    }

    #[getter]
    fn tx_bytes(&self) -> u64 {
        self.0.tx_bytes
    }

    #[getter]
    fn rx_bytes(&self) -> u64 {
        self.0.rx_bytes
    }

    #[getter]
    fn tx_packets(&self) -> u64 {
        self.0.tx_packets
    }

    #[getter]
    fn rx_packets(&self) -> u64 {
        self.0.rx_packets
    }

    #[getter]
    fn handshake_age_s(&self) -> Option<f64> {
        self.0.handshake_age.map(|age| age.as_secs_f64())
    }
}

#[pyclass(frozen, module = "shadowmesh._engine")]
pub(crate) struct Counters(shadowmesh_io::Counters);

impl From<shadowmesh_io::Counters> for Counters {
    fn from(counters: shadowmesh_io::Counters) -> Self {
        Self(counters)
    }
}

#[pymethods]
impl Counters {
    #[getter]
    fn peers(&self) -> Vec<PeerCounters> {
        self.0.peers.iter().cloned().map(PeerCounters).collect()
    }

    #[getter]
    fn drops(&self) -> HashMap<&'static str, u64> {
        self.0.drops.iter().copied().collect()
    }

    #[getter]
    fn control_received(&self) -> u64 {
        self.0.control_received
    }

    #[getter]
    fn control_sent(&self) -> u64 {
        self.0.control_sent
    }
}
