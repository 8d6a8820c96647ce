//! Engine configuration, defined once: this table makes the struct, its checks, and through the bindings the
//! Python constructor, TOML keys, JSON Schema, stub and documentation.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::error::{Result, invalid_config, shortest};
use crate::instrument::Instrument;

/// Most levels a side may have.
pub const MAX_LEVELS: usize = 32;

const CLIPS_TO_CAP: f64 = 22.0;
const CLIP_OVER_MINIMUM: f64 = 1.1;

/// Value of one field, in the form the field table speaks of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue {
    /// A finite float.
    Float(f64),
    /// An integer.
    Integer(i64),
    /// A flag.
    Bool(bool),
    /// Not set: the engine derives it.
    Unset,
}

/// Type of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Float.
    Float,
    /// Float or unset.
    OptionalFloat,
    /// Integer.
    Integer,
    /// Flag.
    Bool,
}

/// One row of the field table.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Key, the same in Python, TOML and JSON.
    pub name: &'static str,
    /// Type.
    pub kind: FieldKind,
    /// Unit; "1" for a pure number.
    pub unit: &'static str,
    /// Smallest legal value.
    pub min: f64,
    /// Largest legal value.
    pub max: f64,
    /// Default.
    pub default: FieldValue,
    /// What it is.
    pub text: &'static str,
    /// What happens when it is too high.
    pub too_high: &'static str,
    /// What happens when it is too low.
    pub too_low: &'static str,
}

trait FieldType: Copy {
    const KIND: FieldKind;
    fn to_value(self) -> FieldValue;
    fn from_value(value: FieldValue) -> Option<Self>;
}

impl FieldType for f64 {
    const KIND: FieldKind = FieldKind::Float;
    fn to_value(self) -> FieldValue {
        FieldValue::Float(self)
    }
    fn from_value(value: FieldValue) -> Option<Self> {
        match value {
            FieldValue::Float(number) => Some(number),
            FieldValue::Integer(number) => Some(number as Self),
            _ => None,
        }
    }
}

impl FieldType for Option<f64> {
    const KIND: FieldKind = FieldKind::OptionalFloat;
    fn to_value(self) -> FieldValue {
        self.map_or(FieldValue::Unset, FieldValue::Float)
    }
    fn from_value(value: FieldValue) -> Option<Self> {
        match value {
            FieldValue::Unset => Some(None),
            other => f64::from_value(other).map(Some),
        }
    }
}

impl FieldType for u32 {
    const KIND: FieldKind = FieldKind::Integer;
    fn to_value(self) -> FieldValue {
        FieldValue::Integer(i64::from(self))
    }
    fn from_value(value: FieldValue) -> Option<Self> {
        match value {
            FieldValue::Integer(number) => Self::try_from(number).ok(),
            _ => None,
        }
    }
}

impl FieldType for bool {
    const KIND: FieldKind = FieldKind::Bool;
    fn to_value(self) -> FieldValue {
        FieldValue::Bool(self)
    }
    fn from_value(value: FieldValue) -> Option<Self> {
        match value {
            FieldValue::Bool(flag) => Some(flag),
            _ => None,
        }
    }
}

macro_rules! engine_config {
    ($( $name:ident : $type:ty = $default:expr, $unit:literal, $min:expr => $max:expr, $text:literal, $too_high:literal, $too_low:literal; )*) => {
        /// Every number the engine is tuned by. Read [`EngineConfig::FIELDS`] for units, ranges and effects.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct EngineConfig {
            $( #[doc = $text] #[doc = concat!("\n\nUnit: ", $unit, ". Too high: ", $too_high, ". Too low: ", $too_low, ".")] pub $name: $type, )*
            /// What was measured on recordings of this instrument. Without it features are silent and the defaults above hold.
            pub calibration: Option<Arc<Calibration>>,
        }

        impl Default for EngineConfig {
            fn default() -> Self {
                Self { $( $name: $default, )* calibration: None }
            }
        }

        impl EngineConfig {
            /// The table of fields, in declaration order.
            pub const FIELDS: &'static [Field] = &[
                $( Field {
                    name: stringify!($name), kind: <$type as FieldType>::KIND, unit: $unit, min: $min, max: $max,
                    default: Constant::<$type>($default).value(), text: $text, too_high: $too_high, too_low: $too_low,
                }, )*
            ];

            /// Value of the field called `name`; `None` for an unknown name.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<FieldValue> {
                match name {
                    $( stringify!($name) => Some(self.$name.to_value()), )*
                    _ => None,
                }
            }

            /// Sets one field after checking its type and range.
            ///
            /// # Errors
            /// [`crate::error::Error::InvalidConfig`] for an unknown name, a wrong type or a value out of range.
            pub fn set(&mut self, name: &str, value: FieldValue) -> Result<()> {
                let field = Self::field(name)?;
                match name {
                    $( stringify!($name) => {
                        let typed = <$type as FieldType>::from_value(value).ok_or_else(|| field.wrong_type(value))?;
                        field.check(typed.to_value())?;
                        self.$name = typed;
                    } )*
                    _ => {}
                }
                Ok(())
            }
        }
    };
}

