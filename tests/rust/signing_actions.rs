//! Bytes, hashes and signatures of actions: the published vectors, and laws of what is read and written.

use std::path::{Path, PathBuf};

use hypermm_signing::action::Action;
use hypermm_signing::action::decimal::Decimal;
use hypermm_signing::action::identity::Address;
use hypermm_signing::key::Signer;
use hypermm_signing::typed_data::{Network, Signature, Terms, connection_id, recover_signer};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::signing_key::{Folder, key_file};

/// The key of the official SDK's published tests.
const KEY: &str = "0x0123456789012345678901234567890123456789012345678901234567890123";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let text = text.trim_start_matches("0x");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The vectors beside the repository, as they stand beside a checkout or beside its folder of worktrees.
fn vectors() -> Option<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let places: Vec<PathBuf> =
        root.ancestors().skip(1).take(2).map(|folder| folder.join("shared/data/signing/vectors.json")).collect();
    let text = places.iter().find_map(|path| std::fs::read(path).ok())?;
    Some(serde_json::from_slice(&text).unwrap())
}

fn terms(vector: &Value) -> Terms {
    Terms {
        nonce: vector["nonce"].as_u64().unwrap(),
        vault_address: vector["vaultAddress"].as_str().map(|text| text.parse().unwrap()),
        expires_after_ms: vector["expiresAfter"].as_u64(),
    }
}

// Kills: a field out of order, a false flag kept, a tag byte of vault or expiry, the wrong source, s not lowered.
#[test]
fn published_vectors_are_reproduced_on_both_networks() {
    let Some(file) = vectors() else {
        println!("skipped: ../shared/data/signing/vectors.json is not beside the repository");
        return;
    };
    let folder = Folder::new("vectors");
    let path = key_file(&folder, file["private_key"].as_str().unwrap());
    let list = file["vectors"].as_array().unwrap();
    let (mut packed_here, mut signatures) = (0, 0);
    for vector in list {
        let name = vector["name"].as_str().unwrap();
        let terms = terms(vector);
        let expected = vector["msgpack_hex"].as_str().unwrap();
        // `dummy` is no action of the venue: its bytes are taken as given.
        let packed = if vector["action"]["type"] == "dummy" {
            assert!(Action::from_json(vector["action"].to_string().as_bytes()).is_err());
            unhex(expected)
        } else {
            packed_here += 1;
            Action::from_json(vector["action"].to_string().as_bytes()).unwrap().to_msgpack().unwrap()
        };
        assert_eq!(hex(&packed), expected, "{name}");
        let id = format!("0x{}", hex(&connection_id(&packed, &terms)));
        assert_eq!(id, vector["connectionId"].as_str().unwrap(), "{name}");
        for (network, key) in [(Network::Mainnet, "mainnet"), (Network::Testnet, "testnet")] {
            let signer = Signer::from_file(&path, network, None, false).unwrap();
            assert_eq!(signer.address().to_string(), file["address"].as_str().unwrap().to_lowercase());
            let (r, s, v) = signer.sign_packed(&packed, &terms).to_parts();
            assert_eq!(json!({"r": r, "s": s, "v": v}), vector[key], "{name} {key}");
            signatures += 1;
        }
    }
    println!("signing: {} vectors, {packed_here} packed here, {signatures} signatures", list.len());
    assert_eq!((list.len(), packed_here, signatures), (26, 23, 52));
}

// Two asserts of the official SDK's own tests stand here too, for a checkout without the data folder.
#[test]
fn an_order_is_signed_as_the_official_sdk_signs_it() {
    let folder = Folder::new("pinned");
    let path = key_file(&folder, KEY);
    let action = Action::from_json(
        br#"{"grouping":"na","orders":[{"s":"100.0","p":"0100","t":{"limit":{"tif":"Gtc"}},"r":false,"b":true,"a":1}],
             "type":"order","builder":null}"#,
    )
    .unwrap();
    let terms = Terms { nonce: 0, vault_address: None, expires_after_ms: None };
    for (network, r, s, v) in [
        (
            Network::Mainnet,
            "0xd65369825a9df5d80099e513cce430311d7d26ddf477f5b3a33d2806b100d78e",
            "0x2b54116ff64054968aa237c20ca9ff68000f977c93289157748a3162b6ea940e",
            28,
        ),
        (
            Network::Testnet,
            "0x82b2ba28e76b3d761093aaded1b1cdad4960b3af30212b343fb2e6cdfa4e3d54",
            "0x6b53878fc99d26047f4d7e8c90eb98955a109f44209163f52d8dc4278cbbd9f5",
            27,
        ),
    ] {
        let signer = Signer::from_file(&path, network, None, false).unwrap();
        let signature = signer.sign(&action, &terms).unwrap();
        assert_eq!(signature.to_parts(), (r.to_owned(), s.to_owned(), v));
        assert_eq!(recover_signer(&action, network, &terms, &signature), Ok(signer.address()));
    }
}

