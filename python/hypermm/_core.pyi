"""The Rust core, bound one to one. Import from `hypermm`, not from here.

Everywhere: times are integers of nanoseconds on the receiver's clock (Python or NumPy integers, never floats or
bools); prices are quote currency, sizes contracts, positions signed contracts (+ = long); "bps" is 1e-4 of mid.
Columns are one-dimensional: contiguous float64 (times: int64) NumPy memory is read in place, anything else that NumPy
understands (lists, tuples, float32, strided views, pandas and polars series) is converted once. A refused argument
raises `InvalidInputError` with ``field``, ``value``, ``expected`` and ``hint`` and changes nothing. Calls on one
object never wait for one another: the second of two at once raises `EngineBusyError`. Section numbers are those of
``rust/core/MODEL.md``.
"""

import enum
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar, Literal, NoReturn, SupportsFloat, SupportsIndex, TypeAlias, final, overload

import numpy as np
import numpy.typing as npt

__all__ = [
    "Action",
    "BacktestResult",
    "CalibratedFeature",
    "Calibration",
    "ConfigField",
    "Decision",
    "DepthDecay",
    "DirectionalFlow",
    "DriftFilter",
    "EngineConfig",
    "Event",
    "Feature",
    "FeatureMatrix",
    "FundingForecast",
    "Instrument",
    "InventoryRisk",
    "Level",
    "LoopbackCoin",
    "LoopbackVenue",
    "MarketPreset",
    "NonceCounter",
    "OpenOrder",
    "OrderStatus",
    "QuoteEngine",
    "QuoteSide",
    "QuoteStatus",
    "Side",
    "Signer",
    "VenueAccount",
    "VenueAnswer",
    "VenueBest",
    "VenueBlock",
    "VenueContext",
    "VenueFill",
    "VenueFunding",
    "VenueLiquidation",
    "VenueOrder",
    "VenuePosition",
    "VenueRequests",
    "VenueResult",
    "VenueSettlement",
    "VenueTrade",
    "_Empty",
    "_panic",
    "_quote_in_rust",
    "backtest",
    "drift_shift",
    "expected_pnl",
    "feature_matrix",
    "feature_table",
    "fill_calibration",
    "fill_probability",
    "flow_shift",
    "glft_half_spread",
    "matching_session",
    "merge_levels",
    "optimal_size",
    "paper_gap",
    "recover_approver",
    "recover_signer",
    "run_scenario",
    "run_sweep",
    "synthetic_market",
    "synthetic_session",
    "wire_number",
]

_Number: TypeAlias = SupportsFloat | SupportsIndex
_Time: TypeAlias = SupportsIndex
_Identifier: TypeAlias = SupportsIndex | str
_Column: TypeAlias = npt.ArrayLike
_Floats: TypeAlias = npt.NDArray[np.float64]

class Side(enum.Enum):
    """Direction of an order, a fill or an aggressor; the value is its sign."""

    BUY = 1
    SELL = -1

class OrderStatus(enum.Enum):
    """Where an order of ours stands; CANCELED, REJECTED and FILLED are dead, all others count as live."""

    PENDING = "pending"
    OPEN = "open"
    CANCEL_PENDING = "cancel_pending"
    CANCELED = "canceled"
    REJECTED = "rejected"
    FILLED = "filled"
    UNKNOWN = "unknown"

class QuoteStatus(enum.Enum):
    """What a quote could do with the book it had; only QUOTING comes with levels."""

    QUOTING = "quoting"
    NO_BOOK = "no_book"
    ONE_SIDED = "one_sided"
    CROSSED = "crossed"
    STALE = "stale"

@final
class Instrument:
    """Facts of one perpetual contract, as the venue publishes them; frozen.

    Args:
        coin: Venue symbol such as ``ETH`` or ``dex:COIN``.
        size_decimals: Decimal places of a size, 0 to 6.
        max_leverage: Largest leverage the venue grants, 1 or more.
        min_notional: Smallest order value, USD, 0 or more.
        funding_interval_s: Seconds between funding settlements, above 0.

    Raises:
        InvalidInputError: An argument is out of range.
    """

    def __new__(
        cls,
        coin: str,
        size_decimals: SupportsIndex,
        max_leverage: SupportsIndex,
        *,
        min_notional: _Number = 10.0,
        funding_interval_s: _Number = 3600.0,
    ) -> Instrument: ...
    @property
    def coin(self) -> str:
        """Venue symbol."""

    @property
    def size_decimals(self) -> int:
        """Decimal places of a size."""

    @property
    def max_leverage(self) -> int:
        """Largest leverage the venue grants."""

    @property
    def min_notional(self) -> float:
        """Smallest order value, USD."""

    @property
    def funding_interval_s(self) -> float:
        """Seconds between funding settlements."""

    def price_increment_at(self, price: _Number) -> float:
        """Distance between neighboring valid prices at `price`, quote currency.

        A price is valid when it is an integer, or has at most 5 significant figures and at most
        ``6 - size_decimals`` decimals.
        """

    def round_price(self, price: _Number, side: Side) -> float:
        """The nearest valid price that is not worse for us: down for a buy, up for a sell."""

    def round_size(self, size: _Number) -> float:
        """`size` (0 or more, contracts) rounded down to whole lots."""

    def __copy__(self) -> Instrument: ...
    def __deepcopy__(self, memo: Any, /) -> Instrument: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs_ex__(self) -> tuple[tuple[str, int, int], dict[str, float]]: ...

