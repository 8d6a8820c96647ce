//! The numbers of the two incidents, as far as they are known.
//!
//! Both are sessions of an earlier market maker in the HYPE perpetual: every price point and every aggressive trade
//! that its log held, and nothing else. What lies between is drawn.

use hypermm_core::types::Side;

/// Volatility of HYPE in those weeks, bps/√s.
pub(crate) const VOLATILITY: f64 = 1.7;

/// A trade that reached the old quotes: seconds after the start, its aggressor, contracts it took from the old bot.
pub(crate) type Reach = (f64, Side, f64);

/// A stretch in which the old bot was filled, with its fills by side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
    /// Sells that hit its bids, and the mean contracts of one.
    pub(crate) sells: (usize, f64),
    /// Buys that lifted its asks, and the mean contracts of one.
    pub(crate) buys: (usize, f64),
}

/// 2026-02-19, 22:06:32 to 22:26:01 UTC.
pub(crate) mod feb19 {
    use super::{Reach, Side};

    pub(crate) const DURATION_S: f64 = 1169.0;
    pub(crate) const MAX_POSITION: f64 = 8.57;
    /// What the log says the old bot ran with; nothing near it was ever reached.
    pub(crate) const OLD_LIMIT: f64 = 17.18;
    pub(crate) const FINAL_POSITION: f64 = 6.94;
    pub(crate) const PNL_USD: f64 = -0.84;
    /// Half of the touch spread the old bot quoted, bps.
    pub(crate) const HALF_SPREAD_BPS: f64 = 2.85;

    /// Seconds after the start and mid. The first two follow from the trend reading of −10 bps at 96 s; the others were
    /// logged with the fills and their markouts.
    pub(crate) const MIDS: [(f64, f64); 20] = [
        (0.0, 29.1706),
        (96.0, 29.1415),
        (251.8, 29.1415),
        (256.8, 29.1465),
        (406.6, 29.104),
        (411.6, 29.097),
        (526.3, 29.0805),
        (531.1, 29.0595),
        (531.3, 29.0595),
        (536.1, 29.0475),
        (653.5, 29.032),
        (658.5, 29.0075),
        (659.7, 29.008),
        (664.7, 28.99),
        (676.3, 28.986),
        (679.7, 28.9805),
        (681.3, 28.982),
        (684.7, 28.9765),
        (900.3, 28.9625),
        (905.3, 28.9505),
    ];

    pub(crate) const REACHES: [Reach; 12] = [
        (251.8, Side::Buy, 0.46),
        (406.6, Side::Sell, 0.65),
        (526.3, Side::Sell, 0.55),
        (531.1, Side::Sell, 0.5),
        (531.1, Side::Sell, 0.88),
        (653.5, Side::Sell, 0.65),
        (653.5, Side::Sell, 0.89),
        (659.7, Side::Sell, 0.49),
        (676.3, Side::Sell, 0.88),
        (679.7, Side::Sell, 0.86),
        (679.7, Side::Sell, 0.69),
        (900.3, Side::Sell, 0.36),
    ];
}

/// 2026-02-12, 03:16:40 to 04:45:27 UTC.
pub(crate) mod feb12 {
    use super::Window;

    pub(crate) const DURATION_S: f64 = 5327.0;
    pub(crate) const MAX_POSITION: f64 = 3.24;
    pub(crate) const FINAL_POSITION: f64 = 12.81;
    pub(crate) const PNL_USD: f64 = -5.02;
    pub(crate) const CAPITAL_USD: f64 = 100.0;
    pub(crate) const LEVERAGE: u32 = 10;
    pub(crate) const DAILY_LOSS_LIMIT_USD: f64 = 5.0;

    /// Only the ends are known.
    pub(crate) const MIDS: [(f64, f64); 2] = [(0.0, 30.88), (DURATION_S, 30.3)];

    /// Counts are logged, sizes follow from the position after each window with one size for all where that closes,
    /// else with buys of half a contract.
    pub(crate) const WINDOWS: [Window; 3] = [
        Window { from_s: 27.0, to_s: 432.0, sells: (13, 0.87), buys: (1, 0.87) },
        Window { from_s: 1100.0, to_s: 1327.0, sells: (4, 0.5), buys: (2, 1.495) },
        Window { from_s: 3380.0, to_s: 3560.0, sells: (6, 0.672), buys: (1, 0.672) },
    ];
}
