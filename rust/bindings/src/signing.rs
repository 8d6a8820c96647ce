//! `Action`, `Signer` and `NonceCounter`: what is signed, by whom, and which numbers are used up.
//!
//! Nothing here lets the interpreter go: a signature is some 40 µs of arithmetic on one small action, and a nonce
//! waits for the disk once in ten seconds.

use std::path::PathBuf;

use hypermm_core::error::{Detail, Error};
use hypermm_signing::action::Action;
use hypermm_signing::action::decimal::Decimal;
use hypermm_signing::action::identity::Address;
use hypermm_signing::approval::AgentApproval;
use hypermm_signing::key::Signer;
use hypermm_signing::nonce::NonceCounter;
use hypermm_signing::typed_data::{Network, Signature, Terms, connection_id, recover_signer};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyString, PyTuple};

use crate::access::lock;
use crate::error::{Kind, from_signing, guard, invalid_input, raise};
use crate::input::{flag, number, text};

/// Runs code of the signing crate: its errors become exceptions of the tree, and so does a panic.
#[inline]
fn signing<T>(call: impl FnOnce() -> hypermm_signing::error::Result<T>) -> PyResult<T> {
    guard(|| Ok::<_, Error>(call()))?.map_err(from_signing)
}

/// An integer from 0 to 2^64 − 1.
fn unsigned(field: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let refuse = || invalid_input(field, value, "an integer from 0 to 2^64 − 1", "");
    if value.is_instance_of::<PyBool>() { Err(refuse()) } else { value.extract().map_err(|_| refuse()) }
}

fn address(field: &'static str, value: &Bound<'_, PyAny>) -> PyResult<Address> {
    let text = text(field, value)?;
    signing(|| {
        text.parse().map_err(|mut error: hypermm_signing::error::Error| {
            error.field = field.into();
            error
        })
    })
}

fn network(is_mainnet: &Bound<'_, PyAny>) -> PyResult<Network> {
    Ok(if flag("is_mainnet", is_mainnet)? { Network::Mainnet } else { Network::Testnet })
}

fn terms(
    nonce: &Bound<'_, PyAny>,
    vault_address: Option<&Bound<'_, PyAny>>,
    expires_after_ms: Option<&Bound<'_, PyAny>>,
) -> PyResult<Terms> {
    Ok(Terms {
        nonce: unsigned("nonce", nonce)?,
        vault_address: vault_address.map(|given| address("vault_address", given)).transpose()?,
        expires_after_ms: expires_after_ms.map(|given| unsigned("expires_after_ms", given)).transpose()?,
    })
}

/// One of the venue's L1 actions in canonical form; frozen.
#[pyclass(frozen, eq, name = "Action", module = "hypermm._core")]
#[derive(PartialEq)]
pub(crate) struct PyAction {
    inner: Action,
}

#[pymethods]
impl PyAction {
    /// Reads an action from the venue's JSON; keys in any order, numbers padded or not.
    #[staticmethod]
    fn from_json(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let parsed = if let Ok(bytes) = data.cast::<PyBytes>() {
            signing(|| Action::from_json(bytes.as_bytes()))
        } else if data.is_instance_of::<PyString>() {
            let json = text("data", data)?;
            signing(|| Action::from_json(json.as_bytes()))
        } else {
            Err(invalid_input("data", data, "JSON as bytes or text", ""))
        };
        Ok(Self { inner: parsed? })
    }

    /// Canonical JSON.
    fn to_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &signing(|| self.inner.to_json())?))
    }

    /// The bytes that are hashed.
    fn to_msgpack<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &signing(|| self.inner.to_msgpack())?))
    }

    /// Hash of the action and its terms, 32 bytes.
    #[pyo3(signature = (nonce, *, vault_address=None, expires_after_ms=None))]
    fn connection_id<'py>(
        &self,
        py: Python<'py>,
        nonce: &Bound<'_, PyAny>,
        vault_address: Option<&Bound<'_, PyAny>>,
        expires_after_ms: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let terms = terms(nonce, vault_address, expires_after_ms)?;
        let hash = signing(|| Ok(connection_id(&self.inner.to_msgpack()?, &terms)))?;
        Ok(PyBytes::new(py, &hash))
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.to_msgpack(py)?.hash()
    }

    fn __repr__(&self) -> PyResult<String> {
        let json = signing(|| self.inner.to_json())?;
        Ok(format!("Action.from_json('{}')", String::from_utf8_lossy(&json)))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        (slf.get_type().getattr("from_json")?, (slf.get().to_json(py)?,)).into_pyobject(py)
    }
}