@final
class ConfigField:
    """One row of the table of configuration fields."""

    @property
    def name(self) -> str:
        """Key, the same in Python, TOML and JSON."""

    @property
    def kind(self) -> Literal["float", "optional_float", "integer", "bool"]:
        """Type of the value; "optional_float" may be None."""

    @property
    def unit(self) -> str:
        """Unit; "1" for a pure number."""

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest legal value."""

    @property
    def default(self) -> float | int | bool | None:
        """Default; None when the engine derives it."""

    @property
    def text(self) -> str:
        """What it is."""

    @property
    def too_high(self) -> str:
        """What happens when it is too high."""

    @property
    def too_low(self) -> str:
        """What happens when it is too low."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class CalibratedFeature:
    """One feature that passed the gate; frozen.

    Args:
        name: As in `feature_table`.
        slope: a/K, bps/s per unit of the feature: it observes a drift of slope times value.
        gain: K = Var(a·f)/P∞, 1e-9 to 0.999.
        noise_memory_s: τ_e, s, 0 to 600: how long its noise stands.
        mean_evidence: Mean of its evidence where the fit was made: noise goes with mean/evidence, within [¼, 4]. None
            weighs all values alike.

    Raises:
        InvalidConfigError: No feature of that name.
        InvalidInputError: Something that is no finite number.
    """

    def __new__(
        cls,
        name: str,
        slope: _Number,
        gain: _Number,
        noise_memory_s: _Number = 0.0,
        mean_evidence: _Number | None = None,
    ) -> CalibratedFeature: ...
    @property
    def name(self) -> str:
        """Name in the table of features."""

    @property
    def slope(self) -> float:
        """a/K, bps/s per unit of the feature."""

    @property
    def gain(self) -> float:
        """K = Var(a·f)/P∞."""

    @property
    def noise_memory_s(self) -> float:
        """τ_e, s."""

    @property
    def mean_evidence(self) -> float | None:
        """Mean of its evidence where the fit was made, or None."""

    def __getnewargs__(self) -> tuple[str, float, float, float, float | None]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Calibration:
    """What was measured on recordings of an instrument (section 8), checked; frozen, hashable, picklable.

    `hypermm.config.calibration_file` reads one from a file. Without one, features are silent and the config's defaults
    hold; with one, the filter's numbers are its, and the flow and funding that the config lets in are silent unless
    their features are in.

    Args:
        mean_reversion_per_s: κ_μ, 1/s.
        stationary_variance: P∞, (bps/s)².
        features: `CalibratedFeature` each, every feature once, at most 32.
        covariance: Error covariance C of their observations without the drift they share, (bps/s)², shape (n, n),
            positive definite.
        coin: What it was made on, with `size_decimals`: an engine of another instrument refuses it. None, as of numbers
            made by hand, is not held against anything.
        size_decimals: As `coin`; both or neither.
        cycle_s: How often features are read, s, 0.01 to 60.
        fresh_noise_share: Share of each feature's noise that is new at every reading, 0 to 0.99, shape (n,); the rest
            stands for its memory. None: none is.
        own_fill: (slope, gain) of an own fill, s = −sgn·depth/σ clipped to ±4; gain 0 silences fills; None leaves the
            config's `fill_gain`.
        volatility_ratio_exponent: ν of σ_eff; None leaves the config's.
        informed_volatility: c_I of σ_eff; None leaves the config's.
        adverse_selection_ratio: a₀ of adverse selection; None leaves the config's.
        tail_factor: κ_tail of adverse selection; None leaves the config's.
        basis_market: Name of the market the basis is taken against; None is the oracle.
        lead_market: Name of the market that leads.
        volatility: This and the rest: what the features are made with, the settings of `feature_matrix`.
        sweep_s: As there.
        hawkes_decay_per_s: As there.
        hawkes_branching_ratio: As there.

    Raises:
        InvalidConfigError: A number out of range, a feature twice, a covariance that is not symmetric, not positive
            definite or not of the features' size.
    """

    def __new__(
        cls,
        mean_reversion_per_s: _Number,
        stationary_variance: _Number,
        features: Sequence[CalibratedFeature] = (),
        covariance: npt.ArrayLike | None = None,
        *,
        coin: str | None = None,
        size_decimals: int | None = None,
        cycle_s: _Number = 0.5,
        fresh_noise_share: _Column | None = None,
        own_fill: tuple[_Number, _Number] | None = None,
        volatility_ratio_exponent: _Number | None = None,
        informed_volatility: _Number | None = None,
        adverse_selection_ratio: _Number | None = None,
        tail_factor: _Number | None = None,
        basis_market: str | None = None,
        lead_market: str | None = None,
        volatility: _Number = 1.5,
        sweep_s: _Number = 2.0,
        hawkes_decay_per_s: _Number = 0.5,
        hawkes_branching_ratio: _Number = 0.5,
    ) -> Calibration: ...
    @property
    def coin(self) -> str | None:
        """Coin it was made on, which an engine of another refuses; None where that is not known."""

    @property
    def size_decimals(self) -> int | None:
        """Size decimals of the instrument it was made on, or None."""

    @property
    def mean_reversion_per_s(self) -> float:
        """κ_μ, 1/s."""

    @property
    def stationary_variance(self) -> float:
        """P∞, (bps/s)²."""

    @property
    def features(self) -> tuple[CalibratedFeature, ...]:
        """The features that passed."""

    @property
    def covariance(self) -> npt.NDArray[np.float64]:
        """Error covariance of their observations, (bps/s)², shape (n, n)."""

    @property
    def cycle_s(self) -> float:
        """How often features are read, s."""

    @property
    def fresh_noise_share(self) -> npt.NDArray[np.float64] | None:
        """Share of each feature's noise that is new at every reading, shape (n,); None where none is."""

    @property
    def own_fill(self) -> tuple[float, float] | None:
        """(slope, gain) of own fills, or None."""

    @property
    def pipeline(self) -> dict[str, float]:
        """What the features are made with: the settings of `feature_matrix`."""

    @property
    def volatility_ratio_exponent(self) -> float | None:
        """Exponent of the volatility ratio in the effective volatility, or None."""

    @property
    def informed_volatility(self) -> float | None:
        """Share of informed flow in the effective variance, or None."""

    @property
    def adverse_selection_ratio(self) -> float | None:
        """Adverse move per unit of toxicity in units of σ_eff√10, or None."""

    @property
    def tail_factor(self) -> float | None:
        """Factor of excess kurtosis in adverse selection, or None."""

    @property
    def basis_market(self) -> str | None:
        """Name of the market the basis is taken against, or None: the oracle."""

    @property
    def lead_market(self) -> str | None:
        """Name of the market that leads ours, or None."""

    def __copy__(self) -> Calibration: ...
    def __deepcopy__(self, memo: Any, /) -> Calibration: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class EngineConfig:
    """Every number the engine is tuned by; frozen. `EngineConfig.fields()` is the table it comes from.

    Args: one for each field, all optional. Unknown names, values out of range, of the wrong type, NaN, and values
    that contradict one another (``horizon_min_s > horizon_max_s``, ``clip > max_position``) raise
    `InvalidConfigError` naming the field.
    """

    __signature__: ClassVar[inspect.Signature]
    def __new__(
        cls,
        max_position: _Number = 1.0,
        risk_aversion: _Number = 0.015,
        inventory_curvature: _Number = 4.0,
        clip: _Number | None = None,
        levels: SupportsIndex = 3,
        level_spacing_bps: _Number = 1.0,
        level_growth: _Number = 1.5,
        drift_mean_reversion_per_s: _Number = 0.02,
        drift_deviation_ratio: _Number = 0.05,
        max_gain: _Number = 0.9,
        fill_gain: _Number = 0.02,
        flow_gain: _Number = 0.02,
        funding_gain: _Number = 0.005,
        arrival_rate: _Number = 0.3,
        depth_decay: _Number = 0.5,
        depth_decay_half_life_s: _Number = 3600.0,
        volatility: _Number = 1.5,
        volatility_ratio_exponent: _Number = 0.5,
        informed_volatility: _Number = 0.0,
        horizon_min_s: _Number = 2.0,
        horizon_max_s: _Number = 600.0,
        flow_shift_memory_s: _Number = 120.0,
        maker_fee_bps: _Number = 1.5,
        taker_fee_bps: _Number = 4.5,
        adverse_selection_ratio: _Number = 0.5,
        tail_factor: _Number = 0.1,
        request_price_usd: _Number = 5e-05,
        quota_weight_bps: _Number = 0.05,
        cost_bound_bps: _Number = 20.0,
        queue_exponent: _Number = 1.0,
        book_stale_s: _Number = 5.0,
        watch_features: bool = False,
        terminal_penalty: bool = False,
        *,
        calibration: Calibration | None = None,
    ) -> EngineConfig: ...
    def replace(self, **changes: float | Calibration | None) -> EngineConfig:
        """A copy with the named fields changed, checked like a new one."""

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, in the order of the table, and ``calibration`` where there is one.

        ``EngineConfig(**config.to_dict()) == config``.
        """

    @property
    def calibration(self) -> Calibration | None:
        """What was measured on recordings of the instrument, or None."""

    @staticmethod
    def fields() -> tuple[ConfigField, ...]:
        """The table of fields, in declaration order."""

    def __copy__(self) -> EngineConfig: ...
    def __deepcopy__(self, memo: Any, /) -> EngineConfig: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]: ...
    @property
    def max_position(self) -> float:
        """Hard cap of |position|, q_max. Margin can only lower it.

        Unit: contracts. Range: 1e-09 to 1e+12. Too high: one trend can cost more than planned. Too low: the ladder
        holds few clips and dies early.
        """

    @property
    def risk_aversion(self) -> float:
        """Risk aversion γ₀ per clip.

        Unit: 1/bps per clip. Range: 1e-06 to 10. Too high: too wide and thin. Too low: too exposed in a trend.
        """

    @property
    def inventory_curvature(self) -> float:
        """β of γ(x) = γ₀(1 + βx²).

        Unit: 1. Range: 0 to 100. Too high: cuts off early. Too low: little protection near the cap.
        """

    @property
    def clip(self) -> float | None:
        """Size of one order; unset: max_position/22 but at least 1.1 × the venue's minimum, taken at the first book.

        Unit: contracts. Range: 1e-09 to 1e+12. Too high: few, coarse orders. Too low: orders below the venue's
        minimum are merged deeper.
        """

    @property
    def levels(self) -> int:
        """Most levels a side.

        Unit: 1. Range: 1 to 32. Too high: more requests for little fill. Too low: less depth in a sweep.
        """

    @property
    def level_spacing_bps(self) -> float:
        """Distance d₁ of the second level from the first.

        Unit: bps. Range: 1e-06 to 1000. Too high: deep levels never fill. Too low: levels merge on one tick.
        """

    @property
    def level_growth(self) -> float:
        """Growth g of the spacing: d_i = d₁(gⁱ − 1)/(g − 1).

        Unit: 1. Range: 1 to 10. Too high: deep levels never fill. Too low: a sweep takes the whole ladder at once.
        """

    @property
    def drift_mean_reversion_per_s(self) -> float:
        """κ_μ of the OU drift. Unit: 1/s. Range: 1e-05 to 10. Too high: misses trends. Too low: sticks."""

    @property
    def drift_deviation_ratio(self) -> float:
        """Stationary drift deviation √P∞ as a share of σ per √s.

        Unit: 1/√s. Range: 1e-06 to 10. Too high: over-reacts. Too low: sluggish.
        """

    @property
    def max_gain(self) -> float:
        """K_max: largest gain one observation from the prior may have.

        Unit: 1. Range: 1e-06 to 0.999. Too high: one signal can dominate. Too low: strong signals are muted.
        """

    @property
    def fill_gain(self) -> float:
        """K0 of an own fill before calibration; 0 silences it.

        Unit: 1. Range: 0 to 0.9. Too high: single fills swing the drift. Too low: fills do not inform the drift.
        """

    @property
    def flow_gain(self) -> float:
        """K0 of the 30 s flow before calibration; 0 silences it.

        Unit: 1. Range: 0 to 0.9. Too high: chases noise in the tape. Too low: flow does not inform the drift.
        """

    @property
    def funding_gain(self) -> float:
        """K0 of the funding z-score before calibration; 0 silences it.

        Unit: 1. Range: 0 to 0.9. Too high: normal funding moves quotes. Too low: extreme funding is ignored.
        """

    @property
    def arrival_rate(self) -> float:
        """Prior rate Λ of aggressor events a side, with the weight of one event.

        Unit: 1/s. Range: 0.0001 to 10000. Too high: expects fills that do not come. Too low: under-prices the first
        minutes' flow.
        """

    @property
    def depth_decay(self) -> float:
        """Prior mean of k, how fast aggressive flow thins with depth, with the weight of half an event.

        Unit: 1/bps. Range: 0.001 to 50. Too high: too tight at first. Too low: too wide at first.
        """

    @property
    def depth_decay_half_life_s(self) -> float:
        """Half-life of the evidence on reach.

        Unit: s. Range: 10 to 1e+07. Too high: slow to follow a new regime. Too low: noisy k.
        """

    @property
    def volatility(self) -> float:
        """Prior σ₀, with the weight of 20 s.

        Unit: bps/√s. Range: 0.001 to 1000. Too high: too wide at first. Too low: too tight at first.
        """

    @property
    def volatility_ratio_exponent(self) -> float:
        """ν of σ_eff = σ·max(1, (σ₃₀/σ₃₀₀)^ν).

        Unit: 1. Range: 0 to 2. Too high: spikes widen too much. Too low: under-reacts to a burst.
        """

    @property
    def informed_volatility(self) -> float:
        """c_I of σ_eff: share of informed flow in variance; 0 until fitted.

        Unit: 1. Range: 0 to 10. Too high: widens on any imbalance. Too low: ignores informed flow.
        """

    @property
    def horizon_min_s(self) -> float:
        """Lower bound of the horizon τ.

        Unit: s. Range: 0.1 to 3600. Too high: too much weight on drift in fast markets. Too low: inventory is
        hardly priced.
        """

    @property
    def horizon_max_s(self) -> float:
        """Upper bound of the horizon τ.

        Unit: s. Range: 0.1 to 86400. Too high: thin markets carry large penalties. Too low: slow markets look
        riskless.
        """

    @property
    def flow_shift_memory_s(self) -> float:
        """τ_f: how long a flow imbalance lasts.

        Unit: s. Range: 1 to 86400. Too high: chases flow. Too low: ignores flow.
        """

    @property
    def maker_fee_bps(self) -> float:
        """Maker fee, negative = rebate. A rebate counts as a negative cost.

        Unit: bps. Range: -10 to 100. Too high: too wide. Too low: quotes below cost.
        """

    @property
    def taker_fee_bps(self) -> float:
        """Taker fee, used by terminal_penalty only.

        Unit: bps. Range: -10 to 100. Too high: unwinds too early before a settlement. Too low: carries inventory
        into settlement.
        """

    @property
    def adverse_selection_ratio(self) -> float:
        """a₀: adverse move per unit of toxicity in units of σ_eff√10.

        Unit: 1. Range: 0 to 10. Too high: backs away from one-sided flow. Too low: picked off by informed flow.
        """

    @property
    def tail_factor(self) -> float:
        """κ_tail: how much excess kurtosis raises adverse selection.

        Unit: 1. Range: 0 to 5. Too high: too wide after one jump. Too low: under-estimates fat tails.
        """

    @property
    def request_price_usd(self) -> float:
        """λ₀: price of one request at half quota.

        Unit: USD. Range: 0 to 0.0005. Too high: stops refreshing quotes. Too low: burns the quota.
        """

    @property
    def quota_weight_bps(self) -> float:
        """w_q: widening per unit of 1/h − 1.

        Unit: bps. Range: 0 to 10. Too high: too wide when the quota is low. Too low: quota does not widen.
        """

    @property
    def cost_bound_bps(self) -> float:
        """Bound on log-odds + quota + mark-up + race.

        Unit: bps. Range: 0 to 1000. Too high: quotes leave the market. Too low: protection is cut off.
        """

    @property
    def queue_exponent(self) -> float:
        """α of the queue factor (1 + ahead/z̄)^−α; 1 until fitted.

        Unit: 1. Range: 0 to 10. Too high: expects no fill behind a queue. Too low: expects fills a queue takes
        first.
        """

    @property
    def book_stale_s(self) -> float:
        """Age at which a book is not quoted on.

        Unit: s. Range: 0.05 to 3600. Too high: quotes on old prices. Too low: stops quoting between updates.
        """

    @property
    def watch_features(self) -> bool:
        """Runs the features without a calibration too: they can be read, and say nothing to the filter.

        Unit: 1. Range: 0 to 1. Too high: features cost time that nothing uses. Too low: features cannot be read before
        a calibration.
        """

    @property
    def terminal_penalty(self) -> bool:
        """Adds the cost of unwinding before the next settlement to the inventory penalty.

        Unit: 1. Range: 0 to 1. Too high: unwinds early. Too low: carries inventory into settlement.
        """

@final
class Level:
    """One level of a side; frozen."""

    def __new__(
        cls,
        price: float,
        size: float,
        depth_bps: float,
        fill_probability: float,
        expected_edge_bps: float,
        expected_pnl_bps: float,
        reduce_only: bool,
    ) -> Level: ...
    @property
    def price(self) -> float:
        """Price, quote currency."""

    @property
    def size(self) -> float:
        """Size, contracts."""

    @property
    def depth_bps(self) -> float:
        """Distance from mid, bps, + = away from the other side."""

    @property
    def fill_probability(self) -> float:
        """Probability of a fill within the order's expected life."""

    @property
    def expected_edge_bps(self) -> float:
        """Expected edge over 10 s after costs, bps."""

    @property
    def expected_pnl_bps(self) -> float:
        """Fill probability times margin after the inventory penalty, bps."""

    @property
    def reduce_only(self) -> bool:
        """The cumulative size up to here only closes the position."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs__(self) -> tuple[float, float, float, float, float, float, bool]: ...

@final
class QuoteSide:
    """One side of a decision, best level first; frozen. Columns have shape ``(len(side),)``.

    Columns are read-only NumPy arrays that own their memory, made when first asked for.
    """

    @property
    def prices(self) -> _Floats:
        """Prices, quote currency."""

    @property
    def sizes(self) -> _Floats:
        """Sizes, contracts."""

    @property
    def depth_bps(self) -> _Floats:
        """Distance from mid, bps, + = away from the other side."""

    @property
    def fill_probability(self) -> _Floats:
        """Probability of a fill within the order's expected life, 1e-4 to 1 (section 5)."""

    @property
    def expected_edge_bps(self) -> _Floats:
        """Depth + sgn·μ̂T(10 s) − adverse selection − fee − race, bps: comparable with the realized edge at 10 s."""

    @property
    def expected_pnl_bps(self) -> _Floats:
        """P·(margin − inventory penalty), bps."""

    @property
    def reduce_only(self) -> npt.NDArray[np.bool_]:
        """Cumulative size up to here is at most |position|, on the closing side."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: SupportsIndex, /) -> Level: ...
    def __iter__(self) -> Iterator[Level]: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class Decision:
    """A quote cycle's answer; frozen, comparable, picklable."""

    @property
    def time_ns(self) -> int:
        """Time it was made for, ns."""

    @property
    def status(self) -> QuoteStatus:
        """Whether the book could be quoted on; without QUOTING both sides are empty."""

    @property
    def bids(self) -> QuoteSide:
        """Our bids, best (highest) first."""

    @property
    def asks(self) -> QuoteSide:
        """Our asks, best (lowest) first."""

    @property
    def mid_price(self) -> float:
        """Mid price; 0 without a two-sided book."""

    @property
    def reservation_price(self) -> float:
        """mid·(1 + 1e-4·r), r = D − R(x) − C + F (section 4); 0 without a two-sided book."""

    @property
    def target_inventory(self) -> float:
        """R⁻¹(D − C + F)·max_position, contracts: the inventory at which quotes stand symmetric."""

    @property
    def drift_bps_per_s(self) -> float:
        """Drift estimate μ̂, bps/s."""

    @property
    def drift_variance(self) -> float:
        """Posterior variance P of the drift, (bps/s)²."""

    @property
    def position(self) -> float:
        """Signed position the ladder was made for, contracts."""

    def explain(self, level: SupportsIndex = 0) -> dict[str, dict[str, float]]:
        """Every additive term of the prices of one level.

        Args:
            level: 0 to 31, 0 = best.

        Returns:
            ``{"bid": terms, "ask": terms, "drift": shares}``; each side's terms are bps of mid by name, and
            ``"price"``: ``mid_price * (1 + 1e-4 * sum of the other terms) == price`` to 1e-9 relative. A side without
            that level is empty. The shares are what each source gave to the drift term, bps: price, fill, flow,
            funding, outside signals together, and each calibrated feature by name; they sum to it to 1e-9.
        """

    def __eq__(self, other: object, /) -> bool: ...

