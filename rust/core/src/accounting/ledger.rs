//! Position, cash, fees, funding and profit in exact integers.
//!
//! One price unit times one lot is 10^−(6 − d)·10^−d = 10^−6 of quote currency for every instrument, so all money is
//! kept as whole micros (1e-6 quote currency) in `i128` and nothing is ever rounded but fees and funding, which the
//! venue itself states to six decimals. A mark is kept in half price units, because the mid of two grid prices may
//! stand between them; equity is therefore exact in half micros.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, conservation_broken, invalid_input, require_positive};
use crate::instrument::Instrument;
use crate::types::{Lots, Price, Side};

/// Money in millionths of quote currency, the venue's own precision.
pub type Micros = i128;

/// Micros in 1.0 of quote currency.
pub const MICROS: f64 = 1e6;

/// Rates (fee, funding) are whole multiples of this fraction.
const RATE_SCALE: i128 = 1_000_000_000_000;
const BPS_TO_RATE_SCALE: f64 = 1e8;
const MAX_FEE_BPS: f64 = 1e4;
/// 10^18 USD: notional times a rate of 1 then stays far inside `i128`.
const MAX_NOTIONAL_MICROS: i128 = 1_000_000_000_000_000_000_000_000;

/// A price to value a position at, in half price units: exact for the mid of two grid prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark(pub i64);

impl Mark {
    /// The mid of a best bid and a best ask.
    #[must_use]
    pub fn mid(bid: Price, ask: Price) -> Self {
        Self(bid.0 + ask.0)
    }

    /// The half unit nearest to any positive price.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the price is not finite and positive, or above 2^52 units.
    pub fn nearest(instrument: &Instrument, price: f64) -> Result<Self> {
        require_positive("mark_price", price)?;
        let half_units = (2.0 * price * instrument.price_scale()).round();
        if half_units > 9.0e15 {
            return Err(invalid_input("mark_price", price, "at most 2^52 price units", ""));
        }
        Ok(Self(half_units as i64))
    }
}

/// What one fill did to the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    /// Price times size, micros, above 0.
    pub notional: Micros,
    /// Fee paid, micros, negative for a rebate.
    pub fee: Micros,
    /// Profit realized by the part that closed, before fees, micros.
    pub realized: Micros,
}

/// The books of one instrument.
///
/// cash = opening cash − Σ signed price·size − fees − funding. The average entry is held as the cost of what is open:
/// closing a part releases its share of the cost, so realized + unrealized is exact to the micro at all times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    fee_rate: i128,
    opening_position: Lots,
    opening_cost: Micros,
    position: Lots,
    cash: Micros,
    cost: Micros,
    realized: Micros,
    fees: Micros,
    funding: Micros,
    volume: Micros,
    fills: [u64; 2],
}

impl Ledger {
    /// Empty books. `maker_fee_bps` in [−10⁴, 10⁴], negative = rebate; kept to 1e-8 bps.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the fee is not finite or out of range.
    pub fn new(maker_fee_bps: f64) -> Result<Self> {
        if !(maker_fee_bps.abs() <= MAX_FEE_BPS) {
            return Err(invalid_input("maker_fee_bps", maker_fee_bps, "-10000 to 10000 bps", ""));
        }
        Ok(Self {
            fee_rate: (maker_fee_bps * BPS_TO_RATE_SCALE).round() as i128,
            opening_position: Lots(0),
            opening_cost: 0,
            position: Lots(0),
            cash: 0,
            cost: 0,
            realized: 0,
            fees: 0,
            funding: 0,
            volume: 0,
            fills: [0, 0],
        })
    }

    /// Books that start with a position bought (or sold, when negative) at `entry`, and no cash.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] as [`Ledger::new`], or when the position's value is above 10^18.
    pub fn with_position(maker_fee_bps: f64, position: Lots, entry: Price) -> Result<Self> {
        let mut ledger = Self::new(maker_fee_bps)?;
        let cost = i128::from(position.0) * i128::from(entry.0);
        if cost.abs() > MAX_NOTIONAL_MICROS {
            return Err(invalid_input("position", position.0, "a value of at most 1e18 of quote currency", ""));
        }
        ledger.opening_position = position;
        ledger.opening_cost = cost;
        ledger.position = position;
        ledger.cost = cost;
        Ok(ledger)
    }

