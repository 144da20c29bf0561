//! Which Python exception an error of the engine becomes.

use pyo3::PyErr;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyKeyError, PyValueError};
use shadowmesh_core::RouterError;
use shadowmesh_io::Error;

create_exception!(
    shadowmesh._engine,
    EngineError,
    PyException,
    "The system refused something (TUN device, UDP port, address), or the engine has stopped. One clear line."
);

pub(crate) fn python_error(error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Router(RouterError::UnknownPeer) => PyKeyError::new_err(message),
        Error::Router(RouterError::UnusableKey | RouterError::PrefixTaken(_)) | Error::ControlLength(_) => {
            PyValueError::new_err(message)
        }
        Error::Router(RouterError::TooManyPeers | RouterError::TooManyPrefixes)
        | Error::System(..)
        | Error::Stopped => EngineError::new_err(message),
    }
}