@final
class OpenOrder:
    """One order of ours that is not known to be dead; frozen."""

    @property
    def order_id(self) -> int | str:
        """Our name for it, as it was given."""

    @property
    def status(self) -> OrderStatus:
        """Its state."""

    @property
    def side(self) -> Side:
        """Its side."""

    @property
    def price(self) -> float:
        """Its limit price, quote currency."""

    @property
    def remaining_size(self) -> float:
        """What can still fill, contracts."""

    @property
    def placed_ns(self) -> int:
        """When the engine first heard of it, ns."""

    @property
    def ahead(self) -> float:
        """Size that stands before it in the queue at its price, contracts."""

    def __eq__(self, other: object, /) -> bool: ...

@final
class QuoteEngine:
    """The quoting model of one instrument: events in, ladders out. No clock, no I/O, no randomness.

    Args:
        instrument: Facts of the contract.
        config: Configuration; the defaults when None.

    Every ``on_*`` method takes the receiver's clock first. Equal times are legal; an earlier one raises
    `TimeOrderError`; a first time between 1e9 and 1e17 is refused because it looks like seconds, milliseconds or
    microseconds. After any refusal the state is what it was before. Pickling and copying go through `snapshot`.
    """

    def __new__(cls, instrument: Instrument, config: EngineConfig | None = None) -> QuoteEngine: ...
    def on_book(
        self,
        time_ns: _Time,
        bid_prices: _Column,
        bid_sizes: _Column,
        ask_prices: _Column,
        ask_sizes: _Column,
        exchange_time_ns: _Time | None = None,
    ) -> None:
        """Takes in a whole book.

        Args:
            time_ns: Receiver's clock, ns.
            bid_prices: Shape (n,), best first, strictly falling, on the price grid; may be empty.
            bid_sizes: Shape (n,), contracts, above 0.
            ask_prices: Shape (m,), best first, strictly rising, on the price grid; may be empty.
            ask_sizes: Shape (m,), contracts, above 0.
            exchange_time_ns: Venue's timestamp. Books often tell of a print before the tape does; with both
                timestamps the engine knows which came first (section 2). Without one, the mid a print met is the one
                heard at least 50 ms before it.

        Raises:
            InvalidInputError: Lengths differ, a number is not finite and positive, off the grid or out of order, or
                the snapshot is crossed in itself.
            TimeOrderError: `time_ns` is earlier than the last event.
        """

    def on_best(
        self,
        time_ns: _Time,
        bid_price: _Number | None,
        bid_size: _Number | None,
        ask_price: _Number | None,
        ask_size: _Number | None,
        exchange_time_ns: _Time | None = None,
    ) -> None:
        """Takes in the best bid and offer between books; None and None is an empty side.

        A book crossed by the overlay of the two streams is no error: the quote's status is CROSSED until they agree.
        `exchange_time_ns` is the venue's timestamp, as in `on_book`.
        """

    def on_trade(
        self, time_ns: _Time, price: _Number, size: _Number, aggressor: Side, *, exchange_time_ns: _Time | None = None
    ) -> None:
        """Takes in one print of the public tape.

        Args:
            time_ns: Receiver's clock, ns.
            price: On the price grid.
            size: Contracts, above 0.
            aggressor: Side of the taker.
            exchange_time_ns: Venue's timestamp; prints with one timestamp and side are one aggressor event
                (section 2). The receive time stands in for it.
        """

    def on_trades(
        self,
        times: _Column,
        prices: _Column,
        sizes: _Column,
        aggressors: Sequence[Side] | npt.NDArray[np.integer[Any]],
        *,
        exchange_times: _Column | None = None,
    ) -> None:
        """Takes in many prints, all or none; the same as `on_trade` for each.

        Args:
            times: Shape (n,), integer ns, not falling.
            prices: Shape (n,).
            sizes: Shape (n,).
            aggressors: n members of `Side`, or an integer array of +1 (buy) and −1 (sell).
            exchange_times: Shape (n,), integer ns, or None.

        Long arrays are worked through without the interpreter: other threads run meanwhile.
        """

    def on_context(
        self,
        time_ns: _Time,
        mark_price: _Number | None = None,
        oracle_price: _Number | None = None,
        funding_rate: _Number | None = None,
        predicted_funding: _Number | None = None,
        next_settlement_ns: _Time | None = None,
        open_interest: _Number | None = None,
    ) -> None:
        """Takes in what the venue says of the contract; None is no news.

        Args:
            time_ns: Receiver's clock, ns.
            mark_price: Above 0.
            oracle_price: Above 0.
            funding_rate: Fraction per interval, + = longs pay.
            predicted_funding: Fraction per interval.
            next_settlement_ns: Time of the next settlement, ns.
            open_interest: Contracts, 0 or more.
        """

    def on_order(
        self,
        time_ns: _Time,
        order_id: _Identifier,
        status: OrderStatus,
        side: Side,
        price: _Number,
        remaining_size: _Number,
        *,
        original_size: _Number | None = None,
    ) -> None:
        """Takes in the state of one of our orders. Feeds order life, queue, reach censoring and the cap.

        Args:
            time_ns: Receiver's clock, ns.
            order_id: Integer from 0 to 2^64 − 1, or text; the same name means the same order.
            status: Its state now. Everything not known to be dead counts against the cap.
            side: Its side.
            price: Its limit price, on the grid.
            remaining_size: What is left of it, contracts; of one that ended, what never filled. The rest counts against
                the cap until its fills are told, `on_position` states a position 5 s later, or a minute has passed.
            original_size: What was ordered, contracts; by default what the first word says is left.
        """

    def on_fill(
        self,
        time_ns: _Time,
        side: Side,
        price: _Number,
        size: _Number,
        *,
        order_id: _Identifier | None = None,
        fill_id: _Identifier | None = None,
        fee: _Number | None = None,
    ) -> bool:
        """Takes in a fill of ours; the position moves once for each `fill_id`.

        Returns:
            False for a `fill_id` seen before, which changes nothing.
        """

    def on_position(self, time_ns: _Time, position: _Number, *, entry_price: _Number | None = None) -> float:
        """Replaces our position by the venue's truth.

        Returns:
            The difference, new − old, contracts.
        """

    def on_quota(self, time_ns: _Time, requests_remaining: _Number, requests_last_day: _Number) -> None:
        """Takes in the request quota (section 9); never called, requests cost nothing."""

    def observe(self, time_ns: _Time, drift_bps_per_s: _Number, variance: _Number, *, name: str = "external") -> None:
        """Any outside signal joins the drift filter (section 1).

        Args:
            time_ns: Receiver's clock, ns.
            drift_bps_per_s: Observed drift, bps/s, bullish-positive.
            variance: Its error variance, (bps/s)², above 0.
            name: Source under which innovation statistics are kept; not empty, not one of the engine's own
                (price, fill, flow, funding, features, and the names of `feature_table`).
        """

    def on_reference(self, time_ns: _Time, name: str, price: _Number) -> None:
        """Takes in a price of another market: spot, an oracle, one that leads.

        Args:
            time_ns: Receiver's clock, ns.
            name: The market, as the calibration's `basis_market` or `lead_market` names it; others only let time pass.
            price: Its price, above 0.
        """

    def features(self, time_ns: _Time) -> dict[str, float | None]:
        """Every feature by name as of `time_ns`, None where it has no value.

        Empty where none runs: without a calibrated one, unless the config says `watch_features`.
        """

    def update_config(self, config: EngineConfig) -> None:
        """Changes the configuration between quotes; keeps all that was learned."""

    def quote(self, time_ns: _Time) -> Decision:
        """The ladder for `time_ns`; changes nothing that a later quote returns.

        Without a usable book the decision says so in its status and both sides are empty.
        """

    @property
    def position(self) -> float:
        """Signed position, contracts, + = long."""

    @property
    def now_ns(self) -> int | None:
        """Time of the last event, ns; None before the first."""

    @property
    def mid_price(self) -> float | None:
        """Mid price; None without a two-sided book."""

    @property
    def clip(self) -> float | None:
        """Size of one order, contracts; None before the first book."""

    @property
    def open_orders(self) -> list[OpenOrder]:
        """Our orders not known to be dead."""

    @property
    def instrument(self) -> Instrument:
        """Facts of the contract."""

    @property
    def config(self) -> EngineConfig:
        """Configuration in force."""

    @property
    def innovations(self) -> dict[str, dict[str, float]]:
        """Drift filter statistics by source (``price``, ``fill``, ``flow``, ``funding``, outside signals).

        Each: ``count``, ``mean`` innovation in bps/s, ``nis`` (mean normalized innovation squared, 1 when the source's
        variance is right), ``log_likelihood``.
        """

    def estimates(self) -> dict[str, float]:
        """What has been learned of the market, as of the last event; the priors before the first.

        Returns:
            ``drift_bps_per_s``, ``drift_variance`` and ``drift_stationary_variance`` P∞ (bps²/s²), ``drift_scale``;
            ``volatility`` σ and ``effective_volatility``, bps/√s, ``volatility_ratio``, ``excess_kurtosis``;
            with ``bid_`` and ``ask_`` before: ``arrival_rate`` Λ, 1/s, ``toxicity``, ``depth_decay`` k, 1/bps,
            ``intensity`` A, 1/s, ``mean_event_size``, contracts, once seen;
            ``reach_threshold_bps``; ``horizon_s`` τ; ``validity`` a (above 2 risk aversion is too high for the flow)
            and ``validity_factor`` s_a;
            ``flow_imbalance_5s``, ``_30s``, ``_120s``, ``_300s``, + when sells dominate;
            ``trend_10s_bps``, ``trend_60s_bps``, ``trend_300s_bps``, ``trend_agreement``, ``trend_continuation`` and
            ``trend_score``, bullish positive;
            ``funding_forecast_bps`` and, once it has spread, ``funding_z_score``;
            ``regime_*`` and ``log_risk_aversion_shift``, 0 until they are learned.
        """

    def copy(self) -> QuoteEngine:
        """An engine of its own with the same state."""

    def snapshot(self) -> bytes:
        """All learned state as versioned bytes."""

    @classmethod
    def restore(cls, state: bytes, *, config: EngineConfig | None = None) -> QuoteEngine:
        """An engine that goes on as if never stopped, bit for bit; `config` replaces the stored one.

        Raises:
            SnapshotError: The bytes are foreign, damaged or of another version.
        """

    def __copy__(self) -> QuoteEngine: ...
    def __deepcopy__(self, memo: Any, /) -> QuoteEngine: ...

@final
class DriftFilter:
    """Scalar Kalman filter of an OU drift, exact for any gap between times (section 1).

    dμ = −κ_μ·μ·dt + σ_μ·dW; starts at mean 0 and the stationary variance: there is no warm-up.

    Args:
        mean_reversion_per_s: κ_μ, 1/s, above 0.
        drift_deviation_bps_per_s: √P∞, bps/s, above 0.
    """

    def __new__(
        cls, mean_reversion_per_s: _Number = 0.02, drift_deviation_bps_per_s: _Number = 0.075
    ) -> DriftFilter: ...
    def predict(self, time_ns: _Time) -> None:
        """Steps to `time_ns`: mean ← φ·mean, P ← φ²P + P∞(1 − φ²), φ = exp(−κ_μ·dt)."""

    def observe(self, time_ns: _Time, drift_bps_per_s: _Number, variance: _Number, *, name: str = "external") -> None:
        """Steps to `time_ns` and takes in drift = μ + noise; `variance` (bps/s)², above 0."""

    def observe_many(self, times_ns: _Column, drifts: _Column, variances: _Column, *, name: str = "external") -> None:
        """`observe` for each row of columns of shape (n,), all or none."""

    def observe_features(
        self,
        time_ns: _Time,
        values: _Column,
        covariance: npt.ArrayLike,
        noise_memory_s: _Column,
        *,
        fresh_noise_share: _Column | None = None,
        name: str = "features",
    ) -> None:
        """Whitens slow, correlated features, fuses them by generalized least squares, takes in the one result.

        Args:
            time_ns: Receiver's clock, ns.
            values: Shape (n,), drift readings, bps/s; NaN where one is missing. n stays the same from call to call.
            covariance: Shape (n, n), error covariance without the common drift variance, (bps/s)².
            noise_memory_s: Shape (n,), how long each feature's error lasts, s, 0 or more.
            fresh_noise_share: Shape (n,), as for `filter_columns`; None = nothing is fresh.
            name: Source under which innovation statistics are kept.
        """

    def filter_columns(
        self,
        times_ns: _Column,
        drifts: _Column,
        variances: _Column,
        values: npt.ArrayLike,
        covariance: npt.ArrayLike,
        noise_memory_s: _Column,
        *,
        noise_factors: npt.ArrayLike | None = None,
        fresh_noise_share: _Column | None = None,
    ) -> tuple[_Floats, _Floats]:
        """Filters columns in one pass, all or none; other threads run meanwhile.

        Args:
            times_ns: Shape (rows,), receiver's clock, ns.
            drifts: Shape (rows,), observations that enter as they are, first; NaN for none. Kept as source "price".
            variances: Shape (rows,), their noise, (bps/s)².
            values: Shape (rows, n), features as for `observe_features`, which follow them; NaN for a missing one.
            covariance: Shape (n, n).
            noise_memory_s: Shape (n,).
            noise_factors: Shape (rows, n), g above 0: entry (i, j) of the covariance is taken times √(g_i·g_j).
            fresh_noise_share: Shape (n,), what share of each noise is new at every reading, 0 to 0.99; the rest stands
                for its memory.

        Returns:
            Posterior mean, bps/s, and variance, (bps/s)², after each row.
        """

    @property
    def mean(self) -> float:
        """Posterior mean μ̂, bps/s."""

    @property
    def variance(self) -> float:
        """Posterior variance P, (bps/s)²."""

    @property
    def stationary_variance(self) -> float:
        """P∞, (bps/s)²."""

    @property
    def time_ns(self) -> int | None:
        """Time the posterior stands at; None before the first step."""

    @property
    def log_likelihood(self) -> float:
        """Sum over all sources of −½(ln 2πS + ν²/S)."""

    @property
    def innovations(self) -> dict[str, dict[str, float]]:
        """By source: ``count``, ``mean`` (bps/s), ``nis`` (1 when consistent), ``log_likelihood``."""

    def displacement(self, horizon_s: _Number) -> float:
        """Expected displacement μ̂·T(h), bps, T(h) = (1 − exp(−κ_μ·h))/κ_μ."""

    def displacement_variance(self, horizon_s: _Number, volatility: _Number) -> float:
        """Variance v(h) of the displacement, bps²; `volatility` in bps/√s."""

    def reset(self) -> None:
        """Back to the prior."""

    def snapshot(self) -> bytes:
        """The state as versioned bytes."""

    @classmethod
    def restore(cls, state: bytes) -> DriftFilter:
        """The filter of a snapshot; `SnapshotError` for foreign or damaged bytes."""

    def copy(self) -> DriftFilter:
        """A filter of its own with the same state."""

    def __copy__(self) -> DriftFilter: ...
    def __deepcopy__(self, memo: Any, /) -> DriftFilter: ...

