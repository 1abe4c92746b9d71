//! The table of cases by engines, as docs/engines.md shows it: how many cases there are, and where there are none, why.

use std::fmt::Write as _;

use crate::suite::{Case, Engine, Place};

/// The rows, in their order.
const SUBJECTS: &[&str] = &[
    "run",
    "detach",
    "logs",
    "attach",
    "tty and resize",
    "exec",
    "exec, 100 times",
    "health checks",
    "top",
    "stop with a timeout",
    "kill",
    "restart policy",
    "pause and unpause",
    "limits and update",
    "stats",
    "inspect",
    "events",
    "OOM kill",
    "exit codes",
    "volumes",
    "volumes, propagated",
    "--read-only",
    "devices",
    "copy",
    "user namespaces",
    "capabilities",
    "seccomp",
    "--init",
    "--privileged",
    "--network none",
    "--network host",
    "--network bridge",
    "published ports",
    "shared namespaces",
    "pods",
    "build",
    "buildah",
    "a hundred at once",
    "engine killed",
    "refusals",
    "Swarm",
];

const OF_ROOT: &str = "root's Docker shows the same";
const OF_USER: &str = "root's mounts do not propagate into a user's namespace";
const NOT_CTR: &str = "`ctr` has no such thing";

const PODMANS_SISTER: &str = "it shares podman's images and configuration";
const SWARM: &str = "Docker's own";
const NOT_CRI: &str = "the CRI has no such call";
const NOT_KUBERNETES: &str = "Kubernetes has no such thing";
const CRI_SHOWS: &str = "the CRI's column shows the same";
const STREAMS: &str = "the client speaks no SPDY; Kubernetes' column shows it";

/// Why a subject has no case with an engine.
const REASONS: &[(&str, Engine, &str)] = &[
    ("logs", Engine::Containerd, NOT_CTR),
    ("health checks", Engine::Containerd, NOT_CTR),
    ("stop with a timeout", Engine::Containerd, NOT_CTR),
    ("restart policy", Engine::Containerd, NOT_CTR),
    ("volumes, propagated", Engine::RootlessDocker, OF_USER),
    ("user namespaces", Engine::RootlessDocker, "all its containers are in one"),
    ("--network host", Engine::RootlessDocker, "its host's is a network of rootlesskit's"),
    ("pods", Engine::RootlessDocker, "shared namespaces are what it has of them"),
    ("buildah", Engine::RootlessDocker, PODMANS_SISTER),
    ("a hundred at once", Engine::RootlessDocker, OF_ROOT),
    ("engine killed", Engine::RootlessDocker, OF_ROOT),
    ("Swarm", Engine::RootlessDocker, "its overlay networks take root"),
    ("inspect", Engine::Containerd, "`ctr tasks list` is part of the other cases"),
    ("OOM kill", Engine::Containerd, "among the events"),
    ("volumes, propagated", Engine::RootlessPodman, OF_USER),
    ("volumes, propagated", Engine::Containerd, "the same mount options as Docker's"),
    ("devices", Engine::Containerd, "the same fields as Docker's"),
    ("copy", Engine::Containerd, NOT_CTR),
    ("user namespaces", Engine::Docker, "a setting of the whole daemon"),
    ("capabilities", Engine::Containerd, "the same fields as Docker's"),
    ("--init", Engine::Containerd, NOT_CTR),
    ("--network none", Engine::Containerd, "what `ctr` does by default"),
    ("--network bridge", Engine::RootlessPodman, "slirp4netns, as in published ports"),
    ("--network bridge", Engine::Containerd, NOT_CTR),
    ("published ports", Engine::Containerd, NOT_CTR),
    ("pods", Engine::Docker, "shared namespaces are what it has of them"),
    ("pods", Engine::Containerd, NOT_CTR),
    ("build", Engine::Containerd, NOT_CTR),
    ("a hundred at once", Engine::RootlessPodman, "root's podman shows the same"),
    ("attach", Engine::Cri, STREAMS),
    ("tty and resize", Engine::Cri, STREAMS),
    ("top", Engine::Cri, NOT_CRI),
    ("kill", Engine::Cri, NOT_CRI),
    ("restart policy", Engine::Cri, "kubelet's, whose column shows it"),
    ("pause and unpause", Engine::Cri, NOT_CRI),
    ("inspect", Engine::Cri, "part of the other cases"),
    ("events", Engine::Cri, "version 1.6 has none"),
    ("volumes", Engine::Cri, "among the init containers"),
    ("--read-only", Engine::Cri, "among the capabilities"),
    ("devices", Engine::Cri, "the same fields as Docker's"),
    ("copy", Engine::Cri, NOT_CRI),
    ("user namespaces", Engine::Cri, "version 1.6 has none"),
    ("seccomp", Engine::Cri, "among the capabilities"),
    ("--init", Engine::Cri, NOT_CRI),
    ("--network none", Engine::Cri, NOT_CRI),
    ("--network bridge", Engine::Cri, "every pod's: see run"),
    ("shared namespaces", Engine::Cri, "that is what pods are"),
    ("build", Engine::Cri, NOT_CRI),
    ("detach", Engine::Kubernetes, "every pod is in the background"),
    ("exec, 100 times", Engine::Kubernetes, CRI_SHOWS),
    ("top", Engine::Kubernetes, "among the stats, which it reads"),
    ("kill", Engine::Kubernetes, NOT_KUBERNETES),
    ("pause and unpause", Engine::Kubernetes, NOT_KUBERNETES),
    ("inspect", Engine::Kubernetes, "part of the other cases"),
    ("--read-only", Engine::Kubernetes, "among the capabilities"),
    ("devices", Engine::Kubernetes, "a device plugin's, with the same fields as Docker's"),
    ("user namespaces", Engine::Kubernetes, "version 1.20 has none"),
    ("seccomp", Engine::Kubernetes, "among the capabilities"),
    ("--init", Engine::Kubernetes, NOT_KUBERNETES),
    ("--network none", Engine::Kubernetes, NOT_KUBERNETES),
    ("--network bridge", Engine::Kubernetes, "every pod's: see run"),
    ("shared namespaces", Engine::Kubernetes, "that is what pods are"),
    ("build", Engine::Kubernetes, NOT_KUBERNETES),
    ("a hundred at once", Engine::Kubernetes, "containerd's column shows the same"),
    ("Swarm", Engine::Kubernetes, SWARM),
    ("buildah", Engine::Kubernetes, PODMANS_SISTER),
    ("buildah", Engine::Docker, PODMANS_SISTER),
    ("buildah", Engine::Containerd, PODMANS_SISTER),
    ("buildah", Engine::Cri, PODMANS_SISTER),
    ("a hundred at once", Engine::Cri, "containerd's column shows the same"),
    ("refusals", Engine::Cri, "among the exit codes"),
    ("engine killed", Engine::Cri, "containerd's column shows the same"),
    ("Swarm", Engine::Podman, SWARM),
    ("Swarm", Engine::RootlessPodman, SWARM),
    ("Swarm", Engine::Containerd, SWARM),
    ("Swarm", Engine::Cri, SWARM),
];

