//! What the parser makes of command lines, and the exact words when one is wrong.

use std::ffi::{CStr, CString};

use masu_cli::*;

/// One line of words for what `words` (separated by spaces) mean.
fn parsed(words: &str) -> String {
    let args: Vec<CString> = words.split_whitespace().filter_map(|word| CString::new(word).ok()).collect();
    let args: Vec<&CStr> = args.iter().map(CString::as_c_str).collect();
    describe(&args)
}

fn describe(args: &[&CStr]) -> String {
    match parse(args).and_then(|line| line.request()) {
        Err(error) => error.to_string(),
        Ok(Request::Help(None)) => "help".to_owned(),
        Ok(Request::Help(Some(command))) => format!("help {}", command.name),
        Ok(Request::Version) => "version".to_owned(),
        Ok(Request::Unknown { name, rest }) => format!("unknown {name} {}", rest.len()),
        Ok(Request::Command(found)) => {
            let positionals: Vec<&str> = found.positionals().collect();
            format!("{:?} {}", found.command.verb, positionals.join(" ")).trim_end().to_owned()
        }
    }
}

#[test]
fn arguments_are_found_between_options() {
    for (words, meaning) in [
        ("", "help"),
        ("--help", "help"),
        ("-h start", "help"),
        ("-v", "version"),
        ("--version=false list", "List"),
        ("-version list", "version"),
        ("-- list", "List"),
        ("help", "help"),
        ("help run", "help run"),
        ("help box", "unknown box 2"),
        ("run --help", "help run"),
        ("list extra -h", "help list"),
        ("exec -t -h", "help exec"),
        ("box --rm alpine", "unknown box 3"),
        ("--root /r - list", "unknown - 2"),
        ("delete web --force", "Delete web"),
        ("delete --force=false web", "Delete web"),
        ("delete -- -f", "Delete -f"),
        ("delete -f -", "Delete -"),
        ("run -d web -b /b", "Run web"),
        ("run web -no-subreaper", "Run web"),
        ("run -b -d web", "Run web"),
        ("kill web --all", "Kill web"),
        ("kill --all web 9", "Kill web 9"),
        ("kill web -9", "Kill web -9"),
        ("kill web -KILL", "Kill web -KILL"),
        ("exec web ls -l --cwd /x", "Exec web ls -l --cwd /x"),
        ("exec web -- ls -- -l", "Exec web ls -- -l"),
        ("exec -e A=1 -- web --help", "Exec web --help"),
        ("exec -- web -- ls", "Exec web -- ls"),
        ("exec --tty=false web ls", "Exec web ls"),
        ("ps web -f json", "Ps web -f json"),
        ("update web --cpu-quota -1", "Update web"),
    ] {
        assert_eq!(parsed(words), meaning, "{words:?}");
    }
}

fn assert_incorrect(words: &str, fault: &str, rest: &str) {
    assert_eq!(parsed(words), format!("incorrect usage: {fault}\n{rest}"), "{words:?}");
}