/// A key that signs, and says nothing else but its address; frozen.
#[pyclass(frozen, name = "Signer", module = "hypermm._core")]
pub(crate) struct PySigner {
    inner: Signer,
}

#[pymethods]
impl PySigner {
    /// Reads a private key from a file that only we can read.
    #[staticmethod]
    #[pyo3(signature = (path, *, is_mainnet, account_address=None, allow_master_key=None),
           text_signature = "(path, *, is_mainnet, account_address=None, allow_master_key=False)")]
    fn from_file(
        path: &Bound<'_, PyAny>,
        is_mainnet: &Bound<'_, PyAny>,
        account_address: Option<&Bound<'_, PyAny>>,
        allow_master_key: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        // What is not a path is not shown: it may be the key.
        let path: PathBuf = path.extract().map_err(|_| refused("path", "(not shown)", "the name of a file", ""))?;
        let network = network(is_mainnet)?;
        let account = account_address.map(|given| address("account_address", given)).transpose()?;
        let allow_master_key = allow_master_key.map_or(Ok(false), |given| flag("allow_master_key", given))?;
        let inner = signing(|| Signer::from_file(&path, network, account, allow_master_key))?;
        Ok(Self { inner })
    }

    /// Lowercase address of the key.
    #[getter]
    fn address(&self) -> String {
        self.inner.address().to_string()
    }

    /// Signs for mainnet, else for testnet.
    #[getter]
    fn is_mainnet(&self) -> bool {
        self.inner.network() == Network::Mainnet
    }

    /// Signature of an action: r, s, v.
    #[pyo3(signature = (action, nonce, *, vault_address=None, expires_after_ms=None))]
    fn sign(
        &self,
        action: &Bound<'_, PyAction>,
        nonce: &Bound<'_, PyAny>,
        vault_address: Option<&Bound<'_, PyAny>>,
        expires_after_ms: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(String, String, u8)> {
        let terms = terms(nonce, vault_address, expires_after_ms)?;
        signing(|| Ok(self.inner.sign(&action.get().inner, &terms)?.to_parts()))
    }

    /// The signed action as `/exchange` takes it, JSON.
    #[pyo3(signature = (action, nonce, *, vault_address=None, expires_after_ms=None))]
    fn request<'py>(
        &self,
        py: Python<'py>,
        action: &Bound<'_, PyAction>,
        nonce: &Bound<'_, PyAny>,
        vault_address: Option<&Bound<'_, PyAny>>,
        expires_after_ms: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let terms = terms(nonce, vault_address, expires_after_ms)?;
        Ok(PyBytes::new(py, &signing(|| self.inner.request(&action.get().inner, &terms))?))
    }

    fn __repr__(&self) -> String {
        let network = if self.is_mainnet() { "mainnet" } else { "testnet" };
        format!("Signer(address='{}', network='{network}')", self.inner.address())
    }

    fn __reduce__(&self) -> PyResult<()> {
        let hint = "read the key from its file in the process that signs";
        Err(refused(
            "signer",
            &self.inner.address().to_string(),
            "no pickling, no copying: the key has one place",
            hint,
        ))
    }
}

#[cold]
fn refused(field: &'static str, value: &str, expected: &'static str, hint: &'static str) -> PyErr {
    let detail = Detail { field: field.into(), value: value.into(), expected: expected.into(), hint: hint.into() };
    raise(Kind::SigningKey, &detail)
}

/// Numbers that a signer uses once each, also across restarts.
#[pyclass(name = "NonceCounter", module = "hypermm._core")]
pub(crate) struct PyNonceCounter {
    inner: Option<NonceCounter>,
}

#[pymethods]
impl PyNonceCounter {
    #[new]
    fn new(folder: &Bound<'_, PyAny>, signer_address: &Bound<'_, PyAny>) -> PyResult<Self> {
        let path: PathBuf =
            folder.extract().map_err(|_| invalid_input("folder", folder, "the name of a folder", ""))?;
        let signer = address("signer_address", signer_address)?;
        Ok(Self { inner: Some(signing(|| NonceCounter::open(&path, signer))?) })
    }

