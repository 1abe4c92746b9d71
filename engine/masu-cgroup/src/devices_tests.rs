use super::*;

fn rule(allow: bool, text: &str) -> DeviceRule {
    DeviceRule { allow, ..parse_line(text).expect(text) }
}

fn rules(list: &[(bool, &str)]) -> core::result::Result<DeviceRules, String> {
    let mut rules = DeviceRules::default();
    for (allow, text) in list {
        rules.apply(&rule(*allow, text))?;
    }
    Ok(rules)
}

fn writes(from: &str, to: &DeviceRules) -> Vec<String> {
    let transitions = DeviceRules::parse(from).expect(from).transition(to);
    transitions
        .into_iter()
        .map(|t| format!("{} {}", if t.allow { "allow" } else { "deny" }, t.rule))
        .collect()
}

#[test]
fn the_defaults_follow_the_configs_rules_and_give_way_to_its_devices() {
    let resources = Resources { devices: vec![rule(true, "a *:* rwm")], ..Resources::default() };
    assert!(device_rules(&resources, &[]).expect("rules").allow_by_default);
    let plain = device_rules(&Resources::default(), &[]).expect("rules");
    assert_eq!(plain.exceptions.len(), DEFAULT_DEVICES.len());
    let replaced = device_rules(&Resources::default(), &["/dev/null", "/dev/fuse"]).expect("rules");
    assert_eq!(replaced.exceptions.len(), DEFAULT_DEVICES.len() - 1);
    assert!(!replaced.exceptions.contains_key(&(Some(1), Some(3), false)));
}

#[test]
fn a_later_rule_adds_and_takes_away_access() {
    type Rules<'a> = &'a [(bool, &'a str)];
    let cases: [(Rules<'_>, &[&str]); 5] = [
        (&[(true, "c 1:3 r"), (true, "c 1:3 w")], &["allow c 1:3 rw"]),
        (&[(true, "c 1:3 rwm"), (false, "c 1:3 w")], &["allow c 1:3 rm"]),
        (&[(true, "c 1:3 rwm"), (false, "c 1:3 rwm")], &[]),
        (&[(true, "c 1:3 rwm"), (false, "a *:* rwm"), (true, "b 8:* r")], &["allow b 8:* r"]),
        (&[(false, "c 9:9 rwm")], &[]),
    ];
    for (list, expected) in cases {
        assert_eq!(writes("", &rules(list).expect("rules")), expected, "{list:?}");
    }
}

#[test]
fn a_hole_in_a_wider_rule_is_refused_since_the_kernel_would_ignore_it() {
    let error = rules(&[(true, "c *:* rwm"), (false, "c 1:11 w")]).expect_err("a hole");
    assert_eq!(
        error,
        "the version 1 controller cannot take \"c 1:11 w\" out of the wider rule \"c *:* rwm\""
    );
    rules(&[(true, "c *:* m"), (false, "c 1:11 rw")]).expect("no access in common");
    rules(&[(true, "c *:* rwm"), (false, "c *:* rwm")]).expect("the same rule");
    rules(&[(true, "b *:* rwm"), (false, "c 1:11 rw")]).expect("another kind");
}

#[test]
fn the_way_from_allow_all_begins_with_deny_all() {
    let target = rules(&[(true, "c 1:3 rwm"), (true, "b *:* m")]).expect("rules");
    assert_eq!(writes("a *:* rwm\n", &target), ["deny a *:* rwm", "allow b *:* m", "allow c 1:3 rwm"]);
}

#[test]
fn the_way_between_lists_takes_nothing_away_that_both_have() {
    let target = rules(&[(true, "c 1:3 rwm"), (true, "c 1:5 r")]).expect("rules");
    assert_eq!(writes("c 1:3 rwm\nc 1:5 rw\nb 8:0 r\n", &target), ["deny c 1:5 w", "deny b 8:0 r"]);
    assert_eq!(writes("c 1:3 rwm\nc 1:5 r\n", &target), [] as [&str; 0]);
}

#[test]
fn allow_all_with_denials_is_a_list_of_denials() {
    let target = rules(&[(true, "a *:* rwm"), (false, "c 1:11 w")]).expect("rules");
    assert_eq!(writes("a *:* rwm\n", &target), ["allow a *:* rwm", "deny c 1:11 w"]);
    assert!(target.is_reached(&DeviceRules::parse("a *:* rwm\n").expect("list")));
    assert!(!target.is_reached(&DeviceRules::parse("c 1:3 r\n").expect("list")));
}

#[test]
fn a_list_that_is_not_the_kernels_is_malformed() {
    for line in ["", "c 1:3", "d 1:3 rwm", "c x:3 rwm", "c 1:3 rwx"] {
        let error = DeviceRules::parse(&format!("{line}\n")).expect_err(line);
        assert_eq!(error.to_string(), format!("devices.list: unexpected text {line:?}"));
    }
}