    /// Books a fill, at the maker fee of these books unless the venue stated another.
    ///
    /// The fee is notional × rate, truncated toward zero at six decimals.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when price or size is not positive, their product is above 10^18 or the position cannot be
    /// counted; nothing is booked.
    pub fn on_fill(&mut self, side: Side, price: Price, size: Lots, stated_fee: Option<Micros>) -> Result<Booked> {
        if price.0 <= 0 {
            return Err(invalid_input("price", price.0, "above 0 price units", ""));
        }
        if size.0 <= 0 {
            return Err(invalid_input("size", size.0, "above 0 lots", ""));
        }
        let notional = i128::from(price.0) * i128::from(size.0);
        if notional > MAX_NOTIONAL_MICROS || self.position.0.unsigned_abs() > (i64::MAX as u64) / 4 {
            return Err(invalid_input("size", size.0, "a value of at most 1e18 of quote currency", ""));
        }
        let fee = stated_fee.unwrap_or_else(|| notional * self.fee_rate / RATE_SCALE);
        let signed = if side == Side::Buy { size.0 } else { -size.0 };
        let Some(after) = self.position.0.checked_add(signed) else {
            return Err(invalid_input("size", size.0, "a position that can be counted in lots", ""));
        };
        let realized = self.move_position(signed, Lots(after), price);
        self.cash -= i128::from(signed) * i128::from(price.0) + fee;
        self.realized += realized;
        self.fees += fee;
        self.volume += notional;
        self.fills[side.index()] += 1;
        Ok(Booked { notional, fee, realized })
    }

    /// Moves the position and its cost; answers the profit of the part that closed.
    fn move_position(&mut self, signed: i64, after: Lots, price: Price) -> Micros {
        let before = self.position.0;
        self.position = after;
        let opens = before == 0 || (before > 0) == (signed > 0);
        if opens {
            self.cost += i128::from(signed) * i128::from(price.0);
            return 0;
        }
        let closed = signed.abs().min(before.abs());
        let closed_signed = i128::from(if before > 0 { closed } else { -closed });
        let released =
            if closed == before.abs() { self.cost } else { self.cost * i128::from(closed) / i128::from(before.abs()) };
        self.cost -= released;
        let opened = i128::from(signed) + closed_signed;
        self.cost += opened * i128::from(price.0);
        closed_signed * i128::from(price.0) - released
    }

    /// Settles funding on the open position: a positive rate is paid by longs. `rate` is a fraction per interval and
    /// at most 1 in size, kept to 1e-12; the payment is truncated toward zero at six decimals. Answers what was paid.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the rate is out of range or the payment overflows; nothing is booked.
    pub fn on_funding(&mut self, mark: Mark, rate: f64) -> Result<Micros> {
        if !(rate.abs() <= 1.0) {
            return Err(invalid_input("funding_rate", rate, "a fraction of at most 1", "0.0001 is 1 bp per interval"));
        }
        let scaled_rate = (rate * RATE_SCALE as f64).round() as i128;
        let paid = i128::from(self.position.0)
            .checked_mul(i128::from(mark.0))
            .and_then(|doubled| doubled.checked_mul(scaled_rate))
            .map(|product| product / (2 * RATE_SCALE))
            .ok_or_else(|| invalid_input("mark_price", mark.0, "a position value of at most 1e18", ""))?;
        self.on_funding_payment(paid);
        Ok(paid)
    }

    /// Books a funding payment the venue stated, + = paid.
    pub fn on_funding_payment(&mut self, paid: Micros) {
        self.cash -= paid;
        self.funding += paid;
    }

    /// Signed position.
    #[must_use]
    pub fn position(&self) -> Lots {
        self.position
    }

    /// Cash since opening, after fees and funding.
    #[must_use]
    pub fn cash(&self) -> Micros {
        self.cash
    }

    /// Fees paid, negative when rebates prevail.
    #[must_use]
    pub fn fees(&self) -> Micros {
        self.fees
    }

    /// Funding paid, negative when received.
    #[must_use]
    pub fn funding(&self) -> Micros {
        self.funding
    }

    /// Σ price·size of all fills.
    #[must_use]
    pub fn volume(&self) -> Micros {
        self.volume
    }

    /// Profit of closed parts against their average entry, before fees and funding.
    #[must_use]
    pub fn realized(&self) -> Micros {
        self.realized
    }

    /// Fills of one side.
    #[must_use]
    pub fn fills(&self, side: Side) -> u64 {
        self.fills[side.index()]
    }

    /// Average entry of the open position in price units; `None` when flat.
    #[must_use]
    pub fn entry(&self) -> Option<f64> {
        (self.position.0 != 0).then(|| self.cost as f64 / self.position.0 as f64)
    }

    /// Profit of the open position at `mark`, quote currency.
    #[must_use]
    pub fn unrealized(&self, mark: Mark) -> f64 {
        half_micros_to_quote(self.unrealized_half_micros(mark))
    }

    /// Profit of the open position at `mark`, exact half micros.
    #[must_use]
    pub fn unrealized_half_micros(&self, mark: Mark) -> i128 {
        self.value(mark) - 2 * self.cost
    }

