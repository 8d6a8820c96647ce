//! The table of features, what they are made with, and what a reading of one is.

use serde::{Deserialize, Serialize};

use crate::error::{Result, invalid_input, require_positive};

/// How often a feature is worth reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Every quote cycle.
    Hot,
    /// Every second or third.
    Warm,
    /// Every fifth to tenth.
    Cold,
}

impl Tier {
    /// Name in tables and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Warm => "warm",
            Self::Cold => "cold",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feature {
    /// Name, the same in Python, files and artefacts.
    pub name: &'static str,
    /// How often it is read.
    pub tier: Tier,
    /// Unit; "1" for a pure number.
    pub unit: &'static str,
    /// True where positive is bullish; false where it says nothing on direction.
    pub directional: bool,
    /// Age of its inputs beyond which it gives no value, s.
    pub stale_s: f64,
    /// Half-width of its band around mid, bps, where it is of one.
    pub band_bps: Option<f64>,
    /// What it is.
    pub text: &'static str,
    /// What stands beside the value as its evidence; "1" where every value rests on as much.
    pub evidence: &'static str,
}

impl Feature {
    /// True where values rest on more or less evidence.
    #[must_use]
    pub fn has_evidence(&self) -> bool {
        self.evidence != "1"
    }
}

macro_rules! features {
    ($( $id:ident = $name:literal, $tier:ident, $unit:literal, $directional:literal, $stale_s:literal, $band:expr, $evidence:literal, $text:literal; )*) => {
        /// Place of a feature in [`FEATURES`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(usize)]
        pub enum FeatureId {
            $( #[doc = $text] $id, )*
        }

        impl FeatureId {
            /// The feature called `name`.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $( $name => Some(Self::$id), )*
                    _ => None,
                }
            }
        }

        /// Every feature, hot ones first.
        pub const FEATURES: &[Feature] = &[
            $( Feature {
                name: $name, tier: Tier::$tier, unit: $unit, directional: $directional, stale_s: $stale_s, band_bps: $band,
                text: $text, evidence: $evidence,
            }, )*
        ];
    };
}