// Hash of vault and expiry as official SDK 0.24 gives it. Kills: a tag byte of either, without the data folder too.
#[test]
fn vault_and_expiry_are_hashed_as_by_the_official_sdk() {
    let action = Action::from_json(
        br#"{"type":"order","orders":[{"a":0,"b":true,"p":"60000","s":"0.001","r":false,"t":{"limit":{"tif":"Alo"}}}],"grouping":"na"}"#,
    )
    .unwrap();
    let terms = Terms {
        nonce: 1700000000000,
        vault_address: Some("0x1719884eb866cb12b2287399b15f7db5e7d775ea".parse().unwrap()),
        expires_after_ms: Some(1700000010000),
    };
    let id = connection_id(&action.to_msgpack().unwrap(), &terms);
    assert_eq!(hex(&id), "0019133256a9211e3259a70bc3fbf767430722577e3bd5500d239e2b1e3bc81f");
}

fn one_of_each() -> Vec<Value> {
    let order = json!({"a": 1, "b": true, "p": "100", "s": "0.5", "r": false, "t": {"limit": {"tif": "Alo"}}});
    let trigger = json!({"a": 4, "b": false, "p": "9", "s": "2", "r": true, "c": format!("0x{}", "a1".repeat(16)),
                         "t": {"trigger": {"isMarket": true, "triggerPx": "103.5", "tpsl": "sl"}}});
    let cloid = format!("0x{}", "0c".repeat(16));
    let address = format!("0x{}", "7e".repeat(20));
    vec![
        json!({"type": "order", "orders": [order, trigger], "grouping": "normalTpsl",
               "builder": {"b": address, "f": 10}}),
        json!({"type": "order", "orders": [], "grouping": {"p": 10000}}),
        json!({"type": "cancel", "cancels": [{"a": 1, "o": u64::MAX}], "f": true}),
        json!({"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": cloid}], "f": true}),
        json!({"type": "modify", "oid": 5, "order": order, "a": true}),
        json!({"type": "batchModify", "modifies": [{"oid": cloid, "order": trigger}, {"oid": 7, "order": order}]}),
        json!({"type": "scheduleCancel", "time": 123456789}),
        json!({"type": "scheduleCancel"}),
        json!({"type": "updateLeverage", "asset": 1, "isCross": true, "leverage": 5}),
        json!({"type": "updateIsolatedMargin", "asset": 1, "isBuy": true, "ntli": -1000000}),
        json!({"type": "topUpIsolatedOnlyMargin", "asset": 1, "leverage": "5"}),
        json!({"type": "noop"}),
        json!({"type": "reserveRequestWeight", "weight": 1000, "destination": address}),
    ]
}

fn read(action: &Value) -> Result<Action, hypermm_signing::error::Error> {
    Action::from_json(action.to_string().as_bytes())
}

// Kills: an unknown, missing or doubled field let through at any depth, a field that accepts another type.
#[test]
fn an_action_with_any_field_added_removed_or_of_another_type_is_refused() {
    // Fields of an action that may be left out; of what stands inside it, only an order's `c`.
    const OPTIONAL: &[&str] = &["f", "a", "builder", "time", "destination"];
    let mut refused = 0;
    for action in one_of_each() {
        assert!(read(&action).is_ok(), "{action}");
        let text = action.to_string();
        let mut added = action.clone();
        added["extra"] = json!(1);
        assert!(read(&added).is_err(), "{added}");
        for pointer in objects(&action, String::new()) {
            let names: Vec<String> = action.pointer(&pointer).unwrap().as_object().unwrap().keys().cloned().collect();
            let mut added = action.clone();
            added.pointer_mut(&pointer).unwrap()["extra"] = json!(1);
            assert!(read(&added).is_err(), "{added}");
            for name in names {
                let mut less = action.clone();
                less.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().remove(&name);
                let may_go = name == "c" || (pointer.is_empty() && OPTIONAL.contains(&name.as_str()));
                assert_eq!(read(&less).is_ok(), may_go, "{less}");
                let mut other = action.clone();
                other.pointer_mut(&pointer).unwrap()[&name] = json!([1.5]);
                assert!(read(&other).is_err(), "{other}");
                refused += 2;
            }
        }
        let doubled = text.replacen("\"type\":", &format!("\"type\":{},\"type\":", action["type"]), 1);
        assert!(Action::from_json(doubled.as_bytes()).is_err(), "{doubled}");
    }
    println!("signing: {refused} changed actions refused");
}

