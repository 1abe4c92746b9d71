//! config.json, and the filter that its seccomp profile becomes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(config) = masu_spec::parse_config(input)
        && let Some(profile) = config.linux.seccomp
    {
        let _ = masu_seccomp::compile(&profile);
    }
});