features! {
    BookImbalance2 = "book_imbalance_2bps", Hot, "1", true, 5.0, Some(2.0), "contracts in the band",
        "(bids − asks)/(bids + asks) of contracts within 2 bps of mid.";
    BookImbalance5 = "book_imbalance_5bps", Hot, "1", true, 5.0, Some(5.0), "contracts in the band",
        "(bids − asks)/(bids + asks) of contracts within 5 bps of mid.";
    BookImbalance10 = "book_imbalance_10bps", Hot, "1", true, 5.0, Some(10.0), "contracts in the band",
        "(bids − asks)/(bids + asks) of contracts within 10 bps of mid.";
    BookImbalance25 = "book_imbalance_25bps", Hot, "1", true, 5.0, Some(25.0), "contracts in the band",
        "(bids − asks)/(bids + asks) of contracts within 25 bps of mid.";
    BookImbalance50 = "book_imbalance_50bps", Hot, "1", true, 5.0, Some(50.0), "contracts in the band",
        "(bids − asks)/(bids + asks) of contracts within 50 bps of mid.";
    PressureGradient = "pressure_gradient", Hot, "1", true, 5.0, Some(50.0), "contracts in the band",
        "Book imbalance within 10 bps less that within 50; no value where no level beyond 10 bps is known.";
    BookAcceleration = "book_acceleration", Hot, "1/s", true, 5.0, Some(10.0), "contracts in the band",
        "Change of the book imbalance within 10 bps over the last one to two seconds, per second.";
    MicropriceOffset = "microprice_offset", Hot, "bps", true, 5.0, None, "1",
        "Size-weighted price between the best quotes, from mid.";
    OrderFlowImbalance = "order_flow_imbalance", Hot, "1", true, 5.0, None, "1",
        "Orders that came to the best bid less those that came to the best ask over 5 s, in mean best sizes.";
    DepthVelocity = "depth_velocity", Hot, "1/s", true, 5.0, Some(25.0), "contracts in the band",
        "Growth of bids less growth of asks within 25 bps over the last one to two seconds, as a share of both, per second.";
    SweepScore = "sweep_score", Hot, "contracts", true, 10.0, None, "1",
        "Size times levels of aggressor events that bought less those that sold, fading over 2 s.";
    FlowCount5 = "flow_count_5s", Hot, "1", true, 25.0, None, "effective events",
        "(buys − sells)/(8 + buys + sells) of aggressor events, fading over 5 s.";
    FlowCount30 = "flow_count_30s", Hot, "1", true, 150.0, None, "effective events",
        "(buys − sells)/(8 + buys + sells) of aggressor events, fading over 30 s.";
    FlowCount120 = "flow_count_120s", Hot, "1", true, 600.0, None, "effective events",
        "(buys − sells)/(8 + buys + sells) of aggressor events, fading over 120 s.";
    FlowCount300 = "flow_count_300s", Hot, "1", true, 1500.0, None, "effective events",
        "(buys − sells)/(8 + buys + sells) of aggressor events, fading over 300 s.";
    FlowVolume5 = "flow_volume_5s", Hot, "1", true, 25.0, None, "effective events",
        "(bought − sold)/(8 mean event sizes + bought + sold) of contracts, fading over 5 s.";
    FlowVolume30 = "flow_volume_30s", Hot, "1", true, 150.0, None, "effective events",
        "(bought − sold)/(8 mean event sizes + bought + sold) of contracts, fading over 30 s.";
    FlowVolume120 = "flow_volume_120s", Hot, "1", true, 600.0, None, "effective events",
        "(bought − sold)/(8 mean event sizes + bought + sold) of contracts, fading over 120 s.";
    FlowVolume300 = "flow_volume_300s", Hot, "1", true, 1500.0, None, "effective events",
        "(bought − sold)/(8 mean event sizes + bought + sold) of contracts, fading over 300 s.";
    TrendReturn10 = "trend_return_10s", Hot, "bps", true, 5.0, None, "agreement squared",
        "Log return of mid over 10 s.";
    TrendReturn60 = "trend_return_60s", Hot, "bps", true, 5.0, None, "agreement squared",
        "Log return of mid over 60 s.";
    TrendReturn300 = "trend_return_300s", Hot, "bps", true, 5.0, None, "agreement squared",
        "Log return of mid over 300 s.";
    TrendAgreement = "trend_agreement", Hot, "1", false, 5.0, None, "1",
        "|sum of the signs of the 10, 60 and 300 s returns|/3.";
    TrendContinuation = "trend_continuation", Hot, "1", false, 5.0, None, "1",
        "Posterior probability that the sign of one 10 s return is that of the next.";
    TrendScore = "trend_score", Hot, "1", true, 5.0, None, "agreement squared",
        "Mean of return/(σ√horizon) times agreement times continuation.";
    HawkesBuy = "hawkes_buy", Warm, "1/s", true, 60.0, None, "intensity of both sides, 1/s",
        "Self-exciting intensity of buys less their mean rate: above 0 in a burst.";
    HawkesSell = "hawkes_sell", Warm, "1/s", true, 60.0, None, "intensity of both sides, 1/s",
        "Self-exciting intensity of sells less their mean rate, negated.";
    TradeSizeBuy = "trade_size_buy", Warm, "1", true, 150.0, None, "1",
        "Mean log size of recent buys less the usual one, in deviations.";
    TradeSizeSell = "trade_size_sell", Warm, "1", true, 150.0, None, "1",
        "Mean log size of recent sells less the usual one, in deviations, negated.";
    FillSizeBuy = "fill_size_buy", Warm, "1", true, 150.0, None, "1",
        "Shift of the size of own fills whose aggressor bought.";
    FillSizeSell = "fill_size_sell", Warm, "1", true, 150.0, None, "1",
        "Shift of the size of own fills whose aggressor sold, negated.";
    Basis = "basis", Warm, "bps", false, 10.0, None, "1",
        "ln(mid/reference): the reference is another market, or the oracle.";
    BasisChange = "basis_change", Warm, "bps", true, 10.0, None, "1",
        "Change of the basis over 30 s.";
    VolatilityRatio = "volatility_ratio", Warm, "1", false, 30.0, None, "1",
        "σ₃₀/σ₃₀₀ of 5 s returns.";
    Lead = "lead", Cold, "bps", true, 5.0, None, "R² of the regression",
        "Rolling β times the leading market's 5 s return less our own: what we have not followed yet.";
    OpenInterestChange = "open_interest_change", Cold, "bps", true, 60.0, None, "1",
        "Change of open interest over 60 s times the sign of the return over it.";
    FundingZ = "funding_z", Cold, "1", true, 600.0, None, "min(|z|, 1)",
        "Minus the z-score of the funding forecast over 24 h: longs that pay more than usual are crowded.";
    ExcessKurtosis = "excess_kurtosis", Cold, "1", false, 30.0, None, "1",
        "Excess kurtosis of 1 s returns over 300 s, within [0, 10].";
}

