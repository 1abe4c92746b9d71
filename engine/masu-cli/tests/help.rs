//! The help texts, compared with the files in `tests/help`. `UPDATE_SNAPSHOTS=1 cargo test -p masu-cli` writes them.

use std::path::Path;

use masu_cli::{COMMANDS, Command, UnknownCommand, write_help};

fn render(command: Option<&Command>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    write_help(&mut text, command)?;
    Ok(text)
}

#[test]
fn every_help_text_is_as_committed_and_none_is_left_over() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    for command in COMMANDS.iter().copied().map(Some).chain([None]) {
        let name = command.map_or("masu", |command| command.name);
        let path = dir.join(name).with_extension("txt");
        let text = render(command).unwrap();
        if update {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, committed, "{name}: if it is meant, run with UPDATE_SNAPSHOTS=1");
    }
    let mut found: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    let mut expected: Vec<String> = COMMANDS.iter().map(|command| format!("{}.txt", command.name)).collect();
    expected.push("masu.txt".to_owned());
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn no_line_is_longer_than_90_characters_or_ends_in_a_space() {
    for command in COMMANDS.iter().copied().map(Some).chain([None]) {
        for line in render(command).unwrap().lines() {
            assert!(line.chars().count() <= 90, "{line}");
            assert_eq!(line.trim_end(), line);
        }
    }
}

#[test]
fn an_unknown_command_is_compared_with_those_of_engine_and_companion() {
    let nothing = "masu --help lists the commands";
    for (name, asked_companion, hint) in [
        ("strat", false, "did you mean start? See masu --help"),
        ("explian", true, "did you mean explain? See masu --help"),
        ("container", true, nothing),
        (
            "container",
            false,
            &format!("{nothing}; more of them come with masu-tools, which is not installed"),
        ),
    ] {
        let text = UnknownCommand { name, asked_companion }.to_string();
        assert_eq!(text, format!("unknown command {name:?}\nhint: {hint}"));
    }
}
