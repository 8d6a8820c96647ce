//! The house's one rule, executable: data flows one way, and a module uses only what stands to its left.
//!
//! The test reads the sources and manifests as text, so it sees every path that is written, whatever the compiler
//! would make of it. Comments and everything from a file's `#[cfg(test)]` on are left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules of `hypermm_core`, ground floor first; modules of one row may use each other.
const FLOW: &[&[&str]] = &[
    &["types", "instrument", "error", "online"],
    &["event", "config", "calibration", "feature_table"],
    &["state"],
    &["outcomes", "accounting"],
    &["features"],
    &["estimators"],
    &["pricing"],
    &["orders"],
    &["engine"],
];

/// What each crate may use of the workspace.
const CRATES: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("simulation", &["hypermm_core"]),
    ("signing", &[]),
    ("bindings", &["hypermm_core", "hypermm_simulation", "hypermm_signing"]),
];

/// Names that would give the core a clock, randomness, I/O, threads or an interpreter.
const IMPURE: &[&str] = &[
    "pyo3",
    "numpy",
    "tokio",
    "async-std",
    "smol",
    "rand",
    "rand_chacha",
    "rand_distr",
    "fastrand",
    "getrandom",
    "rayon",
    "crossbeam",
    "reqwest",
    "hyper",
    "ureq",
    "tungstenite",
    "socket2",
    "mio",
    "chrono",
    "time",
    "hypermm-simulation",
    "hypermm-bindings",
    "hypermm-signing",
];

/// Paths of the standard library that do the same.
const IMPURE_PATHS: &[&str] =
    &["std::fs", "std::net", "std::thread", "std::process", "std::env", "Instant::now", "SystemTime"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("workspace root")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Code of a file without comments and unit tests.
fn code_of(text: &str) -> String {
    let body = text.find("#[cfg(test)]").map_or(text, |end| &text[..end]);
    body.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// First names after each `prefix` (such as `crate::`), braces of a `use` group included.
fn first_names(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (start, _) in code.match_indices(prefix) {
        let before = code[..start].chars().next_back();
        if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':') {
            continue;
        }
        let rest = &code[start + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0_i32;
            let mut word = String::new();
            for letter in group.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => {
                        names.insert(std::mem::take(&mut word));
                        break;
                    }
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        names.insert(std::mem::take(&mut word));
                    }
                    _ if depth == 0 => word.push(letter),
                    _ => {}
                }
            }
        } else {
            names.insert(rest.to_owned());
        }
    }
    names.iter().map(|name| leading_identifier(name)).filter(|name| !name.is_empty()).collect()
}

fn leading_identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

fn rank(module: &str) -> Option<usize> {
    FLOW.iter().position(|row| row.contains(&module))
}

/// Layer breaks of one core file called `relative` (such as `state/book.rs`).
fn breaks(relative: &str, text: &str) -> Vec<String> {
    let module = relative.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    if module == "lib" {
        return Vec::new();
    }
    let Some(own) = rank(module) else {
        return vec![format!(
            "{relative}: module `{module}` has no place in the flow; give it one in tests/rust/layering.rs"
        )];
    };
    let code = code_of(text);
    let mut used = first_names(&code, "crate::");
    // In a file at the root of the crate, `super` is the crate itself.
    if !relative.contains('/') || relative.ends_with(&format!("{module}/mod.rs")) {
        used.extend(first_names(&code, "super::"));
    }
    let mut found: Vec<String> = used
        .iter()
        .filter_map(|name| rank(name).map(|layer| (name, layer)))
        .filter(|(_, layer)| *layer > own)
        .map(|(name, _)| format!("{relative}: `{module}` uses `{name}`, which stands to its right"))
        .collect();
    found.extend(
        IMPURE_PATHS
            .iter()
            .filter(|path| code.contains(**path))
            .map(|path| format!("{relative}: `{path}` in the pure core")),
    );
    found
}

#[test]
fn core_modules_use_only_what_stands_to_their_left() {
    let source = root().join("rust/core/src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    assert!(files.len() >= 6, "the core's sources were not found under {}", source.display());
    let found: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let relative = path.strip_prefix(&source).unwrap().to_string_lossy().replace('\\', "/");
            breaks(&relative, &fs::read_to_string(path).unwrap())
        })
        .collect();
    println!("layering: {} core files, {} breaks", files.len(), found.len());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_break_of_the_flow_is_seen() {
    let upward = "use crate::{error::Result, pricing::{ladder, risk}, types::Side};\n";
    assert_eq!(breaks("state/book.rs", upward).len(), 1);
    assert_eq!(breaks("event.rs", "fn f() { super::engine::run(); }\n").len(), 1);
    assert_eq!(
        breaks("pricing/risk.rs", "// crate::engine\nuse crate::state::book::Book;\n#[cfg(test)] use crate::engine;")
            .len(),
        0
    );
    assert_eq!(breaks("pricing/risk.rs", "let now = std::time::Instant::now();").len(), 1);
    assert_eq!(breaks("gadget.rs", "").len(), 1);
}

#[test]
fn crates_use_each_other_one_way() {
    let mut found = Vec::new();
    for (name, allowed) in CRATES {
        let mut files = Vec::new();
        sources(&root().join("rust").join(name), &mut files);
        for path in files {
            let code = code_of(&fs::read_to_string(&path).unwrap());
            for other in ["hypermm_core", "hypermm_simulation", "hypermm_signing", "hypermm_bindings"] {
                let own = other == format!("hypermm_{name}");
                // A crate's own examples and benches name it; its sources say `crate`.
                if !own && !allowed.contains(&other) && code.contains(&format!("{other}::")) {
                    found.push(format!("{}: {name} uses {other}", path.display()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn core_manifest_holds_nothing_impure() {
    let manifest = fs::read_to_string(root().join("rust/core/Cargo.toml")).unwrap();
    let mut in_dependencies = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            // Benches and unit tests may draw numbers and read clocks: they are not part of the library.
            in_dependencies = line.contains("dependencies") && !line.contains("dev-dependencies");
            if let Some(name) = line.strip_prefix("[dependencies.") {
                names.push(name.trim_end_matches(']').to_owned());
            }
        } else if in_dependencies && !line.starts_with('#') {
            names.push(line.split(['.', '=', ' ']).next().unwrap_or_default().to_owned());
        }
    }
    println!(
        "layering: core depends on {}",
        names.iter().filter(|name| !name.is_empty()).cloned().collect::<Vec<_>>().join(", ")
    );
    assert!(names.iter().any(|name| name == "thiserror"), "the manifest was not understood: {names:?}");
    let impure: Vec<_> = names.iter().filter(|name| IMPURE.contains(&name.as_str())).collect();
    assert!(impure.is_empty(), "the core must stay pure, its manifest names {impure:?}");
}