    /// The next nonce.
    fn next(slf: &Bound<'_, Self>, now_ms: &Bound<'_, PyAny>) -> PyResult<u64> {
        let now_ms = unsigned("now_ms", now_ms)?;
        let mut counter = lock(slf)?;
        let open = counter.inner.as_mut().ok_or_else(closed)?;
        signing(|| open.next(now_ms))
    }

    /// The next nonce, though the file cannot be written.
    fn next_unwritten(slf: &Bound<'_, Self>, now_ms: &Bound<'_, PyAny>) -> PyResult<u64> {
        let now_ms = unsigned("now_ms", now_ms)?;
        let mut counter = lock(slf)?;
        let open = counter.inner.as_mut().ok_or_else(closed)?;
        signing(|| open.next_unwritten(now_ms))
    }

    /// The last nonce given out, or after a restart a bound above all of them; 0 when there was none.
    #[getter]
    fn last(slf: &Bound<'_, Self>) -> PyResult<u64> {
        lock(slf)?.inner.as_ref().map(NonceCounter::last).ok_or_else(closed)
    }

    /// Writes the last nonce down and lets another process use the signer.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        lock(slf)?.inner = None;
        Ok(())
    }

    fn __reduce__(&self) -> PyResult<()> {
        let detail = Detail {
            field: "nonce counter".into(),
            value: "one object".into(),
            expected: "no pickling, no copying: two would give out the same nonces".into(),
            hint: "".into(),
        };
        Err(raise(Kind::Nonce, &detail))
    }
}

#[cold]
fn closed() -> PyErr {
    let detail = Detail {
        field: "nonce counter".into(),
        value: "closed".into(),
        expected: "a counter that is open".into(),
        hint: "".into(),
    };
    raise(Kind::Nonce, &detail)
}

/// A number as the venue writes it: at most eight decimals, no trailing zeros, no exponent.
#[pyfunction]
fn wire_number(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let value = number("value", value)?;
    signing(|| Ok(Decimal::from_f64("value", value)?.to_string()))
}

/// Address of whoever signed; a signature over anything else gives some other address.
#[pyfunction(name = "recover_signer")]
#[pyo3(signature = (action, signature, nonce, *, is_mainnet, vault_address=None, expires_after_ms=None))]
fn py_recover_signer(
    action: &Bound<'_, PyAction>,
    signature: (String, String, u64),
    nonce: &Bound<'_, PyAny>,
    is_mainnet: &Bound<'_, PyAny>,
    vault_address: Option<&Bound<'_, PyAny>>,
    expires_after_ms: Option<&Bound<'_, PyAny>>,
) -> PyResult<String> {
    let (network, terms) = (network(is_mainnet)?, terms(nonce, vault_address, expires_after_ms)?);
    let (r, s, v) = signature;
    signing(|| {
        let signature = Signature::from_parts(&r, &s, v)?;
        Ok(recover_signer(&action.get().inner, network, &terms, &signature)?.to_string())
    })
}

/// Account that approved an agent.
#[pyfunction]
#[pyo3(signature = (agent_address, agent_name, nonce, signature, *, is_mainnet, signature_chain_id))]
fn recover_approver(
    agent_address: &Bound<'_, PyAny>,
    agent_name: &Bound<'_, PyAny>,
    nonce: &Bound<'_, PyAny>,
    signature: (String, String, u64),
    is_mainnet: &Bound<'_, PyAny>,
    signature_chain_id: &Bound<'_, PyAny>,
) -> PyResult<String> {
    let agent_name = text("agent_name", agent_name)?;
    let approval = AgentApproval {
        signature_chain_id: unsigned("signature_chain_id", signature_chain_id)?,
        network: network(is_mainnet)?,
        agent_address: address("agent_address", agent_address)?,
        agent_name: &agent_name,
        nonce: unsigned("nonce", nonce)?,
    };
    let (r, s, v) = signature;
    signing(|| Ok(approval.recover_account(&Signature::from_parts(&r, &s, v)?)?.to_string()))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyAction>()?;
    module.add_class::<PySigner>()?;
    module.add_class::<PyNonceCounter>()?;
    module.add_function(wrap_pyfunction!(wire_number, module)?)?;
    module.add_function(wrap_pyfunction!(recover_approver, module)?)?;
    module.add_function(wrap_pyfunction!(py_recover_signer, module)?)
}