/// A default on its way into the constant table: traits have no const methods, inherent impls do.
struct Constant<T>(T);

impl Constant<f64> {
    const fn value(self) -> FieldValue {
        FieldValue::Float(self.0)
    }
}

impl Constant<Option<f64>> {
    const fn value(self) -> FieldValue {
        match self.0 {
            Some(number) => FieldValue::Float(number),
            None => FieldValue::Unset,
        }
    }
}

impl Constant<u32> {
    const fn value(self) -> FieldValue {
        FieldValue::Integer(self.0 as i64)
    }
}

impl Constant<bool> {
    const fn value(self) -> FieldValue {
        FieldValue::Bool(self.0)
    }
}

engine_config! {
    max_position: f64 = 1.0, "contracts", 1e-9 => 1e12,
        "Hard cap of |position|, q_max. Margin can only lower it.",
        "one trend can cost more than planned", "the ladder holds few clips and dies early";
    risk_aversion: f64 = 0.015, "1/bps per clip", 1e-6 => 10.0,
        "Risk aversion γ₀ per clip.",
        "too wide and thin", "too exposed in a trend";
    inventory_curvature: f64 = 4.0, "1", 0.0 => 100.0,
        "β of γ(x) = γ₀(1 + βx²).",
        "cuts off early", "little protection near the cap";
    clip: Option<f64> = None, "contracts", 1e-9 => 1e12,
        "Size of one order; unset: max_position/22 but at least 1.1 × the venue's minimum, taken at the first book.",
        "few, coarse orders", "orders below the venue's minimum are merged deeper";
    levels: u32 = 3, "1", 1.0 => 32.0,
        "Most levels a side.",
        "more requests for little fill", "less depth in a sweep";
    level_spacing_bps: f64 = 1.0, "bps", 1e-6 => 1000.0,
        "Distance d₁ of the second level from the first.",
        "deep levels never fill", "levels merge on one tick";
    level_growth: f64 = 1.5, "1", 1.0 => 10.0,
        "Growth g of the spacing: d_i = d₁(gⁱ − 1)/(g − 1).",
        "deep levels never fill", "a sweep takes the whole ladder at once";
    drift_mean_reversion_per_s: f64 = 0.02, "1/s", 1e-5 => 10.0,
        "κ_μ of the OU drift.",
        "misses trends", "sticks";
    drift_deviation_ratio: f64 = 0.05, "1/√s", 1e-6 => 10.0,
        "Stationary drift deviation √P∞ as a share of σ per √s.",
        "over-reacts", "sluggish";
    max_gain: f64 = 0.9, "1", 1e-6 => 0.999,
        "K_max: largest gain one observation from the prior may have.",
        "one signal can dominate", "strong signals are muted";
    fill_gain: f64 = 0.02, "1", 0.0 => 0.9,
        "K0 of an own fill before calibration; 0 silences it.",
        "single fills swing the drift", "fills do not inform the drift";
    flow_gain: f64 = 0.02, "1", 0.0 => 0.9,
        "K0 of the 30 s flow before calibration; 0 silences it.",
        "chases noise in the tape", "flow does not inform the drift";
    funding_gain: f64 = 0.005, "1", 0.0 => 0.9,
        "K0 of the funding z-score before calibration; 0 silences it.",
        "normal funding moves quotes", "extreme funding is ignored";
    arrival_rate: f64 = 0.3, "1/s", 1e-4 => 1e4,
        "Prior rate Λ of aggressor events a side, with the weight of one event.",
        "expects fills that do not come", "under-prices the first minutes' flow";
    depth_decay: f64 = 0.5, "1/bps", 1e-3 => 50.0,
        "Prior mean of k, how fast aggressive flow thins with depth, with the weight of half an event.",
        "too tight at first", "too wide at first";
    depth_decay_half_life_s: f64 = 3600.0, "s", 10.0 => 1e7,
        "Half-life of the evidence on reach.",
        "slow to follow a new regime", "noisy k";
    volatility: f64 = 1.5, "bps/√s", 1e-3 => 1e3,
        "Prior σ₀, with the weight of 20 s.",
        "too wide at first", "too tight at first";
    volatility_ratio_exponent: f64 = 0.5, "1", 0.0 => 2.0,
        "ν of σ_eff = σ·max(1, (σ₃₀/σ₃₀₀)^ν).",
        "spikes widen too much", "under-reacts to a burst";
    informed_volatility: f64 = 0.0, "1", 0.0 => 10.0,
        "c_I of σ_eff: share of informed flow in variance; 0 until fitted.",
        "widens on any imbalance", "ignores informed flow";
    horizon_min_s: f64 = 2.0, "s", 0.1 => 3600.0,
        "Lower bound of the horizon τ.",
        "too much weight on drift in fast markets", "inventory is hardly priced";
    horizon_max_s: f64 = 600.0, "s", 0.1 => 86_400.0,
        "Upper bound of the horizon τ.",
        "thin markets carry large penalties", "slow markets look riskless";
    flow_shift_memory_s: f64 = 120.0, "s", 1.0 => 86_400.0,
        "τ_f: how long a flow imbalance lasts.",
        "chases flow", "ignores flow";
    maker_fee_bps: f64 = 1.5, "bps", -10.0 => 100.0,
        "Maker fee, negative = rebate. A rebate counts as a negative cost.",
        "too wide", "quotes below cost";
    taker_fee_bps: f64 = 4.5, "bps", -10.0 => 100.0,
        "Taker fee, used by terminal_penalty only.",
        "unwinds too early before a settlement", "carries inventory into settlement";
    adverse_selection_ratio: f64 = 0.5, "1", 0.0 => 10.0,
        "a₀: adverse move per unit of toxicity in units of σ_eff√10.",
        "backs away from one-sided flow", "picked off by informed flow";
    tail_factor: f64 = 0.1, "1", 0.0 => 5.0,
        "κ_tail: how much excess kurtosis raises adverse selection.",
        "too wide after one jump", "under-estimates fat tails";
    request_price_usd: f64 = 5e-5, "USD", 0.0 => 5e-4,
        "λ₀: price of one request at half quota.",
        "stops refreshing quotes", "burns the quota";
    quota_weight_bps: f64 = 0.05, "bps", 0.0 => 10.0,
        "w_q: widening per unit of 1/h − 1.",
        "too wide when the quota is low", "quota does not widen";
    cost_bound_bps: f64 = 20.0, "bps", 0.0 => 1000.0,
        "Bound on log-odds + quota + mark-up + race.",
        "quotes leave the market", "protection is cut off";
    queue_exponent: f64 = 1.0, "1", 0.0 => 10.0,
        "α of the queue factor (1 + ahead/z̄)^−α; 1 until fitted.",
        "expects no fill behind a queue", "expects fills a queue takes first";
    book_stale_s: f64 = 5.0, "s", 0.05 => 3600.0,
        "Age at which a book is not quoted on.",
        "quotes on old prices", "stops quoting between updates";
    watch_features: bool = false, "1", 0.0 => 1.0,
        "Runs the features without a calibration too: they can be read, and say nothing to the filter.",
        "features cost time that nothing uses", "features cannot be read before a calibration";
    terminal_penalty: bool = false, "1", 0.0 => 1.0,
        "Adds the cost of unwinding before the next settlement to the inventory penalty.",
        "unwinds early", "carries inventory into settlement";
}