#[test]
fn a_wrong_global_option_is_explained_with_usage_and_hint() {
    let usage = "usage: masu [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]";
    for (words, fault, hint) in [
        ("--bogus list", r#"unknown option "--bogus""#, "masu --help"),
        ("--logs x", r#"unknown option "--logs""#, "did you mean --log? See masu --help"),
        ("--root", "--root needs a value: DIR", "masu --help"),
        ("--root= list", r#"--root: "" is not allowed: it is empty"#, "masu --help"),
        ("--log-format yaml list", r#"--log-format: "yaml" is not one of text, json"#, "masu --help"),
        ("--rootless maybe list", r#"--rootless: "maybe" is not true, false or auto"#, "masu --help"),
    ] {
        assert_incorrect(words, fault, &format!("{usage}\nhint: {hint}"));
    }
}

#[test]
fn a_wrong_number_of_arguments_is_explained_with_usage_and_hint() {
    for (words, fault, usage, name) in [
        ("start", r#""start" requires exactly 1 argument"#, "start ID", "start"),
        ("delete a b", r#""delete" requires exactly 1 argument"#, "delete [OPTIONS] ID", "delete"),
        ("list x", r#""list" requires exactly 0 arguments"#, "list [OPTIONS]", "list"),
        ("kill", r#""kill" requires a minimum of 1 argument"#, "kill ID [SIGNAL]", "kill"),
        ("kill a b c", r#""kill" requires a maximum of 2 arguments"#, "kill ID [SIGNAL]", "kill"),
        ("ps -f json", r#""ps" requires a minimum of 1 argument"#, "ps [OPTIONS] ID [PS-OPTION...]", "ps"),
    ] {
        assert_incorrect(words, fault, &format!("usage: masu {usage}\nhint: masu {name} --help"));
    }
}

#[test]
fn a_wrong_option_is_explained_with_usage_and_hint() {
    let meant = "did you mean --force? See ";
    for (words, fault, hint) in [
        ("delete -fq a", r#"unknown option "-fq""#, ""),
        ("delete a -9", r#"unknown option "-9""#, ""),
        ("delete ---force a", r#"unknown option "---force""#, meant),
        ("delete --=x a", r#"unknown option "--""#, ""),
        ("delete --forced=1 a", r#"unknown option "--forced""#, meant),
        ("delete --force=maybe a", r#"--force: "maybe" is not true or false"#, ""),
        ("delete --force= a", r#"--force: "" is not true or false"#, ""),
    ] {
        let rest = format!("usage: masu delete [OPTIONS] ID\nhint: {hint}masu delete --help");
        assert_incorrect(words, fault, &rest);
    }
}

#[test]
fn a_wrong_value_is_explained_with_usage_and_hint() {
    let list = "usage: masu list [OPTIONS]\nhint: masu list --help";
    let exec = "usage: masu exec [OPTIONS] ID COMMAND [ARG...]\n\
                usage: masu exec [OPTIONS] --process FILE ID\nhint: masu exec --help";
    let update = "usage: masu update [OPTIONS] ID\nusage: masu update --resources FILE ID\n\
                  hint: masu update --help";
    for (words, fault, rest) in [
        ("list -f", "--format needs a value: FORMAT", list),
        ("list -f bad", r#"--format: "bad" is not one of table, json"#, list),
        (
            "exec -g 1,2 web ls",
            r#"--additional-gids: "1,2" is not a whole number from 0 to 4294967295"#,
            exec,
        ),
        ("update --cpu-idle 2 a", r#"--cpu-idle: "2" is not a whole number from 0 to 1"#, update),
        ("update --cpu-period -1 a", r#"--cpu-period: "-1" is not a whole number of 0 or more"#, update),
        ("update --cpu-quota x a", r#"--cpu-quota: "x" is not a whole number"#, update),
        (
            "update --memory lots a",
            r#"--memory: "lots" is not a size: bytes, perhaps with a suffix k, m, g, t or p, or -1"#,
            update,
        ),
    ] {
        assert_incorrect(words, fault, rest);
    }
}

#[test]
fn what_is_not_built_yet_says_so() {
    for (words, thing) in [("checkpoint web", "checkpoint"), ("help restore", "restore")] {
        assert_eq!(parsed(words), format!("{thing} is not implemented in this version"), "{words:?}");
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_an_error_except_for_masu_tools() {
    assert_eq!(
        describe(&[c"delete", c"a\xff"]),
        "incorrect usage: argument \"a\\xff\" is not valid UTF-8\n\
         usage: masu delete [OPTIONS] ID\nhint: masu delete --help"
    );
    assert_eq!(
        describe(&[c"\xff"]),
        "incorrect usage: argument \"\\xff\" is not valid UTF-8\n\
         usage: masu [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\nhint: masu --help"
    );
    assert_eq!(describe(&[c"box", c"a\xff"]), "unknown box 2");
    assert_eq!(describe(&[c"", c"x"]), "unknown  2");
}

#[test]
fn values_are_read_by_the_constant_of_the_option() {
    let args = [
        c"--root",
        c"/a",
        c"-root=/b",
        c"--debug",
        c"--cgroup-manager",
        c"disabled",
        c"exec",
        c"-e",
        c"A=1,2",
        c"-env=",
        c"-g",
        c"5",
        c"-g=0x10",
        c"--pid-file",
        c"",
        c"--no-new-privs=false",
        c"--cap",
        c"CAP_CHOWN",
        c"--preserve-fds=3",
        c"--",
        c"web",
        c"-e",
        c"B=1",
    ];
    let line = parse(&args).unwrap();
    assert_eq!(line.global.value(&ROOT), Some("/b"), "the last value wins");
    assert!(line.global.flag(&DEBUG));
    assert_eq!(line.global.value(&LOG_FORMAT), Some("text"), "the default of the table");
    assert_eq!(line.global.value(&LOG), None, "a described default is not a value");
    assert_eq!(line.global.value(&CGROUP_MANAGER), Some("disabled"));
    let Request::Command(exec) = line.request().unwrap() else { panic!("not a command") };
    let options = exec.options;
    assert_eq!(exec.command.verb, Verb::Exec);
    assert_eq!(options.values(&ENV).collect::<Vec<_>>(), ["A=1,2", ""]);
    assert_eq!(options.numbers(&ADDITIONAL_GIDS).collect::<Vec<_>>(), [5, 16]);
    assert_eq!(options.value(&PID_FILE), None, "an empty value is none");
    assert_eq!(options.switch(&NO_NEW_PRIVS), Some(false));
    assert_eq!(options.switch(&DETACH), None);
    assert_eq!(options.number(&PRESERVE_FDS), Some(3));
    assert_eq!(options.values(&CAP).collect::<Vec<_>>(), ["CAP_CHOWN"]);
    assert_eq!(
        (exec.positional(0), exec.positional(2), exec.positional(3)),
        (Some("web"), Some("B=1"), None)
    );
}

#[test]
fn limits_are_read_as_numbers_and_bytes() {
    let args = [
        c"update",
        c"--memory",
        c"1.5g",
        c"--memory-swap=-1",
        c"web",
        c"--cpu-quota",
        c"-1",
        c"--pids-limit",
        c"0",
        c"--cpu-share=",
        c"--kernel-memory",
        c"1m",
    ];
    let line = parse(&args).unwrap();
    let Request::Command(update) = line.request().unwrap() else { panic!("not a command") };
    assert_eq!(update.options.size(&MEMORY), Some(1_610_612_736));
    assert_eq!(update.options.size(&MEMORY_SWAP), Some(-1));
    assert_eq!(update.options.size(&MEMORY_RESERVATION), None);
    assert_eq!(update.options.size(&KERNEL_MEMORY), Some(1 << 20));
    assert_eq!(update.options.number(&CPU_QUOTA), Some(-1));
    assert_eq!(update.options.number(&PIDS_LIMIT), Some(0));
    assert_eq!(update.options.number(&CPU_SHARE), None);
}

#[test]
fn global_options_are_known_when_the_command_is_wrong() {
    let args = [c"--log", c"/l", c"start"];
    let line = parse(&args).unwrap();
    assert_eq!(line.global.value(&LOG), Some("/l"));
    let error = line.request().unwrap_err();
    assert_eq!(error.command.map(|command| command.verb), Some(Verb::Start));
}

#[test]
fn a_switch_before_the_command_takes_a_value_by_an_equals_sign_alone() {
    assert_eq!(parsed("--systemd-cgroup list"), "List");
    assert_eq!(parsed("--systemd-cgroup=false list"), "List");
    assert_eq!(parsed("--systemd-cgroup --help"), "help");
}

#[test]
fn the_table_is_consistent() {
    for command in COMMANDS {
        assert!(std::ptr::eq(find_command(command.name).unwrap(), *command), "{}", command.name);
        assert!(command.example.line.contains(&format!("masu {}", command.name)), "{}", command.name);
        let all_required_first = command.args.windows(2).all(|pair| pair[0].required || !pair[1].required);
        assert!(all_required_first, "{}", command.name);
        for usage in command.usage {
            assert!(usage.starts_with(command.name), "{usage}");
        }
    }
    let lists = COMMANDS.iter().map(|command| command.options).chain([GLOBAL]);
    for options in lists {
        let mut names: Vec<String> = vec!["help".to_owned(), "h".to_owned()];
        for opt in options {
            names.push(opt.long.to_owned());
            names.extend(opt.short.map(String::from));
            assert_eq!(opt.kind == Kind::Switch, opt.value_name.is_empty(), "{}", opt.long);
            assert!(!opt.help.ends_with('.'), "{}", opt.long);
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }
}