/// The table and, below it, the reasons.
pub(crate) fn markdown(cases: &[Case]) -> String {
    let mut text = String::from("| |");
    let mut rule = String::from("\n|---|");
    for engine in Engine::ALL {
        text += &format!(" {} |", engine.name());
        rule += "---|";
    }
    text += &rule;
    let mut notes: Vec<&str> = Vec::new();
    for subject in SUBJECTS {
        text += &format!("\n| {subject} |");
        for engine in Engine::ALL {
            text += &format!(" {} |", cell(cases, subject, engine, &mut notes));
        }
    }
    text.push('\n');
    for (number, note) in notes.iter().enumerate() {
        write!(text, "\n{}. {note}", number + 1).ok(); // ignored: a String takes everything
    }
    text.push('\n');
    text
}

/// How many cases there are, and how many more in the machine, or the number of the note that says why there is none.
fn cell(cases: &[Case], subject: &str, engine: Engine, notes: &mut Vec<&str>) -> String {
    let of_cell = cases.iter().filter(|case| case.engine == engine && case.subject == subject);
    let (anywhere, in_machine): (Vec<_>, Vec<_>) = of_cell.partition(|case| case.place == Place::Anywhere);
    match (anywhere.len(), in_machine.len()) {
        (0, 0) => {}
        (count, 0) => return count.to_string(),
        (0, more) => return format!("{more} VM"),
        (count, more) => return format!("{count} + {more} VM"),
    }
    let Some((.., reason)) = REASONS.iter().find(|one| one.0 == subject && one.1 == engine) else {
        return "?".to_owned();
    };
    let known = notes.iter().position(|note| note == reason).unwrap_or_else(|| {
        notes.push(reason);
        notes.len() - 1
    });
    format!("– ({})", known + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;

    const DOCUMENT: &str = include_str!("../../../docs/engines.md");

    #[test]
    fn every_cell_has_a_case_or_a_reason_and_none_has_both() {
        let cases = cases::all();
        for case in &cases {
            assert!(SUBJECTS.contains(&case.subject), "{} is no row", case.subject);
        }
        for subject in SUBJECTS {
            for engine in Engine::ALL {
                let has_cases = cases.iter().any(|case| case.engine == engine && case.subject == *subject);
                let has_reason = REASONS.iter().any(|one| one.0 == *subject && one.1 == engine);
                assert!(has_cases != has_reason, "{subject}, {}: {has_cases}", engine.name());
            }
        }
    }

    #[test]
    fn the_document_has_the_table_of_the_cases() {
        let table = markdown(&cases::all());
        assert!(
            DOCUMENT.contains(&table),
            "docs/engines.md lacks what `masu-engine-tests --table` prints:\n{table}"
        );
    }
}