impl Field {
    /// Checks a value of the right type against the range.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidConfig`] when it is not finite or out of range.
    pub fn check(&self, value: FieldValue) -> Result<()> {
        let number = match value {
            FieldValue::Float(number) => number,
            FieldValue::Integer(number) => number as f64,
            FieldValue::Bool(_) | FieldValue::Unset => return Ok(()),
        };
        if number >= self.min && number <= self.max {
            return Ok(());
        }
        Err(invalid_config(
            self.name,
            number,
            format!("{} to {}{}", shortest(self.min), shortest(self.max), self.unit_after(" ")),
            format!("too high: {}; too low: {}", self.too_high, self.too_low),
        ))
    }

    #[cold]
    fn wrong_type(&self, value: FieldValue) -> crate::error::Error {
        let expected = match self.kind {
            FieldKind::Float => "a number",
            FieldKind::OptionalFloat => "a number, or unset",
            FieldKind::Integer => "an integer",
            FieldKind::Bool => "true or false",
        };
        invalid_config(self.name, format!("{value:?}"), format!("{expected}{}", self.unit_after(", in ")), self.text)
    }

    /// The unit after `lead`; nothing for a pure number.
    #[must_use]
    pub fn unit_after(&self, lead: &str) -> String {
        if self.unit == "1" { String::new() } else { format!("{lead}{}", self.unit) }
    }
}