impl FeatureId {
    /// Its row of the table.
    #[inline]
    #[must_use]
    pub fn row(self) -> &'static Feature {
        &FEATURES[self as usize]
    }
}

/// What features are made with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureConfig {
    /// Prior σ₀ of volatility and its term structure, bps/√s.
    pub volatility: f64,
    /// Seconds between funding settlements.
    pub funding_interval_s: f64,
    /// τ_sweep, seconds.
    pub sweep_s: f64,
    /// β of the Hawkes kernel, 1/s.
    pub hawkes_decay_per_s: f64,
    /// Branching ratio n of the Hawkes kernel, 0 ≤ n < 1.
    pub hawkes_branching_ratio: f64,
    /// Name of the market the basis is taken against; the oracle where there is none.
    pub basis_market: Option<Box<str>>,
    /// Name of the market that leads ours.
    pub lead_market: Option<Box<str>>,
}

impl Default for FeatureConfig {
    fn default() -> Self {
        Self {
            volatility: 1.5,
            funding_interval_s: 3600.0,
            sweep_s: 2.0,
            hawkes_decay_per_s: 0.5,
            hawkes_branching_ratio: 0.5,
            basis_market: None,
            lead_market: None,
        }
    }
}

impl FeatureConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidInput`] naming the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [
            ("volatility", self.volatility),
            ("funding_interval_s", self.funding_interval_s),
            ("sweep_s", self.sweep_s),
            ("hawkes_decay_per_s", self.hawkes_decay_per_s),
        ] {
            require_positive(field, value)?;
        }
        if !(self.hawkes_branching_ratio >= 0.0 && self.hawkes_branching_ratio < 1.0) {
            return Err(invalid_input(
                "hawkes_branching_ratio",
                self.hawkes_branching_ratio,
                "0 or more and below 1",
                "at 1 arrivals would never end",
            ));
        }
        Ok(())
    }
}

/// Why a feature has a value or has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeatureStatus {
    /// Its inputs were never heard, or not for long enough. Not a fault: there may be no such feed.
    #[default]
    Unseen,
    /// Its inputs were heard and are too old.
    Stale,
    /// Its inputs are fresh and do not define it: an empty band, a one-sided or crossed book, no spread.
    Undefined,
    /// It has a value.
    Fresh,
}

/// One reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FeatureValue {
    status: FeatureStatus,
    value: f64,
    evidence: f64,
    covered_bps: f64,
}

impl FeatureValue {
    /// A reading from the age of its inputs (`None`: not seen) and a value (`None`: undefined).
    #[inline]
    pub(crate) fn new(id: FeatureId, age_s: Option<f64>, value: Option<f64>) -> Self {
        // Two prices can be so far apart that their quotient leaves the floats.
        let (status, value) = match (age_s, value.filter(|value| value.is_finite())) {
            (None, _) => (FeatureStatus::Unseen, 0.0),
            (Some(age_s), _) if age_s > id.row().stale_s => (FeatureStatus::Stale, 0.0),
            (_, None) => (FeatureStatus::Undefined, 0.0),
            (_, Some(value)) => (FeatureStatus::Fresh, value),
        };
        Self { status, value, evidence: 1.0, covered_bps: 0.0 }
    }

    #[inline]
    pub(crate) fn with_evidence(mut self, evidence: f64) -> Self {
        self.evidence = evidence;
        self
    }

    #[inline]
    pub(crate) fn covering(mut self, covered_bps: f64) -> Self {
        self.covered_bps = covered_bps;
        self
    }

    /// Why it has a value or has none.
    #[must_use]
    pub fn status(&self) -> FeatureStatus {
        self.status
    }

    /// The value; `None` unless fresh and defined.
    #[inline]
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.status == FeatureStatus::Fresh).then_some(self.value)
    }

    /// What the value rests on, in the unit of [`Feature::evidence`]: the noise of section 1 is weighted by mean evidence/evidence.
    #[inline]
    #[must_use]
    pub fn evidence(&self) -> Option<f64> {
        self.value().map(|_| self.evidence)
    }

    /// Of a feature with a band: how much of it the known levels cover, bps.
    #[inline]
    #[must_use]
    pub fn covered_bps(&self) -> Option<f64> {
        self.value().map(|_| self.covered_bps)
    }
}
