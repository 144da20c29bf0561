use std::net::IpAddr;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shadowmesh_core::Path;
use shadowmesh_core::wireguard::PublicKey;
use shadowmesh_io::Event;

use crate::arguments::{Address, address};

#[pyclass(frozen, module = "shadowmesh._engine")]
pub(crate) struct ControlDatagram {
    #[pyo3(get)]
    payload: Py<PyBytes>,
    source: Path,
}

#[pymethods]
impl ControlDatagram {
    #[getter]
    fn source(&self) -> Address {
        address(self.source.address)
    }

    #[getter]
    fn via(&self) -> u16 {
        self.source.via
    }
}

#[pyclass(frozen, module = "shadowmesh._engine")]
pub(crate) struct UnroutedPacket(IpAddr);

#[pymethods]
impl UnroutedPacket {
    #[getter]
    fn destination(&self) -> String {
        self.0.to_string()
    }
}

#[pyclass(frozen, module = "shadowmesh._engine")]
pub(crate) struct PeerHandshake(PublicKey);

#[pymethods]
impl PeerHandshake {
    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.0)
    }
}

#[pyclass(frozen, module = "shadowmesh._engine")]
pub(crate) struct PeerRoamed(PublicKey, Path);

#[pymethods]
impl PeerRoamed {
    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.0)
    }

    #[getter]
    fn source(&self) -> Address {
        address(self.1.address)
    }

    #[getter]
    fn via(&self) -> u16 {
        self.1.via
    }
}

#[pyclass(frozen, module = "shadowmesh._engine")]
pub(crate) struct EngineFailed(String);

#[pymethods]
impl EngineFailed {
    #[getter]
    fn reason(&self) -> &str {
        &self.0
    }
}

pub(crate) fn to_python(py: Python<'_>, event: Event) -> PyResult<Py<PyAny>> {
    Ok(match event {
        Event::Control { payload, source } => {
            let payload = PyBytes::new(py, &payload).unbind();
            Py::new(py, ControlDatagram { payload, source })?.into_any()
        }
        Event::Unrouted(destination) => Py::new(py, UnroutedPacket(destination))?.into_any(),
        Event::Handshake(peer) => Py::new(py, PeerHandshake(peer))?.into_any(),
        Event::Roamed(peer, source) => Py::new(py, PeerRoamed(peer, source))?.into_any(),
        Event::Failed(reason) => Py::new(py, EngineFailed(reason))?.into_any(),
    })
}

/// `ControlDatagram | UnroutedPacket | ...`, so that the alias of the stub exists at run time too.
pub(crate) fn union(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let mut union = py.get_type::<ControlDatagram>().into_any();
    for class in [
        py.get_type::<UnroutedPacket>(),
        py.get_type::<PeerHandshake>(),
        py.get_type::<PeerRoamed>(),
        py.get_type::<EngineFailed>(),
    ] {
        union = union.bitor(class)?;
    }
    Ok(union)
}
