//! Layers that nobody would write: random ones, and good ones with random damage. Whatever they are, applying them ends
//! with a tree or an error, the overlay and the merged directory agree, and nothing outside changes.

use super::scratch::Scratch;
use super::tar::{Header, Tar};
use super::tree;
use proptest::prelude::*;

/// Few names, so that members meet.
fn any_path() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        6 => "[abc]".prop_map(String::from),
        2 => "[abc]".prop_map(|name| format!(".wh.{name}")),
        1 => Just(".wh..wh..opq".to_owned()),
        1 => Just(".".to_owned()),
        1 => prop_oneof![Just(".."), Just(""), Just(".wh."), Just(".wh..wh.plnk")].prop_map(str::to_owned),
    ];
    prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

fn any_target() -> impl Strategy<Value = String> {
    prop_oneof![
        any_path(),
        any_path().prop_map(|path| format!("/{path}")),
        any_path().prop_map(|path| format!("../../../../../../../..{path}")),
        Just("OUTSIDE/victim".to_owned()),
        Just("OUTSIDE".to_owned()),
    ]
}

/// A member: its type, path, target or content, and mode.
type Member = (u8, String, String, u32);

fn any_member() -> impl Strategy<Value = Member> {
    let kind =
        prop_oneof![3 => Just(b'0'), 3 => Just(b'5'), 2 => Just(b'2'), 2 => Just(b'1'), 1 => Just(b'6')];
    (kind, any_path(), any_target(), 0o1000..0o1777_u32)
}

fn archive(members: &[Member], outside: &str) -> Tar {
    members.iter().fold(Tar::default(), |tar, (kind, path, target, mode)| {
        let target = target.replace("OUTSIDE", outside);
        let header = Header::new(*kind, path).mode(*mode);
        match kind {
            b'0' => tar.raw(header.size(target.len() as u64), target.as_bytes()),
            b'1' | b'2' => tar.add(header.target(&target)),
            _ => tar.add(header),
        }
    })
}

/// A few, others in every run; `PROPTEST_CASES=100000` fuzzes.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => ProptestConfig { cases: 96, ..default },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn snapshots_and_merging_agree_and_stay_inside(
        layers in prop::collection::vec(prop::collection::vec(any_member(), 1..12), 1..4),
    ) {
        let scratch = Scratch::new();
        let outside = scratch.dir("outside");
        std::fs::write(outside.join("victim"), "unharmed").unwrap();
        let before = tree::read(&outside, true);
        let archives: Vec<Vec<u8>> =
            layers.iter().map(|members| archive(members, outside.to_str().unwrap()).end()).collect();
        let merged = scratch.merged(&archives).map(|root| tree::read(&root, true));
        let seen = scratch.snapshots(&archives).map(|snapshots| scratch.see(&snapshots, true));
        prop_assert_eq!(tree::read(&outside, true), before);
        match (seen, merged) {
            (Ok(seen), Ok(merged)) => prop_assert_eq!(seen, merged),
            (Err(seen), Err(merged)) => prop_assert_eq!(seen.to_string(), merged.to_string()),
            (seen, merged) => prop_assert!(false, "overlay: {:?}\nmerged: {:?}", seen, merged),
        }
    }

    #[test]
    fn damage_ends_with_a_tree_or_an_error(
        members in prop::collection::vec(any_member(), 1..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let scratch = Scratch::new();
        let outside = scratch.dir("outside");
        let mut tar = archive(&members, outside.to_str().unwrap())
            .pax(&[("path", b"long"), ("size", b"3"), ("SCHILY.xattr.user.a", b"b")])
            .raw(Header::new(b'0', "x").size(3), b"abc")
            .end();
        for (place, byte, mends) in damage {
            let place = place.index(tar.len());
            tar[place] = byte;
            // A header with a good checksum gets further.
            if mends {
                mend(&mut tar, place / 512 * 512);
            }
        }
        tar.truncate(cut.index(tar.len()) + 1);
        let result = scratch.snapshots(&[tar]);
        if let Err(error) = result {
            let text = error.to_string();
            prop_assert!(!text.contains(char::is_control) && text.starts_with("layer: "), "{text:?}");
        }
        prop_assert!(tree::read(&outside, false).len() == 1);
    }
}

fn mend(tar: &mut [u8], at: usize) {
    let Some(block) = tar.get_mut(at..at + 512) else { return };
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