@final
class DirectionalFlow:
    """Rates of aggressor events by side, bias-corrected from the first second (section 2).

    Args:
        arrival_rate: Prior rate a side, 1/s, above 0, with the weight of one event.
        window_s: Time constant, s, above 0.
    """

    def __new__(cls, arrival_rate: _Number = 0.3, window_s: _Number = 120.0) -> DirectionalFlow: ...
    def update(self, time_ns: _Time, aggressor: Side) -> None:
        """Counts one aggressor event."""

    def update_many(self, times_ns: _Column, aggressors: Sequence[Side] | npt.NDArray[np.integer[Any]]) -> None:
        """`update` for each row, all or none."""

    def rates(self, time_ns: _Time) -> tuple[float, float]:
        """(Λ_b: sells hitting bids, Λ_a: buys lifting asks), 1/s."""

    def imbalance(self, time_ns: _Time) -> float:
        """(Λ_b − Λ_a)/(Λ_b + Λ_a), −1 to 1, + when sells dominate."""

    def informed_fraction(self, time_ns: _Time) -> float:
        """|imbalance| above the noise of balanced flow, 0 to 1."""

    def toxicity(self, time_ns: _Time) -> tuple[float, float]:
        """One-sided parts of the informed fraction: against our bids, against our asks."""

    def reset(self) -> None:
        """Back to the prior."""

    def snapshot(self) -> bytes:
        """The state as versioned bytes."""

    @classmethod
    def restore(cls, state: bytes) -> DirectionalFlow:
        """The estimator of a snapshot; `SnapshotError` for foreign or damaged bytes."""

    def copy(self) -> DirectionalFlow:
        """An estimator of its own with the same state."""

    def __copy__(self) -> DirectionalFlow: ...
    def __deepcopy__(self, memo: Any, /) -> DirectionalFlow: ...

@final
class DepthDecay:
    """How fast aggressive flow of one side thins with depth: λ(δ) = A·exp(−k·δ) (section 2).

    Args:
        depth_decay: Prior mean of k, 1/bps, with the weight of half an event.
        arrival_rate: Prior rate of events at the mid, 1/s.
        half_life_s: Half-life of the evidence, s.
    """

    def __new__(
        cls, depth_decay: _Number = 0.5, arrival_rate: _Number = 0.3, half_life_s: _Number = 3600.0
    ) -> DepthDecay: ...
    def update(self, time_ns: _Time, reach_bps: _Number, threshold_bps: _Number, *, censored: bool = False) -> None:
        """Adds one aggressor event.

        Args:
            time_ns: Receiver's clock, ns.
            reach_bps: Distance of its worst print from the mid before it, bps.
            threshold_bps: d₀, 0 or more: reaches below teach nothing of k.
            censored: The last thing it took was our own order, so its true reach is unknown.
        """

    def update_many(
        self,
        times_ns: _Column,
        reaches_bps: _Column,
        threshold_bps: _Number | _Column,
        censored: npt.ArrayLike | None = None,
    ) -> None:
        """`update` for each row, all or none; `threshold_bps` is one number or shape (n,), `censored` bools (n,)."""

    @property
    def depth_decay(self) -> float:
        """k, 1/bps, 1e-3 to 50."""

    @property
    def confidence(self) -> float:
        """1/(1 + cv): 0.41 with the prior alone, towards 1 with evidence."""

    def rate(self, time_ns: _Time) -> float:
        """Λ₀: rate of events beyond the threshold, 1/s."""

    def intensity_at_mid(self, time_ns: _Time) -> float:
        """A = Λ₀·exp(k·d₀), 1/s."""

    def reset(self) -> None:
        """Back to the prior."""

    def snapshot(self) -> bytes:
        """The state as versioned bytes."""

    @classmethod
    def restore(cls, state: bytes) -> DepthDecay:
        """The estimator of a snapshot; `SnapshotError` for foreign or damaged bytes."""

    def copy(self) -> DepthDecay:
        """An estimator of its own with the same state."""

    def __copy__(self) -> DepthDecay: ...
    def __deepcopy__(self, memo: Any, /) -> DepthDecay: ...

@final
class FundingForecast:
    """Forecast of the next funding rate and the carry of discrete settlements (section 6).

    Args:
        interval_s: Seconds between settlements, 1 to 1e9.
    """

    def __new__(cls, interval_s: _Number = 3600.0) -> FundingForecast: ...
    def update(
        self,
        time_ns: _Time,
        funding_rate: _Number | None = None,
        predicted_funding: _Number | None = None,
        next_settlement_ns: _Time | None = None,
    ) -> None:
        """Takes in news; None is no news.

        Args:
            time_ns: Receiver's clock, ns.
            funding_rate: Fraction per interval, + = longs pay, at most 1 in size.
            predicted_funding: The same, predicted for the next settlement.
            next_settlement_ns: Time of the next settlement, ns, after `time_ns`.
        """

    def forecast_bps(self, time_ns: _Time) -> float:
        """Forecast f̂ of the rate charged at the next settlement, bps; 0 before any news."""

    def expected_settlements(self, time_ns: _Time, horizon_s: _Number) -> float:
        """N(τ) = exp(−s/τ)/(1 − exp(−I/τ)): settlements in an exponential holding time of mean `horizon_s`."""

    def carry_bps(self, time_ns: _Time, horizon_s: _Number) -> float:
        """C = f̂·N(τ), bps: what holding one more contract costs, negative when it earns."""

    def z_score(self, time_ns: _Time) -> float | None:
        """Deviations of the forecast from its mean of a day; None while it has shown no spread."""

    def reset(self) -> None:
        """Back to before any news."""

    def snapshot(self) -> bytes:
        """The state as versioned bytes."""

    @classmethod
    def restore(cls, state: bytes) -> FundingForecast:
        """The forecast of a snapshot; `SnapshotError` for foreign or damaged bytes."""

    def copy(self) -> FundingForecast:
        """A forecast of its own with the same state."""

    def __copy__(self) -> FundingForecast: ...
    def __deepcopy__(self, memo: Any, /) -> FundingForecast: ...

@final
class InventoryRisk:
    """The inventory penalty R(x) = N·γ₀·v·s_a·x·(1 + βx²), its potential and inverse (section 3); frozen.

    Args:
        risk_aversion: γ₀ per clip, 1/bps, above 0.
        inventory_curvature: β, 0 or more.
        clips: N = max_position/clip, above 0.
        displacement_variance: v(τ), bps², 0 or more; the default is 1.5 bps/√s over 30 s.
        validity_factor: s_a, above 0.

    Methods take a number and return a float, or take shape (n,) and return shape (n,), read-only.
    """

    def __new__(
        cls,
        risk_aversion: _Number = 0.03,
        inventory_curvature: _Number = 4.0,
        clips: _Number = 20.0,
        displacement_variance: _Number = 67.5,
        validity_factor: _Number = 1.0,
    ) -> InventoryRisk: ...
    @overload
    def penalty(self, x: _Number) -> float: ...
    @overload
    def penalty(self, x: _Column) -> _Floats:
        """R(x), bps: the price of one contract more at inventory fraction x = position/max_position."""

    @overload
    def inverse(self, margin_bps: _Number) -> float: ...
    @overload
    def inverse(self, margin_bps: _Column) -> _Floats:
        """R⁻¹(m), the inventory fraction whose penalty is m bps, not clamped."""

    @overload
    def potential(self, x: _Number) -> float: ...
    @overload
    def potential(self, x: _Column) -> _Floats:
        """Φ(x) = ∫₀ˣ R, bps."""

    @overload
    def slope(self, x: _Number) -> float: ...
    @overload
    def slope(self, x: _Column) -> _Floats:
        """R′(x), bps per unit of x."""

    @staticmethod
    def horizon(
        volatility: _Number,
        bid_decay: _Number,
        ask_decay: _Number,
        bid_intensity: _Number,
        ask_intensity: _Number,
        risk_aversion: _Number,
        *,
        minimum_s: _Number = 2.0,
        maximum_s: _Number = 600.0,
    ) -> float:
        """The horizon τ, s, of GLFT: (1/σ)·√((1 + γ₀/k)^(1 + k/γ₀)/(2kLγ₀)), within the bounds.

        σ bps/√s; k the mean of the decays, 1/bps; L the geometric mean of the intensities at the mid, 1/s.
        """

    @staticmethod
    def validity(
        volatility: _Number, depth_decay: _Number, intensity: _Number, risk_aversion: _Number
    ) -> tuple[float, float]:
        """(a, s_a): the closed form holds within 2 % for a ≤ 0.2; s_a corrects beyond."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getnewargs__(self) -> tuple[float, float, float, float, float]: ...

def glft_half_spread(risk_aversion: _Number, depth_decay: _Number) -> float:
    """(1/γ₀)·ln(1 + γ₀/k), bps (Guéant, Lehalle and Fernandez-Tapia 2013): both arguments 1/bps, above 0."""

def flow_shift(
    sell_rate: _Number,
    buy_rate: _Number,
    bid_decay: _Number,
    ask_decay: _Number,
    risk_aversion: _Number,
    horizon_s: _Number,
    *,
    memory_s: _Number = 120.0,
) -> float:
    """F = ln(Λ_a/Λ_b)/(k_a + k_b)/(1 + τ/τ_f), bps, within ± half the GLFT half-spread (section 4)."""

def drift_shift(drift: _Number, mean_reversion_per_s: _Number, horizon_s: _Number, *, validity: _Number = 0.0) -> float:
    """D = μ̂·τ_D/(1 + κ_μ·τ_D), bps (section 4): drift bps/s, κ_μ 1/s, τ s; τ_D = τ/((1 + √a/6)⁻⁴ + a²/16)^¼.

    ``validity`` is a ≥ 0, the first of :meth:`InventoryRisk.validity`; at 0, τ_D is τ.
    """

@overload
def fill_probability(
    depth_bps: _Number,
    volatility: _Number,
    life_s: _Number,
    intensity: _Number,
    depth_decay: _Number,
    *,
    queue_factor: _Number = 1.0,
) -> float: ...
@overload
def fill_probability(
    depth_bps: _Column,
    volatility: _Number,
    life_s: _Number,
    intensity: _Number,
    depth_decay: _Number,
    *,
    queue_factor: _Number = 1.0,
) -> _Floats:
    """Probability of a fill within the order's life, 1e-4 to 1 (section 5).

    1 − (1 − erfc(δ/(σ√(2Δ))))·(1 − (1 − exp(−A·exp(−kδ)·Δ))·Q).

    Args:
        depth_bps: Distance δ from mid, bps; a number or shape (n,).
        volatility: σ, bps/√s.
        life_s: Δ, s.
        intensity: A at the mid, 1/s.
        depth_decay: k, 1/bps.
        queue_factor: Q, 0 to 1.
    """

@overload
def expected_pnl(
    depth_bps: _Number,
    side: Side,
    *,
    drift_shift: _Number,
    carry: _Number,
    flow_shift: _Number,
    costs: _Number,
    fill_probability: _Number,
    penalty: _Number,
) -> float: ...
@overload
def expected_pnl(
    depth_bps: _Column,
    side: Side,
    *,
    drift_shift: _Number,
    carry: _Number,
    flow_shift: _Number,
    costs: _Number,
    fill_probability: _Number,
    penalty: _Number,
) -> _Floats:
    """Expected PnL of one contract quoted `depth_bps` from mid, bps (section 5).

    P·(δ − costs + sgn·(D − C + F − R)), sgn +1 for a buy: all arguments bps but the probability.
    """

@overload
def optimal_size(
    margin_bps: _Number, side: Side, inventory_fraction: _Number, risk: InventoryRisk, max_position: _Number
) -> float: ...
@overload
def optimal_size(
    margin_bps: _Column, side: Side, inventory_fraction: _Number, risk: InventoryRisk, max_position: _Number
) -> _Floats:
    """Contracts worth trading at a gross margin: from x to R⁻¹(±m), clamped to the cap (section 5).

    Args:
        margin_bps: m, bps, before the inventory penalty; a number or shape (n,).
        side: Ours.
        inventory_fraction: x = position/max_position.
        risk: The penalty.
        max_position: Contracts, above 0.
    """

def merge_levels(prices: _Column, cumulative_sizes: _Column) -> tuple[_Floats, _Floats]:
    """Levels that landed on one price become one; its cumulative size is the largest so far.

    Args:
        prices: Shape (n,), only falling or only rising, equal neighbors allowed.
        cumulative_sizes: Shape (n,), contracts, 0 or more.

    Returns:
        (prices, sizes), shape (m,) with m ≤ n; sizes are increments of the running maximum and may be 0.
    """

@final
class Event:
    """What a backtest hands to a strategy: one event of the market or of our account; frozen.

    The facts are attributes, named as the arguments of the engine's method for the event: ``event.price`` of a trade.
    """

    @property
    def kind(
        self,
    ) -> Literal["book", "best", "trade", "context", "observation", "reference", "order", "fill", "position", "quota"]:
        """What happened."""

    @property
    def time_ns(self) -> int:
        """Receiver's clock, ns."""

    def fields(self) -> dict[str, Any]:
        """The event's facts by name."""

    def apply(self, engine: QuoteEngine) -> None:
        """Hands the event to an engine."""

    def __getattribute__(self, name: str, /) -> Any: ...

