//! Whatever the arguments are, the parser answers.

use std::ffi::{CStr, CString};

use masu_cli::{BUNDLE, COMMANDS, ENV, FORCE, GLOBAL, PLANNED_COMMANDS, PRESERVE_FDS, Request, parse};
use proptest::prelude::*;

/// Words that mean something, and bytes that may not.
fn argument() -> impl Strategy<Value = CString> {
    let names: Vec<String> = COMMANDS
        .iter()
        .flat_map(|command| command.options.iter().copied())
        .chain(GLOBAL.iter().copied())
        .flat_map(|opt| [format!("--{}", opt.long), format!("-{}=", opt.long), format!("{}=1", opt.long)])
        .chain(COMMANDS.iter().map(|command| command.name.to_owned()))
        .chain(PLANNED_COMMANDS.iter().map(|name| (*name).to_owned()))
        .chain(["--", "-", "---x", "--=", "-9", "-1", "", "help", "-h", "true", "web"].map(str::to_owned))
        .collect();
    let bytes = proptest::collection::vec(1_u8..=255, 0..8);
    prop_oneof![
        4 => proptest::sample::select(names).prop_map(String::into_bytes),
        1 => bytes.prop_map(|mut tail| { tail.insert(0, b'-'); tail }),
        1 => proptest::collection::vec(1_u8..=255, 0..8),
    ]
    .prop_map(|bytes| CString::new(bytes).unwrap_or_default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_arguments_never_panic(args in proptest::collection::vec(argument(), 0..7)) {
        let args: Vec<&CStr> = args.iter().map(CString::as_c_str).collect();
        match parse(&args).and_then(|line| line.request()) {
            Err(error) => {
                let text = error.to_string();
                prop_assert!(
                    text.starts_with("incorrect usage: ") || text.ends_with("is not implemented in this version"),
                    "{text}"
                );
                prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
            }
            Ok(Request::Command(parsed)) => {
                let count = parsed.positionals().count();
                prop_assert!(count >= parsed.command.args.iter().filter(|arg| arg.required).count());
                prop_assert!(parsed.positional(count).is_none());
                let _ = (parsed.options.flag(&FORCE), parsed.options.value(&BUNDLE));
                let fds = parsed.options.number(&PRESERVE_FDS);
                prop_assert!(fds >= Some(0), "{fds:?}");
                prop_assert!(parsed.options.values(&ENV).count() <= args.len());
            }
            Ok(Request::Unknown { name, rest }) => {
                prop_assert!(COMMANDS.iter().all(|command| command.name != name));
                prop_assert!(args.ends_with(rest));
            }
            Ok(Request::Help(_) | Request::Version) => {}
        }
    }
}