    /// Cash plus the position at `mark`, in exact half micros.
    #[must_use]
    pub fn equity_half_micros(&self, mark: Mark) -> i128 {
        2 * self.cash + self.value(mark)
    }

    /// Profit since opening at `mark`: equity less what the opening position had cost, in exact half micros.
    #[must_use]
    pub fn profit_half_micros(&self, mark: Mark) -> i128 {
        self.equity_half_micros(mark) - 2 * self.opening_cost
    }

    /// Profit since opening at `mark`, quote currency.
    #[must_use]
    pub fn profit(&self, mark: Mark) -> f64 {
        half_micros_to_quote(self.profit_half_micros(mark))
    }

    fn value(&self, mark: Mark) -> i128 {
        i128::from(self.position.0) * i128::from(mark.0)
    }

    /// Holds these books against an independent list of fills and funding payments.
    ///
    /// position = opening + Σ fills; fees and funding = Σ stated; cash = −Σ price·size − fees − funding;
    /// equity = cash + position·mark, which must also be realized + unrealized − fees − funding.
    ///
    /// # Errors
    /// The first law that does not hold, with both sides of it.
    pub fn check_conservation(
        &self,
        fills: impl IntoIterator<Item = (Side, Price, Lots, Micros)>,
        funding_payments: impl IntoIterator<Item = Micros>,
        mark: Mark,
    ) -> std::result::Result<(), ConservationError> {
        let mut position = i128::from(self.opening_position.0);
        let mut traded: i128 = 0;
        let mut fees: i128 = 0;
        for (side, price, size, fee) in fills {
            let signed = if side == Side::Buy { i128::from(size.0) } else { -i128::from(size.0) };
            position += signed;
            traded -= signed * i128::from(price.0);
            fees += fee;
        }
        let funding: i128 = funding_payments.into_iter().sum();
        let law = |law, books: i128, expected: i128| {
            if books == expected { Ok(()) } else { Err(ConservationError { law, books, expected }) }
        };
        law(Law::Position, i128::from(self.position.0), position)?;
        law(Law::Fees, self.fees, fees)?;
        law(Law::Funding, self.funding, funding)?;
        let cash = traded - fees - funding;
        law(Law::Cash, self.cash, cash)?;
        law(Law::Equity, self.equity_half_micros(mark), 2 * cash + position * i128::from(mark.0))?;
        let by_entry =
            2 * (self.realized - self.fees - self.funding) + self.value(mark) - 2 * self.cost + 2 * self.opening_cost;
        law(Law::Profit, self.equity_half_micros(mark), by_entry)
    }
}

/// Half micros as quote currency.
#[must_use]
pub fn half_micros_to_quote(half_micros: i128) -> f64 {
    half_micros as f64 / (2.0 * MICROS)
}

/// Micros as quote currency.
#[must_use]
pub fn micros_to_quote(micros: Micros) -> f64 {
    micros as f64 / MICROS
}

/// Quote currency as whole micros, truncated toward zero; a float within 1e-9 relative of a micro is that micro.
///
/// # Errors
/// [`Error::InvalidInput`] when the amount is not finite or above 10^18.
pub fn micros_from_quote(field: &'static str, amount: f64) -> std::result::Result<Micros, Error> {
    let scaled = amount * MICROS;
    if !(scaled.abs() <= MAX_NOTIONAL_MICROS as f64) {
        return Err(invalid_input(field, amount, "a finite amount of at most 1e18", ""));
    }
    let whole = scaled.round();
    Ok(if (scaled - whole).abs() <= 1e-9 * scaled.abs() { whole } else { scaled.trunc() } as i128)
}

/// Which law of conservation a ledger broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// position = opening position + Σ signed sizes.
    Position,
    /// fees = Σ fees of fills.
    Fees,
    /// funding = Σ payments.
    Funding,
    /// cash = −Σ signed price·size − fees − funding.
    Cash,
    /// equity = cash + position·mark.
    Equity,
    /// equity = opening cost + realized + unrealized − fees − funding.
    Profit,
    /// profit = spread capture + adverse selection + inventory − fees − funding.
    Split,
}

/// A broken law with its two sides, in lots, micros or half micros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("conservation of {law:?} is broken: the books say {books}, fills and payments say {expected}")]
pub struct ConservationError {
    /// The law.
    pub law: Law,
    /// What the books hold.
    pub books: i128,
    /// What fills and payments add up to.
    pub expected: i128,
}

impl From<ConservationError> for Error {
    fn from(broken: ConservationError) -> Self {
        let ConservationError { law, books, expected } = broken;
        conservation_broken(
            format!("conservation of {}", format!("{law:?}").to_lowercase()),
            books.to_string(),
            format!("{expected}, what fills and payments add up to (lots, micros or half micros)"),
            "a bug of hypermm: no figure of this account can be trusted",
        )
    }
}