@final
class BacktestResult:
    """Columns of a run and its numbers; frozen, comparable to the bit, picklable. Arrays are read-only."""

    @property
    def fills(self) -> Mapping[str, npt.NDArray[Any]]:
        """Fills in the order we heard of them, shape (fills,) or (fills, 6) by horizon 0.5, 1, 5, 10, 30, 60 s.

        time_ns, exchange_time_ns, placed_ns, side (+1 bought, −1 sold), price, size, order_id, trade_id, fee_usd,
        mid_at_placement, mid_at_fill, depth_bps, level (of the ladder, 0 = best), age_s (from placed_ns to time_ns),
        regime (0 quiet, 1 normal, 2 volatile, 3 cascade, by σ₃₀/σ₃₀₀ below 0.7, 1.3, 1.8), is_cancel_race (the venue
        filled it after the cancel was sent), position, expected_edge_bps and fill_probability of the last quote
        cycle before the fill (NaN where none is known), adverse_selection_bps, edge_bps, markout_bps (section 11;
        NaN = the horizon passes the data's end), adverse (1, 0, −1 = unknown). mid_at_fill is the mid in force just
        before time_ns, when we heard of the fill; later mids are those of time_ns + horizon.
        """

    @property
    def decisions(self) -> Mapping[str, npt.NDArray[Any]]:
        """Every quote cycle, shape (cycles,) or (cycles, levels) with NaN for no level; empty when not logged.

        time_ns, status (0 quoting, 1 no book, 2 one-sided, 3 crossed, 4 stale), mid_price, reservation_price,
        position, drift_bps_per_s, drift_variance, target_inventory, and for bid_ and ask_: cost_bps; prices, sizes,
        fill_probability, expected_edge_bps, expected_pnl_bps by level.
        """

    @property
    def equity(self) -> Mapping[str, npt.NDArray[Any]]:
        """The account each second, shape (seconds,); money in USD, costs positive.

        time_ns, mid_price, position, profit_usd, realized_usd, unrealized_usd, spread_capture_usd,
        adverse_selection_usd, inventory_usd, fees_usd, funding_usd.
        """

    @property
    def wall_s(self) -> float:
        """Seconds the run took, without reading files."""

    def summary(self) -> dict[str, Any]:
        """The run in numbers, what ``hypermm backtest --json`` prints; None where nothing can be said.

        ``pnl_usd`` = ``realized_usd`` + ``unrealized_usd`` − ``fees_usd`` − ``funding_usd`` = ``spread_capture_usd``
        + ``adverse_selection_usd`` + ``inventory_usd`` − ``fees_usd`` − ``funding_usd``, both to the last micro in
        integers: ``conservation`` is "exact", a run that does not add up raises. ``edge_bps`` (at 10 s, after fees)
        and ``markout_bps`` are weighted by size; ``left_out`` counts the fills whose horizon passes the data's end;
        ``adverse_share`` is the share of fills that were adverse (section 11). ``two_sided_share`` is that of
        ``quote_cycles`` with both sides quoted; ``cost_bound_share``, ``post_only_share`` and ``cap_share`` those in
        which these limits bound, ``risk_aversion_too_high_share`` those with a validity above 2;
        ``max_drawdown_usd`` is the largest fall of ``equity["profit_usd"]`` from its highest value before, the 0 of
        the start included. ``events_per_s`` and ``wall_s`` are the only clocks.

        ``breakdown`` says where the edge comes from: ``breakdown[kind][group][horizon]`` with the kinds all, side,
        level, age (<0.5s, 0.5-2s, 2-10s, 10-60s, >=60s), regime and cancel_race; groups without a fill that is 0.5 s
        old are left out, a horizon that is over for no fill is None. Each cell has ``fills``, ``volume_usd``, the
        size-weighted ``depth_bps``, ``adverse_selection_bps``, ``edge_bps`` and ``markout_bps`` (the latter two with
        standard errors ``edge_error_bps`` and ``markout_error_bps``, None for one fill) and ``adverse_share``.

        Of a `matching_session` there is ``watch``, the venue's own view block by block, positions in contracts as
        positive numbers: ``max_long``, ``max_short``; ``max_long_with_orders``, ``max_short_with_orders`` (every order
        not known dead taken as filled, at the quote cycles); ``holding_blocks`` with a position, ``reducing_blocks`` of
        these with an order of ours that reduces it, ``reducing_share``, and ``reducing_wanted_share``, that of the
        quote cycles with a position in which such an order was wanted; both 1 without a position.
        """

    def __eq__(self, other: object, /) -> bool: ...

def backtest(
    recording: Any,
    instrument: Instrument,
    config: EngineConfig,
    *,
    seed: SupportsIndex = 0,
    fill_model: str | tuple[float, float] | tuple[str, float] | tuple[str, float, float, float] = "paper",
    cycle_ns: _Time = 250_000_000,  # noqa: PYI054 - the default itself says more than three dots
    latency: str | _Time | tuple[_Time, _Time] = (30_000_000, 30_000_000),
    strategy: Any = None,
    progress: Callable[[int, int], object] | None = None,
    log_decisions: bool = True,
    references: dict[str, tuple[_Column, _Column]] | None = None,
) -> BacktestResult:
    """Replays a recording to the engine, or to `strategy`, at the simulated venue.

    Args:
        recording: A `Recording`, or any object or dict with its columns.
        instrument: Facts of the contract.
        config: Configuration of the engine; with a `strategy`, its cap, fee, clip, levels and volatility are used.
        seed: Seed of every draw, 0 to 2^63 − 1. Draws are keyed by seed, order and trade, never by call order.
        fill_model: What fills an order. By chance: "paper", "default", or (touch_probability, queue_factor), each 0 to
            1. By its place in the queue, which trades and cancels ahead move up: "risk_averse" (no cancel is ahead),
            ("power", exponent) or "power" (exponent 1: in proportion), "log". With chances for what the feed does not
            show: "calibrated", or ("calibrated", exponent, touch_probability, alone_probability); see
            `fill_calibration`.
        cycle_ns: Least time between quotes, ns; 0 quotes after every event.
        latency: Our messages' latency, ns: one number for both ways, or (to the venue, back from it); "venue" = blocks
            and drawn delays as measured, orders before cancels before prints within a block.
        strategy: Any object with ``on_event(event)`` and ``quote(time_ns)``; the latter returns a `Decision`, None,
            or anything with ``bids`` and ``asks`` that have ``prices`` and ``sizes``, best level first. An attribute
            ``clip`` may say the size of one order. Or one of ours by name: "engine"; "plain", the symmetric ladder of
            the engine's base width and clip; "silent", which quotes nothing.
        progress: Called with (events done, events in all), at most twenty times a second and once at the end.
        log_decisions: Keep every decision.
        references: Prices of other markets by name, each (times in ns, prices) in receive order; each is heard before
            the recording's next event after it, as by `QuoteEngine.on_reference`.

    Unless `strategy` is an object other Python threads run meanwhile. What `strategy` or `progress` raise ends the run.

    Raises:
        InvalidInputError: A setting, a column or what `strategy` quoted is refused. The hint names the row, and file
            and line where the recording was read from files.
        TimeOrderError: A stream is not in receive order.
        InternalError: The books of the run do not add up.
    """