/// Pointers to every object inside `value`, itself included.
fn objects(value: &Value, here: String) -> Vec<String> {
    match value {
        Value::Object(fields) => std::iter::once(here.clone())
            .chain(fields.iter().flat_map(|(name, inner)| objects(inner, format!("{here}/{name}"))))
            .collect(),
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(at, inner)| objects(inner, format!("{here}/{at}"))).collect()
        }
        _ => Vec::new(),
    }
}

// Kills: a transfer that could be signed, numbers with an exponent, a sign, nine decimals or as JSON numbers.
#[test]
fn what_the_venue_would_hash_otherwise_is_refused() {
    for kind in ["usdSend", "vaultTransfer", "subAccountTransfer", "approveAgent", "withdraw3", "Order", ""] {
        assert!(read(&json!({"type": kind})).is_err(), "{kind}");
    }
    let order = |price: Value| {
        json!({"type": "order", "grouping": "na", "orders":
               [{"a": 0, "b": true, "p": price, "s": "1", "r": false, "t": {"limit": {"tif": "Alo"}}}]})
    };
    for price in ["1e5", "-1", "+1", ".5", "5.", "", " 1", "0x1", "1,5", "NaN", "inf", "1.123456789", "٣"] {
        let error = read(&order(json!(price))).unwrap_err();
        assert_eq!(error.field, "action");
        assert!(error.expected.contains("decimal"), "{error}");
    }
    assert!(read(&order(json!(100))).is_err());
    assert!(read(&order(json!("9".repeat(19)))).is_ok());
    assert!(read(&order(json!("9".repeat(20)))).is_err());
    assert!(read(&json!({"type": "cancel", "cancels": [{"a": -1, "o": 1}]})).is_err());
    assert!(read(&json!({"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": "0x01"}]})).is_err());
}

