//! Where the edge comes from: outcomes of fills by side, level, age, regime and cancel race; MODEL.md section 11.
//!
//! Means are weighted by size, shares count fills. The standard error of a weighted mean takes fills as independent:
//! √(Σ s²(x − x̄)²)/Σ s with sizes s, kept as three running sums, so nothing but sums is stored.

use std::borrow::Cow;

use crate::config::MAX_LEVELS;
use crate::outcomes::markout::{HORIZON_COUNT, Outcome};
use crate::types::{Regime, Side};

/// Upper ends of the age classes but the last, s; an age of exactly an end belongs to the next class.
pub const AGE_ENDS_S: [f64; 4] = [0.5, 2.0, 10.0, 60.0];

/// Classes of age.
pub const AGE_COUNT: usize = AGE_ENDS_S.len() + 1;

const SIDES_AT: usize = 1;
const LEVELS_AT: usize = SIDES_AT + 2;
const AGES_AT: usize = LEVELS_AT + MAX_LEVELS;
const REGIMES_AT: usize = AGES_AT + AGE_COUNT;
const RACES_AT: usize = REGIMES_AT + Regime::ALL.len();
const GROUPS: usize = RACES_AT + 2;

/// Class of an age, 0 to [`AGE_COUNT`] − 1.
#[must_use]
pub fn age_class(age_s: f64) -> usize {
    AGE_ENDS_S.iter().filter(|end_s| age_s >= **end_s).count()
}

/// Some of the fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// All of them.
    All,
    /// Those of one side of ours.
    Side(Side),
    /// Those of orders placed on one level, 0 to [`MAX_LEVELS`] − 1.
    Level(usize),
    /// Those of one class of age, see [`age_class`].
    Age(usize),
    /// Those in one regime.
    Regime(Regime),
    /// Those that came after the cancel was sent, or the others.
    CancelRace(bool),
}

impl Group {
    /// All groups that can hold a fill, in the order of the tables.
    pub fn every() -> impl Iterator<Item = Self> {
        std::iter::once(Self::All)
            .chain([Self::Side(Side::Buy), Self::Side(Side::Sell)])
            .chain((0..MAX_LEVELS).map(Self::Level))
            .chain((0..AGE_COUNT).map(Self::Age))
            .chain(Regime::ALL.map(Self::Regime))
            .chain([Self::CancelRace(false), Self::CancelRace(true)])
    }

    /// What it is a group by: "all", "side", "level", "age", "regime" or "cancel_race".
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Side(_) => "side",
            Self::Level(_) => "level",
            Self::Age(_) => "age",
            Self::Regime(_) => "regime",
            Self::CancelRace(_) => "cancel_race",
        }
    }

    /// Its name among those of its kind: "buy", "0", "0.5-2s", "quiet", "yes".
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::All => "all".into(),
            Self::Side(Side::Buy) => "buy".into(),
            Self::Side(Side::Sell) => "sell".into(),
            Self::Level(level) => level.to_string().into(),
            Self::Age(0) => format!("<{}s", AGE_ENDS_S[0]).into(),
            Self::Age(class) if class < AGE_ENDS_S.len() => {
                format!("{}-{}s", AGE_ENDS_S[class - 1], AGE_ENDS_S[class]).into()
            }
            Self::Age(_) => format!(">={}s", AGE_ENDS_S[AGE_ENDS_S.len() - 1]).into(),
            Self::Regime(regime) => regime.name().into(),
            Self::CancelRace(race) => if race { "yes" } else { "no" }.into(),
        }
    }

    const fn place(self) -> Option<usize> {
        match self {
            Self::All => Some(0),
            Self::Side(side) => Some(SIDES_AT + side.index()),
            Self::Level(level) if level < MAX_LEVELS => Some(LEVELS_AT + level),
            Self::Age(class) if class < AGE_COUNT => Some(AGES_AT + class),
            Self::Level(_) | Self::Age(_) => None,
            Self::Regime(regime) => Some(REGIMES_AT + regime.index()),
            Self::CancelRace(race) => Some(RACES_AT + race as usize),
        }
    }
}

/// Sums of a weighted mean and its error, size s and value x: Σ sx, Σ s²x, Σ s²x².
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    first: f64,
    cross: f64,
    square: f64,
}

impl Sums {
    #[inline]
    fn of(size: f64, value: f64) -> Self {
        let weighted = size * value;
        Self { first: weighted, cross: size * weighted, square: weighted * weighted }
    }