@final
class MarketPreset:
    """A synthetic market by name, for `matching_session` and `synthetic_market`; frozen.

    Args:
        name: One of `names()`, in capitals or not.

    Raises:
        InvalidInputError: No preset has this name; the message lists them.
    """

    def __new__(cls, name: str) -> MarketPreset: ...
    @staticmethod
    def names() -> tuple[str, ...]:
        """Every name there is."""

    @staticmethod
    def of_scenario(name: str) -> MarketPreset:
        """The market around a scenario's price, its sweeps left out; a parameter set to read, under the HYPE contract.

        Raises:
            InvalidInputError: No scenario has this name.
        """

    @staticmethod
    def parameter_table() -> tuple[tuple[str, str, float, float, str], ...]:
        """The rows of the table of parameters: name, unit, least value, largest value, what it is."""

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> MarketPreset:
        """The preset of a JSON file that holds what `as_dict` gives, as `hypermm market fit --out FILE` writes it.

        Raises:
            InvalidInputError: The file cannot be read or is no JSON; a key is missing, unknown or out of range. Names
                file and key.
        """

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> MarketPreset:
        """The preset a mapping describes.

        Args:
            mapping: Every key that `as_dict` gives, and no other.

        Raises:
            InvalidInputError: A key is missing, unknown or out of range; names it.
        """

    def as_dict(self) -> dict[str, Any]:
        """Everything the preset is: name, text, coin, size_decimals, max_leverage, both fees (bps) and parameters."""

    def with_parameters(
        self, changes: Mapping[str, float], *, name: str | None = None, text: str | None = None
    ) -> MarketPreset:
        """The same market with some parameters replaced, checked together.

        Args:
            changes: Values by name, as `parameters` has them.
            name: Another name; None keeps the present one.
            text: Another line of what it is like; None keeps the present one.

        Raises:
            InvalidInputError: A name is unknown or a value out of range.
        """

    @property
    def parameters(self) -> dict[str, float]:
        """The agents' parameters by name, in the units of `parameter_table`."""

    @property
    def name(self) -> str:
        """Name."""

    @property
    def text(self) -> str:
        """What it is like, in a line."""

    @property
    def instrument(self) -> Instrument:
        """The contract."""

    @property
    def start_price(self) -> float:
        """First fair price, quote currency."""

    @property
    def maker_fee_bps(self) -> float:
        """What a maker pays, bps."""

    @property
    def taker_fee_bps(self) -> float:
        """What a taker pays, bps."""

    def __eq__(self, other: object, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

def synthetic_market(
    preset: str | MarketPreset,
    *,
    seed: SupportsIndex = 0,
    duration_s: _Number = 1800.0,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """What the venue publishes of a preset's market that nobody else trades in; other Python threads run meanwhile.

    Books of 20 levels about every 0.54 s, each best bid and offer, prints and contexts, on the venue's clock and as
    received, like the recordings of the venue.

    Args:
        preset: A `MarketPreset`, or the name of one.
        seed: Seed of every draw, 0 to 2^63 − 1.
        duration_s: Length, s, 1 to 2,592,000.
        progress: Called with (seconds done, seconds in all), at most twenty times a second and once at the end.

    Returns:
        Columns as `Recording.from_columns` takes them.

    Raises:
        InvalidInputError: A preset or setting is refused.
    """

@final
class LoopbackCoin:
    """A contract of a `LoopbackVenue` with whatever makes its market; frozen.

    Args:
        instrument: The contract; its coin is the venue's symbol, ``dex:COIN`` on a builder's dex.
        asset_id: The venue's number of it, as in ``asset=110000`` at the end of a refusal.
        preset: Name of a `MarketPreset` whose agents trade it.
        recording: A recording (any object or mapping with its columns) that plays instead: its books are the orders of
            one account, its prints those of another. Its first event is at the venue's start; after its last one the
            book stays as it is.
        dex: The builder's dex it belongs to; "" is the venue's own. Each dex is a clearinghouse of its own.
        deployer_fee_scale: What the builder adds to fees, 0 to 10; 0 on the venue's own contracts.
        growth_mode: Fees, rebates and the volume that counts are a tenth.
        margin_mode: "cross"; "no_cross": isolated, margin may be taken out; "strict_isolated": it may not.
        funding_multiplier: Factor on the rate, 0 to 10.
        impact_notional_usd: What an impact price executes: 20,000 USD for BTC and ETH, 6,000 for others.

    Raises:
        InvalidInputError: Both or neither of preset and recording, or a number out of range.
    """

    def __new__(
        cls,
        instrument: Instrument,
        asset_id: SupportsIndex,
        *,
        preset: str | None = None,
        recording: Any = None,
        dex: str = "",
        deployer_fee_scale: _Number = 0.0,
        growth_mode: bool = False,
        margin_mode: Literal["cross", "no_cross", "strict_isolated"] = "cross",
        funding_multiplier: _Number = 1.0,
        impact_notional_usd: _Number = 6_000.0,
    ) -> LoopbackCoin: ...
    @property
    def instrument(self) -> Instrument:
        """The contract."""

    @property
    def coin(self) -> str:
        """Venue symbol."""

    @property
    def asset_id(self) -> int:
        """The venue's number of it."""

    @property
    def dex(self) -> str:
        """Dex it belongs to."""

    @property
    def deployer_fee_scale(self) -> float:
        """What the builder adds to fees."""

    @property
    def growth_mode(self) -> bool:
        """Fees and volume count a tenth."""

    @property
    def margin_mode(self) -> str:
        """Margin mode."""

    @property
    def funding_multiplier(self) -> float:
        """Factor on the funding rate."""

@final
class VenueBlock:
    """The end of a block: what it did was reported before it, answers included; frozen."""

    @property
    def height(self) -> int:
        """Counted from 0."""

    @property
    def time_ns(self) -> int:
        """Its time, ns: that of everything in it."""

@final
class VenueResult:
    """What became of one item of a request; frozen."""

    @property
    def kind(self) -> Literal["resting", "filled", "done", "refused"]:
        """FILLED says something traded on arrival; the rest of a good-till-canceled order rests. Cancels are DONE."""

    @property
    def order_id(self) -> int | None:
        """The venue's number of the order, where one was used up; the new one of a modify."""

    @property
    def client_order_id(self) -> str | None:
        """The account's own name for it."""

    @property
    def size(self) -> str | None:
        """What traded, when FILLED."""

    @property
    def average_price(self) -> str | None:
        """Mean price of it, when FILLED."""

    @property
    def text(self) -> str | None:
        """The venue's words, the suffix `` asset=N`` included where the venue has one, when REFUSED."""

@final
class VenueAnswer:
    """The answer to a request; frozen."""

    @property
    def request_id(self) -> int:
        """Which."""

    @property
    def account(self) -> int:
        """Whose."""

    @property
    def time_ns(self) -> int:
        """When it leaves the venue for the account, ns: the block's time and the latency set."""

    @property
    def refusal(self) -> str | None:
        """The venue's words where the whole action was refused; then nothing of it was carried out."""

    @property
    def results(self) -> tuple[VenueResult, ...]:
        """One for each item, in their order; none where the whole action was refused.

        An order action whose numbers cannot be read as an order is refused with a single one for all of it.
        """

@final
class VenueOrder:
    """An order, as it stood when this was made; frozen. As an event it is a change of the order's status."""

    @property
    def account(self) -> int:
        """Whose."""

    @property
    def coin(self) -> str:
        """Venue symbol."""

    @property
    def side(self) -> Side:
        """Side."""

    @property
    def price(self) -> str:
        """Limit price."""

    @property
    def size(self) -> str:
        """What is left of it; what was left unfilled when it died."""

    @property
    def original_size(self) -> str:
        """As sent."""

    @property
    def order_id(self) -> int:
        """The venue's number: one counter over all contracts."""

    @property
    def client_order_id(self) -> str | None:
        """The account's own name: "0x" and 32 hex digits, lower case."""

    @property
    def time_in_force(self) -> Literal["post_only", "good_till_canceled", "immediate_or_cancel"]:
        """How long it lives."""

    @property
    def reduce_only(self) -> bool:
        """It may only bring the position nearer to 0."""

    @property
    def placed_ns(self) -> int:
        """When it was placed, ns."""

    @property
    def status(self) -> str:
        """The venue's name of its status, such as "open", "canceled", "badAloPxRejected"."""

    @property
    def status_ns(self) -> int:
        """Since when, ns."""

@final
class VenueTrade:
    """A trade, as everybody sees it; frozen."""

    @property
    def time_ns(self) -> int:
        """Block time, ns."""

    @property
    def coin(self) -> str:
        """Venue symbol."""

    @property
    def price(self) -> str:
        """Price of the resting order."""

    @property
    def size(self) -> str:
        """Contracts."""

    @property
    def aggressor(self) -> Side:
        """Side of the taker."""

    @property
    def buyer(self) -> int:
        """Account that bought."""

    @property
    def seller(self) -> int:
        """Account that sold."""

    @property
    def trade_id(self) -> int:
        """50 bits made of the two order numbers: unique only together with time and coin."""

    @property
    def transaction(self) -> str:
        """All trades of one taker order share it: "0x" and 64 hex digits."""

@final
class VenueFill:
    """One side of a trade of an account from `LoopbackVenue.open_account`; frozen."""

    @property
    def account(self) -> int:
        """Whose."""

    @property
    def coin(self) -> str:
        """Venue symbol."""

    @property
    def price(self) -> str:
        """Price."""

    @property
    def size(self) -> str:
        """Contracts."""

    @property
    def side(self) -> Side:
        """What the account did."""

    @property
    def time_ns(self) -> int:
        """Block time, ns."""

    @property
    def start_position(self) -> str:
        """Position before it, + = long."""

    @property
    def direction(self) -> str:
        """The venue's words for what it did to the position, such as "Open Long" or "Short > Long"."""

    @property
    def closed_pnl(self) -> str:
        """Profit of the part that closed, before fees."""

    @property
    def transaction(self) -> str:
        """As in the trade; zeros where the backstop took over."""

    @property
    def order_id(self) -> int:
        """The venue's number of the order."""

    @property
    def client_order_id(self) -> str | None:
        """The account's own name for it."""

    @property
    def crossed(self) -> bool:
        """The account was the taker."""

    @property
    def fee(self) -> str:
        """Fee in the dex's collateral, negative = rebate."""

    @property
    def trade_id(self) -> int:
        """As in the trade."""

    @property
    def liquidation(self) -> tuple[int, str, Literal["market", "backstop"]] | None:
        """Of a liquidation, of either side: the liquidated account, the mark, the method."""

@final
class VenueFunding:
    """A funding payment of an account from `LoopbackVenue.open_account`; frozen."""

    @property
    def account(self) -> int:
        """Whose."""

    @property
    def coin(self) -> str:
        """Venue symbol."""

    @property
    def time_ns(self) -> int:
        """Block time, ns: the first block after the hour."""

    @property
    def amount(self) -> str:
        """What the account got; negative = it paid."""

    @property
    def position(self) -> str:
        """What it was paid on, + = long."""

    @property
    def rate(self) -> str:
        """Rate of the hour."""

@final
class VenueSettlement:
    """An hour's funding of a contract; frozen."""

    @property
    def coin(self) -> str:
        """Venue symbol."""

    @property
    def time_ns(self) -> int:
        """Block time, ns."""

    @property
    def rate(self) -> str:
        """Rate of the hour that was charged."""

    @property
    def premium(self) -> str:
        """Average premium of the hour, in terms of 8 h."""

@final
class VenueLiquidation:
    """An account went into liquidation; frozen."""

    @property
    def account(self) -> int:
        """Whose."""

    @property
    def time_ns(self) -> int:
        """Block time, ns."""

    @property
    def coin(self) -> str | None:
        """The isolated position; None: all cross positions of the dex."""

    @property
    def dex(self) -> str:
        """The dex."""

    @property
    def notional(self) -> str:
        """Value of the positions concerned at the mark."""

    @property
    def account_value(self) -> str:
        """Margin left behind them."""

@final
class VenueBest:
    """Best bid and ask after a block that changed them; frozen. Price, size, number of orders; None: nothing there."""

    @property
    def coin(self) -> str:
        """Venue symbol."""

    @property
    def time_ns(self) -> int:
        """Block time, ns."""

    @property
    def bid(self) -> tuple[str, str, int] | None:
        """Best bid."""

    @property
    def ask(self) -> tuple[str, str, int] | None:
        """Best ask."""

@final
class VenueContext:
    """What a contract stands at; frozen."""

    @property
    def mark_price(self) -> str:
        """Mark."""

    @property
    def oracle_price(self) -> str:
        """Oracle."""

    @property
    def mid_price(self) -> str | None:
        """Middle of best bid and ask; None without one of them."""

    @property
    def impact_prices(self) -> tuple[str, str] | None:
        """Average prices at which the impact notional would sell and buy; None where the book does not hold it."""

    @property
    def premium(self) -> str | None:
        """Premium of the impact prices over the oracle now; None without them."""

    @property
    def funding_rate(self) -> str:
        """Rate the present hour would pay by what it has sampled so far, per hour, + = longs pay."""

    @property
    def open_interest(self) -> str:
        """Contracts."""

    @property
    def previous_day_price(self) -> str:
        """Mark of 24 h ago, or of the start."""

    @property
    def day_notional_volume(self) -> str:
        """Traded in the last 24 h, to the hour, USD."""

    @property
    def day_base_volume(self) -> str:
        """The same, contracts."""

@final
class VenuePosition:
    """An account in one contract; frozen."""

    @property
    def coin(self) -> str:
        """Venue symbol."""

    @property
    def size(self) -> str:
        """+ = long; "0.0" when flat."""

    @property
    def leverage(self) -> int:
        """Leverage set."""

    @property
    def is_cross(self) -> bool:
        """Backed by all money of the dex."""

    @property
    def raw_usd(self) -> str:
        """Isolated: margin moved in less what the position cost; "0.0" for cross."""

    @property
    def entry_price(self) -> str | None:
        """Average entry; None when flat."""

    @property
    def value(self) -> str:
        """Size at the mark, without sign."""

    @property
    def unrealized_pnl(self) -> str:
        """Profit of what is open, at the mark."""

    @property
    def return_on_equity(self) -> str:
        """That over entry notional / leverage."""

    @property
    def liquidation_price(self) -> str | None:
        """Mark at which it would be liquidated; None where no positive price does it."""

    @property
    def margin_used(self) -> str:
        """Margin behind it."""

    @property
    def max_leverage(self) -> int:
        """Largest leverage at this value."""

    @property
    def funding_all_time(self) -> str:
        """Funding paid on this contract, negative = received."""

    @property
    def funding_since_open(self) -> str:
        """Since the position was opened."""

    @property
    def funding_since_change(self) -> str:
        """Since its last fill."""

@final
class VenueAccount:
    """An account's money on one dex, at the mark; frozen."""

    @property
    def account_value(self) -> str:
        """Cross value and isolated positions with their margin."""

    @property
    def notional(self) -> str:
        """Value of all positions, without signs."""

    @property
    def raw_usd(self) -> str:
        """Account value less positions at the mark, with signs."""

    @property
    def margin_used(self) -> str:
        """Margin behind all positions."""

    @property
    def cross_account_value(self) -> str:
        """Account value without isolated positions."""

    @property
    def cross_notional(self) -> str:
        """Value of cross positions."""

    @property
    def cross_raw_usd(self) -> str:
        """Cross account value less cross positions at the mark."""

    @property
    def cross_margin_used(self) -> str:
        """Initial margin of cross positions."""

    @property
    def cross_maintenance_margin(self) -> str:
        """Maintenance margin of cross positions."""

    @property
    def withdrawable(self) -> str:
        """What may be taken out."""

@final
class VenueRequests:
    """An account's budget of requests, over all dexes; frozen."""

    @property
    def volume(self) -> str:
        """Volume that counts, USD."""

    @property
    def used(self) -> int:
        """Requests so far."""

    @property
    def cap(self) -> int:
        """Requests allowed so far."""

    @property
    def open_orders(self) -> int:
        """Open orders."""

    @property
    def open_orders_cap(self) -> int:
        """Open orders allowed."""

    @property
    def scheduled_cancel_ns(self) -> int | None:
        """When the dead-man switch fires, ns."""

_VenueOrderRequest: TypeAlias = tuple[str, Side, str, str, str, bool, str | None]
_VenueEvent: TypeAlias = (
    VenueAnswer
    | VenueTrade
    | VenueFill
    | VenueOrder
    | VenueFunding
    | VenueSettlement
    | VenueLiquidation
    | VenueBest
    | VenueBlock
)
_VenueLevel: TypeAlias = tuple[str, str, int]

@final
class LoopbackVenue:
    """A venue of several contracts with a background market, stepped by the caller's clock; no I/O, no clock.

    Time: `advance` runs every block up to a time; a request reaches the mempool `order_latency_ns` after its time, is
    held there by its class, and is executed by the first block at or after that. Orders of a block go first where
    nothing in their batch can take, then cancels, then batches that can take. What is asked between two blocks shows
    the state at the end of the last one: who wants every block's book steps with ``advance(venue.next_block_ns)``.

    Numbers go out as the venue writes them: exact decimals with at least one decimal place ("83767.0"). Prices and
    sizes of orders come in as decimal text without exponent ("83767", "0.0010"). Accounts are small integers: those of
    the background and the backstop too, which appear as counterparties only. An order is meant by its number (int) or
    by the account's own name for it ("0x" and 32 hex digits).

    Checked here: prices, sizes, margin, quotas, expiry. Not here: signatures, nonces, addresses, the largest batch,
    empty batches (refused as input), triggers.

    Args:
        coins: Contracts, at least one; the symbols differ.
        seed: Block times and all of the background follow from it.
        start_ns: Time of block 0, ns.
        order_latency_ns: From `time_ns` of a request to the mempool.
        answer_latency_ns: From the block to the answer.
        taking_hold_ns: How long the mempool holds batches that can take.
        slow_cancel_hold_ns: How long it holds cancels that are not fast.
        initial_requests: Requests of an account that has traded nothing.
        schedule_cancel_volume_usd: Lifetime volume before the dead-man switch may be set.
        first_order_id: Number of the first order; those of the venue are beyond 2^32.

    Raises:
        InvalidInputError: An argument out of range, or two coins of one symbol.
    """

    def __new__(
        cls,
        coins: Sequence[LoopbackCoin],
        *,
        seed: SupportsIndex = 0,
        start_ns: _Time = 0,
        order_latency_ns: _Time = 0,
        answer_latency_ns: _Time = 0,
        taking_hold_ns: _Time = 300_000_000,  # noqa: PYI054 - the default itself says more than three dots
        slow_cancel_hold_ns: _Time = 300_000_000,  # noqa: PYI054 - the default itself says more than three dots
        initial_requests: SupportsIndex = 10_000,
        schedule_cancel_volume_usd: _Number = 1e6,
        first_order_id: SupportsIndex = 560_000_000_000,  # noqa: PYI054 - the default itself says more than three dots
    ) -> LoopbackVenue: ...
    @property
    def coins(self) -> tuple[LoopbackCoin, ...]:
        """The contracts, in their order."""

    @property
    def next_block_ns(self) -> int:
        """Time of the block to come, ns."""

    @property
    def height(self) -> int:
        """Blocks so far."""

    def open_account(
        self,
        deposits: Mapping[str, _Number],
        *,
        taker_fee_bps: _Number = 4.5,
        maker_fee_bps: _Number = 1.5,
        volume_usd: _Number = 0.0,
    ) -> int:
        """A new account.

        Args:
            deposits: USD by dex; "" is the venue's own. A dex not named has none.
            taker_fee_bps: Before a contract's scale.
            maker_fee_bps: The same; negative = rebate.
            volume_usd: What it has traded before: it counts for limits.

        Returns:
            Its number.
        """

    def place(
        self,
        account: SupportsIndex,
        time_ns: _Time,
        orders: Sequence[_VenueOrderRequest],
        *,
        expires_after_ns: _Time | None = None,
    ) -> int:
        """Sends a batch of orders.

        Args:
            account: Whose.
            time_ns: When it is sent; not before the last block.
            orders: Each (coin, side, price, size, time in force, reduce only, client order id or None); the time in
                force is "post_only", "good_till_canceled", "immediate_or_cancel" or, to be refused as if it would
                have matched, "post_only_refused".
            expires_after_ns: A block after this time refuses it.

        Returns:
            Number of the request, that of its `VenueAnswer`.

        Raises:
            InvalidInputError: No order, an unknown coin or account, a price or size that is not a decimal. What can be
                read but not traded is the venue's to refuse.
            TimeOrderError: A time before the last block.
        """

    def cancel(
        self,
        account: SupportsIndex,
        time_ns: _Time,
        cancels: Sequence[tuple[str, int | str]],
        *,
        fast: bool = False,
        expires_after_ns: _Time | None = None,
    ) -> int:
        """Sends a batch of cancels, each (coin, order); otherwise as `place`."""

    def modify(
        self,
        account: SupportsIndex,
        time_ns: _Time,
        modifies: Sequence[tuple[int | str, _VenueOrderRequest]],
        *,
        always_place: bool = False,
        expires_after_ns: _Time | None = None,
    ) -> int:
        """Sends a batch of modifies, each (order, new order); otherwise as `place`.

        The old order is canceled, the new one has a new number.
        """

    def schedule_cancel(
        self,
        account: SupportsIndex,
        time_ns: _Time,
        cancel_ns: _Time | None,
        *,
        expires_after_ns: _Time | None = None,
    ) -> int:
        """Sets the dead-man switch, or takes it back (None); otherwise as `place`."""

    def update_leverage(
        self,
        account: SupportsIndex,
        time_ns: _Time,
        coin: str,
        *,
        is_cross: bool,
        leverage: SupportsIndex,
        expires_after_ns: _Time | None = None,
    ) -> int:
        """Sets leverage and margin mode; otherwise as `place`."""

    def update_isolated_margin(
        self,
        account: SupportsIndex,
        time_ns: _Time,
        coin: str,
        amount_micros: SupportsIndex,
        *,
        expires_after_ns: _Time | None = None,
    ) -> int:
        """Moves margin into (+) or out of an isolated position, 1e-6 USD; otherwise as `place`."""

    def noop(self, account: SupportsIndex, time_ns: _Time, *, expires_after_ns: _Time | None = None) -> int:
        """Does nothing but count as a request; otherwise as `place`."""

    def advance(self, until_ns: _Time) -> list[_VenueEvent]:
        """Runs every block up to and including `until_ns`.

        Returns:
            What happened, in order: block by block what it executed, the answers, the best prices that changed, the
            block. Stepping in one go or in small steps gives the same events. Order changes, fills and payments are
            those of accounts opened here; trades are all.
        """

    def book(
        self,
        coin: str,
        levels: SupportsIndex = 20,
        *,
        significant_figures: SupportsIndex | None = None,
        mantissa: SupportsIndex | None = None,
    ) -> tuple[list[_VenueLevel], list[_VenueLevel]]:
        """Bids and asks, best first: price, size, number of orders.

        Args:
            coin: Venue symbol.
            levels: At most so many a side.
            significant_figures: 2 to 5: prices are rounded outward to so many.
            mantissa: 1, 2 or 5, with 5 figures: the last figure is a multiple of it.
        """

    def best(self, coin: str) -> tuple[_VenueLevel | None, _VenueLevel | None]:
        """Best bid and ask: price, size, number of orders; None: nothing there."""

    def context(self, coin: str) -> VenueContext:
        """What a contract stands at."""

    def last_trade(self, coin: str) -> str | None:
        """Price of the last trade."""

    def open_orders(self, account: SupportsIndex) -> list[VenueOrder]:
        """Open orders on all dexes, newest first."""

    def order_status(self, account: SupportsIndex, order: int | str) -> VenueOrder | None:
        """An order of the account, dead ones included as far back as 2,000 orders; None: unknown."""

    def order_history(self, account: SupportsIndex) -> list[VenueOrder]:
        """The newest 2,000 orders, newest first."""

    def position(self, account: SupportsIndex, coin: str) -> VenuePosition:
        """The account in one contract, flat or not."""

    def positions(self, account: SupportsIndex, dex: str = "") -> list[VenuePosition]:
        """What it holds on one dex."""

    def account(self, account: SupportsIndex, dex: str = "") -> VenueAccount:
        """Its money on one dex."""

    def requests(self, account: SupportsIndex) -> VenueRequests:
        """Its budget of requests."""

def matching_session(
    preset: str | MarketPreset,
    config: EngineConfig,
    *,
    seed: SupportsIndex = 0,
    duration_s: _Number = 1800.0,
    cycle_ns: _Time = 250_000_000,  # noqa: PYI054 - the default itself says more than three dots
    strategy: Any = None,
    deposit_usd: _Number = 10_000.0,
    leverage: SupportsIndex | None = None,
    latency: _Time | tuple[_Time, _Time, _Time] | None = None,
    progress: Callable[[int, int], object] | None = None,
    log_decisions: bool = True,
) -> tuple[BacktestResult, dict[str, npt.NDArray[Any]]]:
    """Plays the market of a preset to the engine, or to `strategy`, at the matching venue.

    The venue has a true queue at every price: our orders stand behind those that came before, and those of the market's
    agents meet them. Contract and fees are the preset's, as `MarketPreset` has them.

    Args:
        preset: A `MarketPreset`, or the name of one.
        config: Configuration of the engine; with a `strategy`, its cap, clip, levels and volatility are used.
        seed: Seed of every draw, 0 to 2^63 − 1. What we quote changes no draw.
        duration_s: Length, s, 1 to 2,592,000.
        cycle_ns: Least time between quotes, ns; 0 quotes after every event.
        strategy: As of `backtest`.
        deposit_usd: Money of the account at the start, USD.
        leverage: Its leverage; None = 10, or what the contract grants where that is less.
        latency: Constants, ns: one for all ways, or (to the venue, back from it, of the feed). None = as measured.
        progress: Called with (seconds of the session done, seconds in all), at most twenty times a second and once at
            the end.
        log_decisions: Keep every decision.

    Returns:
        The result, and what the venue published until the end: columns as `Recording.from_columns` takes them.

    Unless `strategy` is an object other Python threads run meanwhile. What `strategy` or `progress` raise ends the run.

    Raises:
        InvalidInputError: A setting or what `strategy` quoted is refused.
        InternalError: The books of the run do not add up.
    """

def fill_calibration(coin: str) -> tuple[float, float, float]:
    """The shipped numbers of the calibrated fill model for a coin; those of all presets pooled where it has none.

    Returns:
        cancel_exponent, touch_probability, alone_probability, as `hypermm gap` fits them.

    Raises:
        InvalidInputError: The coin is no text.
    """

def paper_gap(
    preset: str | MarketPreset,
    config: EngineConfig,
    arms: Sequence[tuple[str, Any, _Time | tuple[_Time, _Time] | None]],
    *,
    seeds: SupportsIndex = 20,
    first_seed: SupportsIndex = 0,
    duration_s: _Number = 3600.0,
    cycle_ns: _Time = 250_000_000,  # noqa: PYI054 - the default itself says more than three dots
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Plays the engine live and on paper in the same markets, on all cores; other Python threads run meanwhile.

    Live is the matching venue with its true queues, paper the recorded venue on a public feed of the same seed. Every
    fill of every arm is valued by mids without our own orders.

    Args:
        preset: Name of a `MarketPreset`, or one.
        config: Configuration of the engine.
        arms: Paper arms: feed, fill model and latency of each. The feed is "ours_left_out" (what the live run
            published, less our own orders), "published" (our orders left in) or "without_us" (the market of the same
            seed in which we never trade); the fill model is that of `backtest`; the latency too, None = the live
            venue's blocks and delays, drawn alike.
        seeds: How many seeds, 1 to 1,000,000.
        first_seed: The first of them. A row does not depend on which others are asked for, nor on other arms.
        duration_s: Length of each session, s.
        cycle_ns: Least time between quotes, ns; 0 quotes after every event.
        progress: Called with (seeds done, seeds), at most twenty times a second and once at the end.

    Returns:
        Columns, one row a seed and arm, arm 0 live: seed, arm, fills, resolved (fills 10 s or more before the end,
        which all sums are over), volume_usd, edge_sum_bps and markout_sum_bps at 10 s, edge_volume and markout_volume
        (the same times USD traded), depth_sum_bps, age_sum_s, races (fills while a cancel was on its way),
        orders_placed, orders_rejected, pnl_usd.

    Raises:
        InvalidInputError: There is no such preset, feed or fill model, or a number is out of range.
    """

def run_scenario(
    name: str,
    *,
    seeds: SupportsIndex = 200,
    first_seed: SupportsIndex = 0,
    strategy: str = "engine",
    engine: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Plays a scenario from many seeds at the matching venue, on all cores; other Python threads run meanwhile.

    Args:
        name: "feb19", "feb12" or "calm".
        seeds: How many seeds, 1 to 1,000,000.
        first_seed: The first of them. A row does not depend on which others are asked for.
        strategy: "engine", or "plain", the symmetric ladder of the engine's base width and clip with the old bot's cap.
        engine: Fields of `EngineConfig` over the scenario's defaults, which are the engine's own with a cap.
        progress: Called with (seeds done, seeds), at most twenty times a second and once at the end.

    Returns:
        Columns, one row a seed: seed, fills, max_long and max_short (contracts at the venue, positive), max_with_orders
        (largest |position| with every order not known dead filled), final_position, pnl_usd, min_pnl_usd (least on the
        way, by seconds), volume_usd, depth_bps and edge_bps (size-weighted over the fills; NaN without),
        two_sided_share, reducing_share (blocks with a position in which an order that reduces it rested),
        reducing_wanted_share (quote cycles with a position in which one was wanted; both 1 without a position), killed
        (the loss at which the old account was switched off was reached).

    Raises:
        InvalidInputError: There is no such scenario or strategy, or a number is out of range.
        InvalidConfigError: A field of `engine` is unknown, of the wrong type or out of range.
    """

def run_sweep(
    recording: Any,
    instrument: Instrument,
    configs: Iterable[EngineConfig],
    fill_models: Iterable[str | tuple[float, float] | tuple[str, float]],
    *,
    seed: SupportsIndex = 0,
    cycle_ns: _Time = 250_000_000,  # noqa: PYI054 - the default itself says more than three dots
    latency: str | _Time | tuple[_Time, _Time] | list[str | _Time | tuple[_Time, _Time]] = (30_000_000, 30_000_000),
    threads: SupportsIndex | None = None,
    progress: Callable[[int, int], object] | None = None,
    references: dict[str, tuple[_Column, _Column]] | None = None,
) -> list[dict[str, Any]]:
    """Plays every configuration under every fill model; other Python threads run meanwhile.

    Args:
        recording: A `Recording`, or any object or dict with its columns.
        instrument: Facts of the contract.
        configs: Configurations of the engine.
        fill_models: As `backtest` takes one.
        seed: Seed of every draw.
        cycle_ns: Least time between quotes, ns.
        latency: As `backtest` takes it, "venue" too; or a list with one for each fill model.
        threads: Threads to play on; all cores without it.
        progress: Called with (events played, events of all runs), at most twenty times a second and once at the end.
        references: Prices of other markets, as `backtest` takes them.

    Returns:
        `BacktestResult.summary` of each run but its two clocks, configuration by configuration and within one by fill
        model: what `backtest` says of the same run, to the bit.

    Raises:
        InvalidInputError: A setting or a column is refused.
        InvalidConfigError: A configuration is refused; the hint says which.
        TimeOrderError: A stream is not in receive order.
    """

@final
class Feature:
    """One row of the table of features, MODEL.md section 7."""

    @property
    def name(self) -> str:
        """Name, the same in Python, files and artefacts."""

    @property
    def tier(self) -> Literal["hot", "warm", "cold"]:
        """How often it is read: every quote cycle, every second or third, every fifth to tenth."""

    @property
    def unit(self) -> str:
        """Unit; "1" for a pure number."""

    @property
    def directional(self) -> bool:
        """True where positive is bullish; False where it says nothing on direction."""

    @property
    def stale_s(self) -> float:
        """Age of its inputs beyond which it gives no value, s."""

    @property
    def band_bps(self) -> float | None:
        """Half-width of its band around mid, bps, where it is of one."""

    @property
    def evidence(self) -> str:
        """What its evidence counts; "1" where every value rests on as much."""

    @property
    def text(self) -> str:
        """What it is."""

@final
class FeatureMatrix:
    """Features of a recording, read-only arrays of shape (cycles,)."""

    @property
    def time_ns(self) -> npt.NDArray[np.int64]:
        """Cycle times, ns: the first event's and every `cycle_ns` after it."""

    @property
    def mid_price(self) -> _Floats:
        """Mid as known then; NaN where the book has none."""

    @property
    def values(self) -> dict[str, _Floats]:
        """Value of each feature by name, in the order of `feature_table`; NaN where it has none."""

    @property
    def evidence(self) -> dict[str, _Floats]:
        """What each value rests on, of the features that have evidence."""

    @property
    def covered_bps(self) -> dict[str, _Floats]:
        """How much of its band the known levels cover, bps, of the features that have a band."""

    @property
    def statuses(self) -> dict[str, dict[str, int]]:
        """How many cycles a feature was unseen, stale, undefined and fresh."""

def feature_table() -> tuple[Feature, ...]:
    """Every feature, hot ones first."""

def feature_matrix(
    recording: object,
    instrument: Instrument,
    *,
    cycle_ns: SupportsIndex = ...,
    basis: tuple[_Column, _Column] | None = None,
    lead: tuple[_Column, _Column] | None = None,
    **settings: _Number,
) -> FeatureMatrix:
    """Every feature of a recording at a grid of quote cycles, as the engine would read it; other threads run meanwhile.

    Args:
        recording: As for `backtest`.
        instrument: Price grid, lots and funding interval.
        cycle_ns: Time between cycles, ns, 1 ms or more; half a second where it is left out. A cycle sees the events of
            its own time and no later one.
        basis: Times (ns, in order) and prices of the market that the basis is taken against; the recorded oracle
            where it is left out.
        lead: Times and prices of the market that leads this one.
        settings: volatility (prior σ₀, bps/√s, 1.5), sweep_s (2), hawkes_decay_per_s (0.5), hawkes_branching_ratio
            (0.5, at least 0 and below 1).

    Raises:
        InvalidInputError: A setting, column, level or price is not valid; names it with its stream and row.
        TimeOrderError: Times of a stream go backwards.
    """

def synthetic_session(
    seed: SupportsIndex = 0, duration_s: _Number = 1800.0, *, instrument: Instrument | None = None, **settings: _Number
) -> dict[str, npt.NDArray[Any]]:
    """Columns of a seeded market: Poisson flow of aggressors around a price with an Ornstein–Uhlenbeck drift.

    Args:
        seed: Seed of every draw.
        duration_s: Length, s, 1 to 1e7.
        instrument: Its price grid and lots; by default four size decimals.
        settings: start_price, volatility (bps/√s), drift_mean_reversion_per_s, drift_deviation_bps_per_s,
            arrival_rate (1/s a side), depth_decay (1/bps), half_spread_bps, print_size and level_size (contracts),
            depth (levels), book_interval_s, best_interval_s, latency_s, funding_rate (fraction per hour).

    Returns:
        Column name → array, as `Recording.from_columns` takes them.
    """

@final
class Action:
    """One of the venue's L1 actions in canonical form; frozen, comparable, hashable.

    Known are ``order``, ``cancel``, ``cancelByCloid``, ``modify``, ``batchModify``, ``scheduleCancel``,
    ``updateLeverage``, ``updateIsolatedMargin``, ``topUpIsolatedOnlyMargin``, ``noop`` and ``reserveRequestWeight``;
    nothing else can be signed, so nothing that moves money to another account.
    """

    @staticmethod
    def from_json(data: bytes | str) -> Action:
        """Reads the venue's JSON; keys in any order, numbers padded or not, flags false or left out.

        Raises:
            InvalidInputError: Not JSON, an unknown action or field, or a field missing, doubled or out of range.
        """

    def to_json(self) -> bytes:
        """Canonical JSON: the venue's field order, numbers without padding, hexadecimal text in lowercase."""

    def to_msgpack(self) -> bytes:
        """The bytes that are hashed."""

    def connection_id(
        self,
        nonce: SupportsIndex,
        *,
        vault_address: str | None = None,
        expires_after_ms: SupportsIndex | None = None,
    ) -> bytes:
        """Hash of the action and its terms, 32 bytes."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Signer:
    """A key that signs, and tells nothing but its address. It cannot be pickled or copied; dropped, it is wiped."""

    @staticmethod
    def from_file(
        path: str | PathLike[str],
        *,
        is_mainnet: bool,
        account_address: str | None = None,
        allow_master_key: bool = False,
    ) -> Signer:
        """Reads a private key: 64 hexadecimal digits in a regular file of ours with mode 0600 (or 0400).

        Args:
            path: The file. The key itself is never an argument.
            is_mainnet: Sign for mainnet, else for testnet.
            account_address: The account traded for. If the key turns out to be its own (master) key, which could
                also withdraw, it is refused; without an address there is nothing to compare.
            allow_master_key: Take the master key all the same.

        Raises:
            SigningKeyError: The file is missing, not ours, readable by others or holds something else; or its key is
                the master key. The message never quotes the content.
            InvalidInputError: `account_address` is no address.
        """

    @property
    def address(self) -> str:
        """Address of the key, lowercase."""

    @property
    def is_mainnet(self) -> bool:
        """Signs for mainnet, else for testnet."""

    def sign(
        self,
        action: Action,
        nonce: SupportsIndex,
        *,
        vault_address: str | None = None,
        expires_after_ms: SupportsIndex | None = None,
    ) -> tuple[str, str, int]:
        """Signature of an action: r and s as ``0x`` and 64 digits, v 27 or 28.

        Args:
            action: What is signed.
            nonce: Used once; from a `NonceCounter`.
            vault_address: Vault or sub-account traded for.
            expires_after_ms: Time after which the venue drops the action, ms.

        Raises:
            InvalidInputError: A number is out of range, or `vault_address` is no address.
        """

    def request(
        self,
        action: Action,
        nonce: SupportsIndex,
        *,
        vault_address: str | None = None,
        expires_after_ms: SupportsIndex | None = None,
    ) -> bytes:
        """The signed action as the venue's ``/exchange`` takes it, JSON; arguments as in `sign`."""

    def __reduce__(self) -> NoReturn: ...

@final
class NonceCounter:
    """Numbers that a signer uses once each: max(last + 1, clock), across restarts and a clock that goes back.

    A file holds a bound that no nonce has passed, written ten seconds ahead; after a crash the counter goes on from
    the bound. One counter of a signer is open at a time, in any process: the second is refused.

    Args:
        folder: Where the counters of all signers are kept; made when it is not there. The same for all processes.
        signer_address: `Signer.address`.

    Raises:
        NonceError: The signer's counter is open elsewhere, its file is damaged, or the folder cannot be written.
        InvalidInputError: `signer_address` is no address.
    """

    def __new__(cls, folder: str | PathLike[str], signer_address: str) -> NonceCounter: ...
    @property
    def last(self) -> int:
        """The last nonce given out; after a restart, a bound above all of them; 0 when there was none."""

    def next(self, now_ms: SupportsIndex) -> int:
        """The next nonce.

        Args:
            now_ms: The clock, ms since 1970.

        Raises:
            NonceError: The clock is a day or more behind the counter, the file cannot be written, the counter is
                closed, or it came into this process through a fork. Nothing is used up.
            InvalidInputError: The clock is not in milliseconds.
        """

    def next_unwritten(self, now_ms: SupportsIndex) -> int:
        """The next nonce, though the file cannot be written: for a cancel, which must go out all the same.

        Should the process end and the clock go back before the file is written again, the venue may refuse a nonce
        as used twice. `next` tries the file again.

        Args:
            now_ms: The clock, ms since 1970.

        Raises:
            NonceError: As `next`, but for the file.
            InvalidInputError: The clock is not in milliseconds.
        """

    def close(self) -> None:
        """Writes the last nonce down and lets another process use the signer. Closing twice is no error."""

    def __reduce__(self) -> NoReturn: ...

def recover_signer(
    action: Action,
    signature: tuple[str, str, int],
    nonce: SupportsIndex,
    *,
    is_mainnet: bool,
    vault_address: str | None = None,
    expires_after_ms: SupportsIndex | None = None,
) -> str:
    """Address of whoever signed; a signature over anything else gives some other address, as at the venue.

    Args:
        action: What was signed.
        signature: r and s as ``0x`` and up to 64 digits, and v of 27 or 28.
        nonce: The action's nonce.
        is_mainnet: It was signed for mainnet, else for testnet.
        vault_address: Vault or sub-account traded for.
        expires_after_ms: Time after which the venue drops the action, ms.

    Raises:
        InvalidInputError: The signature is malformed, or no key could have made it.
    """

def recover_approver(
    agent_address: str,
    agent_name: str,
    nonce: SupportsIndex,
    signature: tuple[str, str, int],
    *,
    is_mainnet: bool,
    signature_chain_id: SupportsIndex,
) -> str:
    """Address of the account that approved an agent; a signature over anything else gives some other address.

    Args:
        agent_address: The agent.
        agent_name: Its name; "" for the one without.
        nonce: The approval's nonce.
        signature: r and s as ``0x`` and up to 64 digits, and v of 27 or 28.
        is_mainnet: It was signed for mainnet, else for testnet.
        signature_chain_id: Chain the wallet named, such as 0x66eee.

    Raises:
        InvalidInputError: The signature is malformed, or no key could have made it.
    """

def wire_number(value: _Number) -> str:
    """A price or size as the venue writes it: at most eight decimals, no trailing zeros, no exponent; -0.0 is ``0``.

    Raises:
        InvalidInputError: Negative, not finite, 1e19 or more, or 1e-12 or more away from eight decimals.
    """

@final
class _Empty:
    """Methods that do nothing but take arguments: what a call costs at least, for the benchmarks."""

    def __new__(cls) -> _Empty: ...
    def take_1(self, _a: object) -> None: ...
    def take_3(self, _a: object, _b: object, _c: object) -> None: ...
    def take_4(self, _a: object, _b: object, _c: object, _d: object) -> None: ...
    def take_5(self, _a: object, _b: object, _c: object, _d: object, _e: object) -> None: ...

def _quote_in_rust(engine: QuoteEngine, time_ns: _Time, rounds: SupportsIndex) -> None:
    """Quotes `rounds` times without coming back to Python in between, for the benchmarks."""

def _panic(message: str) -> None:
    """Panics on purpose, so that the tests can see what becomes of a panic."""
