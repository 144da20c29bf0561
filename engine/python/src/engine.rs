use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyList};
use shadowmesh_core::wireguard::Cipher;
use shadowmesh_core::{Path, PeerConfig};
use shadowmesh_io::{Config, Event};

use crate::arguments::{
    Address, cipher, control_id, endpoint, interface_address, offloads, prefixes, public_key, secret,
};
use crate::counters::Counters;
use crate::errors::python_error;
use crate::events::to_python;

/// The least MTU of IPv6, and the longest IP packet.
const MTU_RANGE: std::ops::RangeInclusive<u32> = 1280..=65_535;
/// WireGuard's own limit for the keepalive interval.
const MAX_KEEPALIVE_S: u32 = 65_535;

/// Engines to stop when the interpreter exits.
static STARTED: Mutex<Vec<Weak<shadowmesh_io::Engine>>> = Mutex::new(Vec::new());

#[pyclass(frozen, module = "shadowmesh._engine")]
pub(crate) struct Engine(Arc<shadowmesh_io::Engine>);

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (*, private_key, port = 0, tun = None, addresses = Vec::new(), mtu = 1280, without = Vec::new()),
        text_signature = "(*, private_key, port=0, tun=None, addresses=(), mtu=1280, without=())")]
    fn new(
        py: Python<'_>,
        private_key: &[u8],
        port: u32,
        tun: Option<String>,
        addresses: Vec<String>,
        mtu: u32,
        without: Vec<String>,
    ) -> PyResult<Self> {
        if !MTU_RANGE.contains(&mtu) {
            return Err(PyValueError::new_err(format!("mtu: {mtu}, want 1280 to 65535")));
        }
        let port = u16::try_from(port).map_err(|_| PyValueError::new_err(format!("port: {port}")))?;
        let addresses = addresses.iter().map(|text| interface_address(text)).collect::<PyResult<_>>()?;
        let private_key = secret("private_key", private_key)?;
        let offloads = offloads(&without)?;
        let config = Config { private_key, port, tun, addresses, mtu: mtu as u16, offloads };
        let engine = py.detach(|| shadowmesh_io::Engine::start(&config)).map_err(python_error)?;
        let engine = Arc::new(engine);
        let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        started.retain(|engine| engine.strong_count() > 0);
        started.push(Arc::downgrade(&engine));
        Ok(Self(engine))
    }

    #[getter]
    fn port(&self) -> u16 {
        self.0.port()
    }

    #[classattr]
    fn has_aes() -> bool {
        Cipher::has_aes_instructions()
    }

    #[getter]
    fn tun(&self) -> Option<&str> {
        self.0.tun()
    }

    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.public_key().0)
    }

    #[getter]
    fn wake_fd(&self) -> i32 {
        self.0.wake_fd()
    }

    #[pyo3(signature = (limit = 256))]
    fn drain<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        let events = py.detach(|| self.0.drain(limit));
        let events = events.into_iter().map(|event: Event| to_python(py, event));
        PyList::new(py, events.collect::<PyResult<Vec<_>>>()?)
    }

    #[pyo3(signature = (*, mac1_key, cookie_key))]
    fn guard(&self, py: Python<'_>, mac1_key: &[u8], cookie_key: &[u8]) -> PyResult<()> {
        let (mac1_key, cookie_key) = (secret("mac1_key", mac1_key)?, secret("cookie_key", cookie_key)?);
        py.detach(|| self.0.guard(mac1_key, &cookie_key)).map_err(python_error)
    }

    fn open_id(&self, id: &[u8]) -> PyResult<()> {
        self.0.open_id(control_id(id)?).map_err(python_error)
    }

    fn close_id(&self, id: &[u8]) -> PyResult<()> {
        self.0.close_id(control_id(id)?).map_err(python_error)
    }

    fn demand_cookies(&self, demanded: bool) -> PyResult<()> {
        self.0.demand_cookies(demanded).map_err(python_error)
    }

    fn open_ports(&self, py: Python<'_>, count: usize) -> PyResult<Vec<u16>> {
        py.detach(|| self.0.open_ports(count)).map_err(python_error)
    }

    fn close_ports(&self, py: Python<'_>, ports: Vec<u16>) -> PyResult<()> {
        py.detach(|| self.0.close_ports(&ports)).map_err(python_error)
    }

    #[pyo3(signature = (payloads, destination, *, via = 0))]
    fn send(
        &self,
        py: Python<'_>,
        payloads: Vec<Bound<'_, PyBytes>>,
        destination: Address,
        via: u16,
    ) -> PyResult<()> {
        let destination = Path { address: endpoint(&destination)?, via };
        let payloads: Vec<&[u8]> = payloads.iter().map(|payload| payload.as_bytes()).collect();
        py.detach(|| self.0.send(&payloads, destination)).map_err(python_error)
    }

    #[pyo3(signature = (public_key, psk, path, allowed_ips, *, initiate = false, keepalive_s = 0,
        cipher = "chacha20poly1305", via = 0, follow = true))]
    #[expect(clippy::too_many_arguments, reason = "the signature is the Python one")]
    fn add_peer(
        &self,
        py: Python<'_>,
        public_key: &[u8],
        psk: &[u8],
        path: Address,
        allowed_ips: Vec<String>,
        initiate: bool,
        keepalive_s: u32,
        cipher: &str,
        via: u16,
        follow: bool,
    ) -> PyResult<()> {
        if keepalive_s > MAX_KEEPALIVE_S {
            return Err(PyValueError::new_err(format!(
                "keepalive_s: {keepalive_s}, want 0 to {MAX_KEEPALIVE_S}"
            )));
        }
        let config = PeerConfig {
            public_key: self::public_key(public_key)?,
            psk: secret("psk", psk)?,
            cipher: self::cipher(cipher)?,
            path: Path { address: endpoint(&path)?, via },
            allowed_ips: prefixes(&allowed_ips)?,
            keepalive: Duration::from_secs(keepalive_s.into()),
            initiate,
            follow,
        };
        py.detach(|| self.0.add_peer(config)).map_err(python_error)
    }

    #[pyo3(signature = (public_key, path, *, via = 0))]
    fn set_path(&self, py: Python<'_>, public_key: &[u8], path: Address, via: u16) -> PyResult<()> {
        let (public_key, path) = (self::public_key(public_key)?, Path { address: endpoint(&path)?, via });
        py.detach(|| self.0.set_path(public_key, path)).map_err(python_error)
    }

    fn path_is_narrow(&self, py: Python<'_>, public_key: &[u8]) -> PyResult<()> {
        let public_key = self::public_key(public_key)?;
        py.detach(|| self.0.path_is_narrow(public_key)).map_err(python_error)
    }

    fn remove_peer(&self, py: Python<'_>, public_key: &[u8]) -> PyResult<()> {
        let public_key = self::public_key(public_key)?;
        py.detach(|| self.0.remove_peer(public_key)).map_err(python_error)
    }

    fn counters(&self, py: Python<'_>) -> Counters {
        py.detach(|| self.0.counters()).into()
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }
}

/// The threads are joined while the interpreter still stands, even if an engine is never collected.
pub(crate) fn stop_at_exit(py: Python<'_>) -> PyResult<()> {
    let stop_all = PyCFunction::new_closure(py, None, None, |arguments, _| {
        let engines = std::mem::take(&mut *STARTED.lock().unwrap_or_else(PoisonError::into_inner));
        arguments.py().detach(|| {
            for engine in engines.iter().filter_map(Weak::upgrade) {
                engine.stop();
            }
        });
    })?;
    py.import("atexit")?.call_method1("register", (stop_all,))?;
    Ok(())
}