    #[inline]
    fn add(&mut self, more: &Self) {
        self.first += more.first;
        self.cross += more.cross;
        self.square += more.square;
    }

    fn error(&self, size: f64, size_square: f64) -> f64 {
        let mean = self.first / size;
        // Rounding may leave a few ulps below zero where all values are equal.
        (self.square - 2.0 * mean * self.cross + mean * mean * size_square).max(0.0).sqrt() / size
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    fills: u64,
    adverse: u64,
    volume: f64,
    size: f64,
    size_square: f64,
    depth: f64,
    adverse_selection: f64,
    edge: Sums,
    markout: Sums,
}

impl Tally {
    #[inline]
    fn of(outcome: &Outcome) -> Self {
        let fill = &outcome.fill;
        Self {
            fills: 1,
            adverse: u64::from(outcome.adverse),
            volume: fill.price * fill.size,
            size: fill.size,
            size_square: fill.size * fill.size,
            depth: fill.size * fill.depth_bps(),
            adverse_selection: fill.size * outcome.adverse_selection_bps,
            edge: Sums::of(fill.size, outcome.edge_bps),
            markout: Sums::of(fill.size, outcome.markout_bps),
        }
    }

    #[inline]
    fn add(&mut self, more: &Self) {
        self.fills += more.fills;
        self.adverse += more.adverse;
        self.volume += more.volume;
        self.size += more.size;
        self.size_square += more.size_square;
        self.depth += more.depth;
        self.adverse_selection += more.adverse_selection;
        self.edge.add(&more.edge);
        self.markout.add(&more.markout);
    }
}

/// What became of a group's fills at one horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Fills whose horizon is over, above 0.
    pub fills: u64,
    /// Σ price·size, quote currency.
    pub volume: f64,
    /// Mean distance of the price from the mid at placement, bps.
    pub depth_bps: f64,
    /// Mean AS_h, bps, + = against us.
    pub adverse_selection_bps: f64,
    /// Mean edge_h, bps, after fees and funding.
    pub edge_bps: f64,
    /// Its standard error, bps; `None` for a single fill.
    pub edge_error_bps: Option<f64>,
    /// Mean markout_h, bps.
    pub markout_bps: f64,
    /// Its standard error, bps; `None` for a single fill.
    pub markout_error_bps: Option<f64>,
    /// Share of the fills that were adverse at this horizon.
    pub adverse_share: f64,
}

/// Sums of all groups by horizon; O(1) per outcome, no allocation once made.
#[derive(Clone, Debug, PartialEq)]
pub struct Breakdown {
    tallies: Vec<[Tally; HORIZON_COUNT]>,
}

impl Default for Breakdown {
    fn default() -> Self {
        Self { tallies: vec![[Tally::default(); HORIZON_COUNT]; GROUPS] }
    }
}

impl Breakdown {
    /// Takes in what a [`crate::outcomes::markout::MarkoutTracker`] says.
    pub fn on_outcome(&mut self, outcome: &Outcome) {
        let fill = &outcome.fill;
        let one = Tally::of(outcome);
        for group in [
            Group::All,
            Group::Side(fill.side),
            Group::Level(usize::from(fill.level)),
            Group::Age(age_class(fill.age_s())),
            Group::Regime(fill.regime),
            Group::CancelRace(fill.is_cancel_race),
        ] {
            // The tracker lets no level pass that has no place here.
            let row = group.place().and_then(|place| self.tallies.get_mut(place));
            if let Some(tally) = row.and_then(|row| row.get_mut(outcome.horizon)) {
                tally.add(&one);
            }
        }
    }

    /// A group at a place in [`crate::outcomes::markout::HORIZONS_NS`]; `None` without a fill, or without such a place.
    #[must_use]
    pub fn cell(&self, group: Group, horizon: usize) -> Option<Cell> {
        let tally = self.tallies.get(group.place()?)?.get(horizon).filter(|tally| tally.fills > 0)?;
        let error = |sums: &Sums| (tally.fills > 1).then(|| sums.error(tally.size, tally.size_square));
        Some(Cell {
            fills: tally.fills,
            volume: tally.volume,
            depth_bps: tally.depth / tally.size,
            adverse_selection_bps: tally.adverse_selection / tally.size,
            edge_bps: tally.edge.first / tally.size,
            edge_error_bps: error(&tally.edge),
            markout_bps: tally.markout.first / tally.size,
            markout_error_bps: error(&tally.markout),
            adverse_share: tally.adverse as f64 / tally.fills as f64,
        })
    }
}