// Kills: capital letters kept in an address or client order id, padding kept in a number.
#[test]
fn text_is_canonical_whatever_was_read() {
    let cloid = format!("0x{}", "AB".repeat(16));
    let read = read(&json!({"type": "modify", "oid": cloid, "a": false, "order":
        {"a": 1, "b": true, "p": "00100.50", "s": "0.0", "r": false, "c": null, "t": {"limit": {"tif": "Ioc"}}}}));
    let expected = format!(
        "{{\"type\":\"modify\",\"oid\":\"{}\",\"order\":{}}}",
        cloid.to_lowercase(),
        r#"{"a":1,"b":true,"p":"100.5","s":"0","r":false,"t":{"limit":{"tif":"Ioc"}}}"#
    );
    assert_eq!(String::from_utf8(read.unwrap().to_json().unwrap()).unwrap(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    // Kills: a rounding of the fast path, a zero dropped inside the fraction, a limit that is off by one.
    #[test]
    fn a_float_is_written_as_the_decimal_it_came_from(
        // From 9e7 on a float's neighbors are farther apart than 1e-8, and the SDK writes digits that were never there.
        digits in 1_u64..4_000_000_000_000_000, places in 0_usize..=8, integer in 0_u64..1_000_000_000_000_000,
    ) {
        let digits = format!("{:09}", digits / 10_u64.pow(8 - places as u32));
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let whole = if whole.is_empty() { "0" } else { whole };
        let text = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
        for text in [text, integer.to_string()] {
            prop_assert_eq!(Decimal::from_f64("price", text.parse().unwrap()).unwrap().to_string(), text);
        }
    }

    // Kills: a value rounded where it must be refused. One half of the ninth decimal is far from any eighth.
    #[test]
    fn a_float_between_decimals_is_refused(units in 0_u64..1_000_000_000_000, ninth in 1_u64..10) {
        let value: f64 = format!("{}.{:08}{ninth}", units / 100_000_000, units % 100_000_000).parse().unwrap();
        prop_assert!(Decimal::from_f64("price", value).is_err());
    }

    // Kills: a panic or an overflow, on any float.
    #[test]
    fn any_float_is_written_or_refused(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        if let Ok(decimal) = Decimal::from_f64("price", value) {
            prop_assert!((decimal.to_string().parse::<f64>().unwrap() - value).abs() < 1e-12);
        }
    }

    // Kills: an action that is read back as another.
    #[test]
    fn a_damaged_action_is_refused_or_stands_for_itself(
        which in 0_usize..13, at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut text = one_of_each()[which].to_string().into_bytes();
        let at = at.index(text.len());
        if cut { text.truncate(at) } else { text[at] = byte };
        stands_for_itself(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    // Kills: a signature that can be read in two ways, a recovery that ignores a term.
    #[test]
    fn a_signature_recovers_its_signer_under_its_own_terms_only(
        nonce in any::<u64>(), vault in any::<Option<[u8; 20]>>(), expiry in any::<Option<u64>>(), which in 0_usize..13,
    ) {
        let folder = Folder::new("recover");
        let signer = Signer::from_file(&key_file(&folder, KEY), Network::Testnet, None, false).unwrap();
        let action = read(&one_of_each()[which]).unwrap();
        let terms = Terms { nonce, vault_address: vault.map(Address), expires_after_ms: expiry };
        let signature = signer.sign(&action, &terms).unwrap();
        prop_assert_eq!(recover_signer(&action, Network::Testnet, &terms, &signature), Ok(signer.address()));
        prop_assert!(signature.s[0] < 0x80, "s is the lower one");
        let others = [
            Terms { nonce: nonce ^ 1, ..terms },
            Terms { vault_address: Some(Address([7; 20])), ..terms },
            Terms { expires_after_ms: Some(expiry.unwrap_or_default() ^ 1), ..terms },
        ];
        for other in others {
            prop_assert_ne!(recover_signer(&action, Network::Testnet, &other, &signature), Ok(signer.address()));
        }
        prop_assert_ne!(recover_signer(&action, Network::Mainnet, &terms, &signature), Ok(signer.address()));
    }
}

/// What can be read is written in a form that reads the same and is hashed the same.
fn stands_for_itself(bytes: &[u8]) {
    if let Ok(action) = Action::from_json(bytes) {
        let written = action.to_json().unwrap();
        let again = Action::from_json(&written).unwrap();
        assert_eq!((&again, again.to_msgpack()), (&action, action.to_msgpack()));
    }
}

// Kills: a panic on any input.
#[test]
fn random_bytes_as_an_action_never_panic() {
    bolero::check!().for_each(stands_for_itself);
}

// Kills: a panic on any signature text, a leading zero that must be there, a half of 65 digits.
#[test]
fn random_signatures_never_panic() {
    let action = read(&json!({"type": "noop"})).unwrap();
    let terms = Terms { nonce: 1, vault_address: None, expires_after_ms: None };
    bolero::check!().with_type::<(String, String, u64, [u8; 32], [u8; 32])>().for_each(|(r, s, v, first, second)| {
        assert!(Signature::from_parts(r, "0x1", 27).is_err() || r.starts_with("0x"));
        let _ = Signature::from_parts("0x1", s, *v);
        let signature =
            Signature::from_parts(&format!("0x{}", hex(first)), &format!("0x{}", hex(second)), 27 + v % 2).unwrap();
        let _ = recover_signer(&action, Network::Mainnet, &terms, &signature);
    });
    let short = Signature::from_parts("0x1f", "0x2", 28).unwrap();
    assert_eq!((short.r[31], short.s[31], short.v), (0x1f, 2, 28));
    for (r, s, v) in [("1f", "0x2", 27), ("0x", "0x2", 27), ("0x1", "0xg", 27), ("0x1", "0x2", 26), ("0x1", "0x2", 29)]
    {
        assert!(Signature::from_parts(r, s, v).is_err(), "{r} {s} {v}");
    }
    assert!(Signature::from_parts(&format!("0x{}", "1".repeat(65)), "0x1", 27).is_err());
}
