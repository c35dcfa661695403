//! The repository itself: which module imports which, how files begin, and whether the names in the documents exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which of our modules, or parts of them, a module may name. Modules that are not listed (the program, its commands)
/// may name all of them.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("random", &[]),
    ("trouble", &["units"]),
    ("system", &["units"]),
    ("http", &["system"]),
    ("stratum", &["units"]),
    ("coin", &["units"]),
    // Config files are saved atomically, with the same function as the state file.
    (
        "config",
        &[
            "coin",
            "units",
            "system::files",
            "timetable::zone",
            "trouble",
        ],
    ),
    ("core", &["coin", "config", "random", "stratum", "units"]),
    // Its results enter the core as data.
    (
        "timetable",
        &["config", "core::steering", "core::snapshot", "units"],
    ),
    (
        "observe",
        &[
            "core::fact",
            "core::event::CloseReason",
            "core::event::Source",
            "core::outage",
            "core::balance",
            "core::insight",
            "core::steering",
            "core::stats::tally",
            "core::miner::view",
            "core::snapshot",
            "config",
            "stratum",
            "trouble",
            "units",
            "system",
        ],
    ),
    (
        "shell",
        &[
            "core",
            // The outcomes of shares.
            "ledger",
            "observe",
            "config",
            "random",
            "stratum",
            "system",
            "timetable",
            "units",
        ],
    ),
    // It reads the published state and keeps its own file.
    (
        "history",
        &[
            "core::event",
            "core::outage",
            "core::stats::meter",
            "core::miner::view",
            "core::snapshot",
            "observe::latest",
            "units",
            "system",
        ],
    ),
    ("odds", &["core::stats::meter"]),
    // Shares come to it from the scheduler; everything else comes from the published state.
    (
        "ledger",
        &[
            "core::fact",
            "core::miner::view",
            "core::snapshot",
            "stratum::reject",
            "timetable::zone",
            "units",
            "system",
        ],
    ),
    // It reads the published state, keeps its own file, and sends messages.
    (
        "notify",
        &[
            "config",
            "core::fact",
            "observe",
            "shell::inbox",
            "system",
            "timetable::zone",
            "trouble",
            "units",
        ],
    ),
    (
        "web",
        &[
            // The parts of a snapshot.
            "core::balance",
            "core::event",
            "core::insight",
            // What the pages show.
            "core::fact",
            "core::outage",
            "core::steering",
            "core::pool::version_form::BlockedShares",
            "core::stats::tally",
            "core::stats::totals",
            "core::miner::roster",
            "core::miner::view",
            "core::stats::recent",
            "core::snapshot",
            "core::split::fleet",
            "core::past_splits",
            "core::steering",
            "timetable",
            "history",
            "trouble",
            "ledger",
            "odds",
            "coin",
            "core::stats::meter",
            "notify",
            "observe",
            "config",
            "units",
            "system",
            "random",
            "http",
            // The reasons for rejected shares.
            "stratum::reject",
            // The pages send commands to the scheduler and change the configuration.
            "shell::blocks",
            "shell::inbox",
            "shell::running",
            "shell::settings",
            // The same test of a pool that `dpmp check` makes.
            "visit",
        ],
    ),
    // The judges share no protocol code with the code they judge.
    (
        "sim",
        &[
            "random",
            "stratum::job",
            "stratum::message",
            "stratum::reject",
            "units",
            "system::net",
            "system::thread",
        ],
    ),
    // It drives the core as the shell does, and reads and writes the core's lines for scripts.
    (
        "sim::world",
        &[
            "sim",
            "core",
            "config",
            "random",
            "stratum::codec",
            "stratum::job",
            "stratum::message",
            "units",
        ],
    ),
];

/// What must not appear in the core outside its tests.
const NOT_IN_CORE: [&str; 15] = [
    "std::net::Tcp",
    "TcpStream",
    "TcpListener",
    "std::thread",
    "std::fs",
    "std::io",
    "crossbeam_channel",
    "parking_lot",
    "log::",
    "prometheus",
    "rouille",
    "socket2",
    "Instant::now",
    "SystemTime",
    "random::secret",
];

