//! `DepthDecay`.

use hypermm_core::error::{Error, require_finite, require_positive};
use hypermm_core::estimators::depth_decay::DepthDecay;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};
use serde::{Deserialize, Serialize};

use super::{Reduced, in_order, require_non_negative, same_length};
use crate::access::{lock, over_rows, read};
use crate::error::guard;
use crate::input::{Column, flag, flags, floats, number, optional_number, time_ns, times};
use crate::state::{open, seal};

const KIND: u8 = 3;
const COLUMNS: &[(&str, &str)] = &[("time_ns", "times_ns"), ("reach_bps", "reaches_bps")];

/// Posterior of one side with the parameters it was begun with and the last time taken in.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct DecayState {
    posterior: DepthDecay,
    priors: [f64; 3],
    last_ns: Option<i64>,
}

impl DecayState {
    fn begun(priors: [f64; 3]) -> Result<Self, Error> {
        require_positive("depth_decay", priors[0])?;
        require_positive("arrival_rate", priors[1])?;
        require_positive("half_life_s", priors[2])?;
        Ok(Self { posterior: DepthDecay::new(priors[0], priors[1], priors[2]), priors, last_ns: None })
    }

    fn update(&mut self, now_ns: i64, reach_bps: f64, threshold_bps: f64, censored: bool) -> Result<(), Error> {
        require_finite("reach_bps", reach_bps)?;
        require_non_negative("threshold_bps", threshold_bps)?;
        in_order(self.last_ns, now_ns)?;
        self.posterior.update(now_ns, reach_bps, threshold_bps, censored);
        self.last_ns = Some(now_ns);
        Ok(())
    }
}

/// How fast aggressive flow of one side thins with depth: λ(δ) = A·exp(−k·δ) (section 2).
#[pyclass(name = "DepthDecay", module = "hypermm._core")]
pub(crate) struct PyDepthDecay(DecayState);

#[pymethods]
impl PyDepthDecay {
    #[new]
    #[pyo3(signature = (depth_decay=None, arrival_rate=None, half_life_s=None),
           text_signature = "(depth_decay=0.5, arrival_rate=0.3, half_life_s=3600.0)")]
    fn __new__(
        depth_decay: Option<&Bound<'_, PyAny>>,
        arrival_rate: Option<&Bound<'_, PyAny>>,
        half_life_s: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let depth_decay = optional_number("depth_decay", depth_decay)?.unwrap_or(0.5);
        let arrival_rate = optional_number("arrival_rate", arrival_rate)?.unwrap_or(0.3);
        let half_life_s = optional_number("half_life_s", half_life_s)?.unwrap_or(3600.0);
        Ok(Self(guard(|| DecayState::begun([depth_decay, arrival_rate, half_life_s]))?))
    }

    /// Adds one aggressor event.
    #[pyo3(signature = (time_ns, reach_bps, threshold_bps, *, censored=None),
           text_signature = "($self, time_ns, reach_bps, threshold_bps, *, censored=False)")]
    fn update(
        slf: &Bound<'_, Self>,
        time_ns: &Bound<'_, PyAny>,
        reach_bps: &Bound<'_, PyAny>,
        threshold_bps: &Bound<'_, PyAny>,
        censored: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let reach = number("reach_bps", reach_bps)?;
        let threshold = number("threshold_bps", threshold_bps)?;
        let censored = censored.map_or(Ok(false), |given| flag("censored", given))?;
        let state = &mut lock(slf)?.0;
        guard(|| state.update(now, reach, threshold, censored))
    }

    /// `threshold_bps` is one number for all events, or one for each.
    #[pyo3(signature = (times_ns, reaches_bps, threshold_bps, censored=None))]
    fn update_many(
        slf: &Bound<'_, Self>,
        times_ns: &Bound<'_, PyAny>,
        reaches_bps: &Bound<'_, PyAny>,
        threshold_bps: &Bound<'_, PyAny>,
        censored: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let times_ns = times("times_ns", times_ns)?;
        let reaches = floats("reaches_bps", reaches_bps)?;
        let thresholds = match number("threshold_bps", threshold_bps) {
            Ok(one) => {
                guard(|| require_non_negative("threshold_bps", one))?;
                Column::Owned(vec![one; times_ns.len()])
            }
            Err(_) => floats("threshold_bps", threshold_bps)?,
        };
        let censored = match censored {
            Some(given) => flags("censored", given)?,
            None => Column::Owned(vec![false; times_ns.len()]),
        };
        let (times_ns, reaches, thresholds, censored): (&[i64], &[f64], &[f64], &[bool]) =
            (&times_ns, &reaches, &thresholds, &censored);
        let state = &mut lock(slf)?.0;
        over_rows(slf.py(), times_ns.len(), || {
            same_length("reaches_bps", reaches.len(), "times_ns", times_ns.len())?;
            same_length("threshold_bps", thresholds.len(), "times_ns", times_ns.len())?;
            same_length("censored", censored.len(), "times_ns", times_ns.len())?;
            let mut next = state.clone();
            for index in 0..times_ns.len() {
                next.update(times_ns[index], reaches[index], thresholds[index], censored[index])
                    .map_err(|error| error.at_index(index, COLUMNS))?;
            }
            *state = next;
            Ok(())
        })
    }

    /// k, 1/bps.
    #[getter]
    fn depth_decay(slf: &Bound<'_, Self>) -> PyResult<f64> {
        Ok(read(slf)?.0.posterior.decay())
    }

    /// 0.41 with the prior alone, towards 1 with evidence.
    #[getter]
    fn confidence(slf: &Bound<'_, Self>) -> PyResult<f64> {
        Ok(read(slf)?.0.posterior.confidence())
    }

    /// Λ₀: rate of events beyond the threshold, 1/s.
    fn rate(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<f64> {
        let now = self::time_ns("time_ns", time_ns)?;
        let this = read(slf)?;
        guard(|| in_order(this.0.last_ns, now).map(|()| this.0.posterior.rate(now)))
    }

    /// A = Λ₀·exp(k·d₀), 1/s.
    fn intensity_at_mid(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<f64> {
        let now = self::time_ns("time_ns", time_ns)?;
        let this = read(slf)?;
        guard(|| in_order(this.0.last_ns, now).map(|()| this.0.posterior.intensity_at_mid(now)))
    }

    /// Back to the prior.
    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = &mut lock(slf)?.0;
        *state = guard(|| DecayState::begun(state.priors))?;
        Ok(())
    }

    /// The state as versioned bytes.
    fn snapshot<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyBytes>> {
        seal(slf.py(), KIND, &read(slf)?.0)
    }

    /// The estimator of a snapshot; `SnapshotError` for foreign or damaged bytes.
    #[classmethod]
    fn restore(_class: &Bound<'_, PyType>, state: &Bound<'_, PyAny>) -> PyResult<Self> {
        open(KIND, "DepthDecay", state).map(Self)
    }

    /// An estimator of its own with the same state.
    fn copy(slf: &Bound<'_, Self>) -> PyResult<Self> {
        Ok(Self(read(slf)?.0.clone()))
    }

    fn __copy__(slf: &Bound<'_, Self>) -> PyResult<Self> {
        Self::copy(slf)
    }

    fn __deepcopy__(slf: &Bound<'_, Self>, _memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::copy(slf)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> Reduced<'py> {
        Ok((slf.py().get_type::<Self>().getattr("restore")?, (Self::snapshot(slf)?,)))
    }
}