impl EngineConfig {
    /// The row of the field table called `name`.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidConfig`] for an unknown name, with the nearest known one as a hint.
    pub fn field(name: &str) -> Result<&'static Field> {
        Self::FIELDS.iter().find(|field| field.name == name).ok_or_else(|| {
            let nearest = Self::FIELDS.iter().min_by_key(|field| edit_distance(field.name, name));
            invalid_config(
                name.to_owned(),
                "(unknown field)",
                "a field of EngineConfig",
                nearest.map_or(String::new(), |field| format!("did you mean {}?", field.name)),
            )
        })
    }

    /// Size of one order at a mid: `clip`, or max_position/22 but at least 1.1 × the venue's minimum and at most the
    /// cap, contracts.
    #[must_use]
    pub fn clip_at(&self, instrument: &Instrument, mid: f64) -> f64 {
        let minimum = CLIP_OVER_MINIMUM * instrument.min_notional() / mid;
        self.clip.unwrap_or_else(|| (self.max_position / CLIPS_TO_CAP).max(minimum).min(self.max_position))
    }

    /// ν of σ_eff: the calibration's, where it was fitted.
    #[must_use]
    pub fn volatility_ratio_exponent_in_force(&self) -> f64 {
        self.fitted(|it| it.volatility_ratio_exponent).unwrap_or(self.volatility_ratio_exponent)
    }

    /// c_I of σ_eff: the calibration's, where it was fitted.
    #[must_use]
    pub fn informed_volatility_in_force(&self) -> f64 {
        self.fitted(|it| it.informed_volatility).unwrap_or(self.informed_volatility)
    }

    /// a₀ of adverse selection: the calibration's, where it was fitted.
    #[must_use]
    pub fn adverse_selection_ratio_in_force(&self) -> f64 {
        self.fitted(|it| it.adverse_selection_ratio).unwrap_or(self.adverse_selection_ratio)
    }

    /// κ_tail of adverse selection: the calibration's, where it was fitted.
    #[must_use]
    pub fn tail_factor_in_force(&self) -> f64 {
        self.fitted(|it| it.tail_factor).unwrap_or(self.tail_factor)
    }

    fn fitted(&self, number: impl FnOnce(&Calibration) -> Option<f64>) -> Option<f64> {
        self.calibration.as_deref().and_then(number)
    }

    /// Checks every field and what must hold between them.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidConfig`] naming the first field that does not hold.
    pub fn validate(&self) -> Result<()> {
        for field in Self::FIELDS {
            if let Some(value) = self.get(field.name) {
                field.check(value)?;
            }
        }
        if self.horizon_min_s > self.horizon_max_s {
            return Err(invalid_config(
                "horizon_min_s",
                self.horizon_min_s,
                format!("at most horizon_max_s = {}", self.horizon_max_s),
                "",
            ));
        }
        if let Some(clip) = self.clip
            && clip > self.max_position
        {
            return Err(invalid_config("clip", clip, format!("at most max_position = {}", self.max_position), ""));
        }
        self.calibration.as_ref().map_or(Ok(()), |calibration| calibration.validate())
    }
}

fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substitute = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[right.len()]
}