/// The minimum number of quirks.
const QUIRKS: usize = 66;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder of the repository, without build output.
pub(crate) fn files_below(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if ["target", ".git", "node_modules"].contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn with_extension(files: Vec<PathBuf>, extension: &str) -> Vec<PathBuf> {
    let has = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    files.into_iter().filter(has).collect()
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let found = with_extension(files_below(folder), "rs");
    assert!(!found.is_empty(), "no files in {folder}");
    found
}

pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// A path relative to the repository.
pub(crate) fn name(path: &Path) -> String {
    let inside = path.strip_prefix(root()).unwrap();
    inside.to_string_lossy().replace('\\', "/")
}

/// The top module that a source file belongs to: `core` for `src/core.rs` and `src/core/pool.rs`. The simulated world
/// has its own rules.
fn module(path: &Path) -> String {
    let inside = name(path);
    let inside = inside.trim_start_matches("src/");
    if inside.starts_with("sim/world") {
        return "sim::world".to_owned();
    }
    let first = inside.split('/').next().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The lines of code without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.starts_with("//"))
}

/// The part of a file before its tests.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]").next().unwrap()
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The paths after `crate::` in a line, such as `core::fact::Fact` or `shell`.
fn named_paths(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|next: char| !is_of_name(next) && next != ':');
        rest[..end.unwrap_or(rest.len())].trim_end_matches(':')
    })
}

/// Whether a path is this item or lies inside it.
fn lies_in(path: &str, thing: &str) -> bool {
    let rest = path.strip_prefix(thing);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in ["src", "tests", "fuzz"].into_iter().flat_map(sources) {
        assert!(text(&path).starts_with("//! "), "{}", name(&path));
    }
}

