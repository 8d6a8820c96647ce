//! The venue's price grid, judged by decimal text: no power of ten or logarithm is shared with the code.

use hypermm_core::instrument::Instrument;
use hypermm_core::types::Side;
use proptest::prelude::*;

fn instrument(size_decimals: u32) -> Instrument {
    Instrument::new("TEST", size_decimals, 10, 10.0, 3600.0).unwrap()
}

/// The rule of the venue read off the digits of a decimal: an integer, or ≤ 5 significant figures and ≤ 6 − size_decimals places.
fn is_valid_text(text: &str, size_decimals: usize) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        return true;
    }
    let digits = format!("{whole}{fraction}");
    fraction.len() <= 6 - size_decimals && digits.trim_start_matches('0').len() <= 5
}

fn decimal(units: u64, places: usize) -> String {
    let text = format!("{units:0width$}", width = places + 1);
    let (whole, fraction) = text.split_at(text.len() - places);
    if places == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    // Kills: an increment of the wrong decade, integers refused above 99999, the decimals cap dropped.
    #[test]
    fn price_is_accepted_exactly_when_its_digits_are_valid(
        size_decimals in 0_u32..=6, places in 0_usize..=8, units in 1_u64..100_000_000,
    ) {
        let text = decimal(units, places);
        let price: f64 = text.parse().unwrap();
        let accepted = instrument(size_decimals).price_from_f64("price", price);
        prop_assert_eq!(accepted.is_ok(), is_valid_text(&text, size_decimals as usize), "{}", text);
        if let Ok(exact) = accepted {
            prop_assert_eq!(instrument(size_decimals).price_to_f64(exact), price);
        }
    }

    // Kills: rounding towards the other side, a neighbor skipped at a decade.
    #[test]
    fn rounding_gives_the_nearest_valid_price_that_is_not_worse(
        size_decimals in 0_u32..=6, exponent in -3.0..6.5_f64,
    ) {
        let instrument = instrument(size_decimals);
        let price = 10f64.powf(exponent);
        let up = instrument.round_price(price, Side::Sell).unwrap();
        prop_assert!(up >= price * (1.0 - 1e-9));
        prop_assert!(instrument.price_from_f64("price", up).is_ok());
        let step = instrument.price_increment_at(price).unwrap();
        prop_assert!(up - price <= step * (1.0 + 1e-6));
        if let Ok(down) = instrument.round_price(price, Side::Buy) {
            prop_assert!(down <= price * (1.0 + 1e-9));
            prop_assert!(instrument.price_from_f64("price", down).is_ok());
            prop_assert!(price - down <= step * (1.0 + 1e-6));
            // No valid price strictly between the two neighbors.
            let middle = f64::midpoint(down, up);
            prop_assert!(down == up || instrument.price_from_f64("price", middle).is_err());
        }
    }

    // Kills: a tolerance that is absolute.
    #[test]
    fn float_within_one_billionth_of_a_valid_price_is_that_price(units in 10_000_i64..99_999, error in -9e-10..9e-10_f64) {
        let instrument = instrument(4);
        let price = units as f64 / 10.0;
        let near = price * (1.0 + error);
        prop_assert_eq!(instrument.price_from_f64("price", near).unwrap(), instrument.price_from_f64("price", price).unwrap());
        prop_assert_eq!(instrument.round_price(near, Side::Buy).unwrap(), price);
        prop_assert_eq!(instrument.round_price(near, Side::Sell).unwrap(), price);
    }
}

#[test]
fn known_prices_of_the_venue() {
    let bitcoin = instrument(5);
    assert!(bitcoin.price_from_f64("price", 109_755.0).is_ok());
    assert!(bitcoin.price_from_f64("price", 109_755.5).is_err());
    assert_eq!(bitcoin.price_increment_at(109_755.0).unwrap(), 1.0);
    assert_eq!(bitcoin.price_increment_at(99_999.0).unwrap(), 1.0);
    assert_eq!(bitcoin.price_increment_at(9_999.0).unwrap(), 0.1);
    assert_eq!(bitcoin.round_price(99_999.5, Side::Sell).unwrap(), 100_000.0);
    let wlfi = instrument(0);
    assert!(wlfi.price_from_f64("price", 0.186_48).is_ok());
    assert!(wlfi.price_from_f64("price", 0.186_485).is_err());
    assert!(wlfi.price_from_f64("price", 0.001_234).is_ok());
}