#[test]
fn modules_use_only_allowed_modules() {
    let mut wrong = Vec::new();
    for path in sources("src") {
        let module = module(&path);
        let rule = MAY_NAME.iter().find(|(of, _)| *of == module);
        let Some((_, may_name)) = rule else { continue };
        for line in code(&text(&path)) {
            for named in named_paths(line) {
                let allowed = lies_in(named, &module)
                    || may_name.iter().any(|thing| lies_in(named, thing))
                    // A list in braces names its parts on the following lines.
                    || named.is_empty();
                if !allowed {
                    wrong.push(format!("{}: {line}", name(&path)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A file as others refer to it, such as `core::pool::line`.
fn path_of(path: &Path) -> String {
    let inside = name(path).replace('/', "::");
    let inside = inside.trim_start_matches("src::");
    inside.trim_end_matches(".rs").to_owned()
}

/// The other files that a file refers to.
fn named_files(path: &Path, files: &BTreeSet<String>) -> BTreeSet<String> {
    let text = text(path);
    let code = code(without_tests(&text)).filter(|line| !line.trim_start().starts_with("//"));
    let file_of = |named: &str| {
        let ends = named.match_indices("::").map(|(at, _)| at);
        let ends = ends.chain([named.len()]).map(|end| &named[..end]);
        ends.filter(|start| files.contains(*start))
            .last()
            .map(str::to_owned)
    };
    let named = code.flat_map(|line| {
        // A visibility restriction is not a use.
        let line = line.replace("pub(in crate::", "");
        named_paths(&line).filter_map(file_of).collect::<Vec<_>>()
    });
    named.filter(|file| *file != path_of(path)).collect()
}

/// To understand a file, one needs to know only the files below it.
#[test]
fn files_do_not_use_each_other_in_a_circle() {
    let files: BTreeSet<String> = sources("src").iter().map(|path| path_of(path)).collect();
    let mut names: BTreeMap<String, BTreeSet<String>> = sources("src")
        .iter()
        .map(|path| (path_of(path), named_files(path, &files)))
        .collect();
    // A file that uses no remaining file is in no circle, and neither is one that no file uses.
    loop {
        let named: BTreeSet<String> = names.values().flatten().cloned().collect();
        let before = names.len();
        names.retain(|file, names| !names.is_empty() && named.contains(file));
        let left: BTreeSet<String> = names.keys().cloned().collect();
        names
            .values_mut()
            .for_each(|names| names.retain(|file| left.contains(file)));
        if names.len() == before {
            break;
        }
    }
    assert!(names.is_empty(), "{names:#?}");
}

#[test]
fn no_file_imports_a_list_of_modules_from_the_root() {
    // `use crate::{a, b}` would bypass the rules.
    for path in sources("src") {
        let text = text(&path);
        assert!(
            code(&text).all(|line| !line.contains("crate::{")),
            "{}",
            name(&path)
        );
    }
}

#[test]
fn only_the_shell_and_the_simulation_own_the_core() {
    for path in sources("src") {
        let module = module(&path);
        let text = text(&path);
        let has_core = code(&text)
            .flat_map(named_paths)
            .any(|named| lies_in(named, "core::Core"));
        let may = ["core", "shell", "sim::world"].contains(&module.as_str());
        assert!(!has_core || may, "{}", name(&path));
    }
}

#[test]
fn the_core_uses_no_socket_clock_thread_or_log() {
    for path in sources("src") {
        if module(&path) != "core" || path.ends_with("tests.rs") {
            continue;
        }
        let text = text(&path);
        for line in code(without_tests(&text)) {
            for thing in NOT_IN_CORE {
                let found = line.match_indices(thing).any(|(at, _)| {
                    // Not at the end of a longer name.
                    !line[..at].ends_with(is_of_name)
                });
                assert!(!found, "{}: {line}", name(&path));
            }
        }
    }
}

#[test]
fn the_protocol_layer_knows_nothing_about_two_pools() {
    for path in sources("src") {
        let text = text(&path);
        let speaks = |thing: &str| code(&text).any(|line| line.contains(thing));
        let protocol = module(&path) == "stratum";
        assert!(
            !protocol || !(speaks("PoolSlot") || speaks("PerPool")),
            "{}",
            name(&path)
        );
    }
}

/// The cells of the rows `| Q1 | … |` in the table of quirks.
#[test]
fn the_architecture_names_files_that_exist() {
    let text = text(&root().join("ARCHITECTURE.md"));
    let named = text.split('`').skip(1).step_by(2);
    let files = named.filter(|named| named.ends_with(".rs") && !named.contains(' '));
    let places = files_below("");
    // In a row that names its folder first, file names are relative to it.
    let missing: Vec<_> = files
        .filter(|file| !places.iter().any(|path| path.ends_with(file)))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

fn quirk_rows() -> Vec<(usize, Vec<String>)> {
    let text = text(&root().join("docs/compatibility.md"));
    let number = |line: &str| {
        let rest = line.strip_prefix("| Q")?;
        rest.split(' ').next()?.parse::<usize>().ok()
    };
    let cells = |line: &str| {
        let inner = line.trim().trim_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    text.lines()
        .filter_map(|line| Some((number(line)?, cells(line))))
        .collect()
}

#[test]
fn every_quirk_has_a_row() {
    let rows = quirk_rows();
    let numbers: Vec<usize> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=rows.len()).collect::<Vec<_>>());
    assert!(rows.len() >= QUIRKS);
    for (number, cells) in rows {
        assert_eq!(cells.len(), 4, "Q{number}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "Q{number}");
    }
}

/// Readers have only what is in this repository.
#[test]
fn comments_cite_rows_that_exist() {
    let rows = quirk_rows().len();
    for path in ["src", "tests", "benches", "fuzz"]
        .into_iter()
        .flat_map(sources)
    {
        if path.ends_with("tidy.rs") {
            continue;
        }
        let text = text(&path);
        let foreign = ["QUIRKS Q", "DESIGN §", "STYLE.md"];
        let cited = foreign.iter().find(|name| text.contains(**name));
        assert_eq!(cited, None, "{} cites what is not here", path.display());
        for cited in text.split("compat Q").skip(1) {
            let mut number = cited.split(|letter: char| !letter.is_ascii_digit());
            let number: usize = number.next().unwrap().parse().unwrap();
            let place = path.display();
            assert!((1..=rows).contains(&number), "{place} cites Q{number}");
        }
    }
}

#[test]
fn the_table_of_quirks_names_tests_that_exist() {
    let tests = all_tests();
    for (number, cells) in quirk_rows() {
        let cell = cells.last().unwrap();
        let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(
            !named.is_empty() || cell.contains("no test"),
            "Q{number} names no test"
        );
        for test in named {
            assert!(tests.contains(test), "Q{number}: there is no test {test}");
        }
    }
}

/// The names of all test functions.
fn all_tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for path in sources("src").into_iter().chain(sources("tests")) {
        let mut is_test = false;
        for line in text(&path).lines().map(str::trim) {
            if line == "#[test]" {
                is_test = true;
            } else if let (true, Some(rest)) = (is_test, line.strip_prefix("fn ")) {
                tests.insert(rest.split('(').next().unwrap().to_owned());
                is_test = false;
            }
        }
    }
    tests
}

#[test]
fn no_file_contains_a_path_of_the_development_machine() {
    // Assembled, so that this file does not contain them.
    let places = ["root", "work", "home"].map(|folder| format!("/{folder}/"));
    for path in files_below("") {
        let bytes = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for place in &places {
            // A folder of this repository may have the same name.
            let is_place =
                |at: usize| !text[..at].ends_with(|it: char| it.is_alphanumeric() || it == '.');
            let mut found = text.match_indices(place).map(|(at, _)| at);
            assert!(!found.any(is_place), "{}: {place}", name(&path));
        }
    }
}
