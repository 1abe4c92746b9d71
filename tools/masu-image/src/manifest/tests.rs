//! What is taken for an index or a manifest, and what is refused.

use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn document(fields: &str) -> String {
    let descriptor = format!(r#"{{"mediaType":"{}","digest":"{DIGEST}","size":2}}"#, MediaType::OCI_CONFIG);
    fields.replace("DESCRIPTOR", &descriptor)
}

fn parse(fields: &str, announced: Option<&str>) -> std::result::Result<Document, String> {
    let announced = announced.map(MediaType::parse);
    Document::parse(document(fields).as_bytes(), announced.as_ref(), "manifest X").map_err(|e| e.to_string())
}

#[test]
fn an_index_and_a_manifest_are_told_apart_by_their_fields() {
    let index = parse(r#"{"schemaVersion":2,"manifests":[DESCRIPTOR]}"#, Some(MediaType::OCI_INDEX));
    assert!(matches!(index, Ok(Document::Index(index)) if index.manifests.len() == 1));
    let manifest = parse(r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[]}"#, None);
    assert!(matches!(manifest, Ok(Document::Manifest(manifest)) if manifest.layers.is_empty()));
}

#[test]
fn what_could_be_taken_for_two_things_is_refused() {
    let cases = [
        (
            r#"{"schemaVersion":2,"manifests":[],"config":DESCRIPTOR,"layers":[]}"#,
            None,
            "manifest X: it is an index and a manifest at once (CVE-2021-41190)",
        ),
        (
            r#"{"schemaVersion":2,"manifests":[]}"#,
            Some(MediaType::OCI_MANIFEST),
            "manifest X: announced as application/vnd.oci.image.manifest.v1+json, but its fields are those of an index",
        ),
        (
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":DESCRIPTOR,"layers":[]}"#,
            None,
            "manifest X: mediaType application/vnd.oci.image.index.v1+json, but its fields are those of a manifest",
        ),
        (
            r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":DESCRIPTOR,"layers":[]}"#,
            Some(MediaType::OCI_MANIFEST),
            "manifest X: announced as application/vnd.oci.image.manifest.v1+json, but its mediaType is \
             application/vnd.docker.distribution.manifest.v2+json",
        ),
        (
            r#"{"schemaVersion":2,"config":DESCRIPTOR,"layers":[]}"#,
            Some("text/html"),
            "manifest X: announced as text/html, but its fields are those of a manifest",
        ),
        (r#"{"schemaVersion":3,"manifests":[]}"#, None, "manifest X: schemaVersion is 3, not 2"),
        (
            r#"{"schemaVersion":1,"fsLayers":[]}"#,
            None,
            "manifest X: manifests of schema 1 are not supported: their layers have no digests",
        ),
        (
            r#"{"schemaVersion":2,"layers":[]}"#,
            None,
            "manifest X: missing field `config` at line 1 column 31",
        ),
        (
            r#"{"schemaVersion":2,"schemaVersion":2,"layers":[]}"#,
            None,
            "manifest X: duplicate field `schemaVersion` at line 1 column 34",
        ),
    ];
    for (fields, announced, problem) in cases {
        assert_eq!(parse(fields, announced), Err(problem.to_owned()), "{fields}");
    }
}

#[test]
fn more_layers_than_overlayfs_takes_are_refused() {
    let layers = vec!["DESCRIPTOR"; 501].join(",");
    let fields = format!(r#"{{"schemaVersion":2,"config":DESCRIPTOR,"layers":[{layers}]}}"#);
    assert_eq!(parse(&fields, None), Err("manifest X: 501 layers; 500 is the limit".to_owned()));
}
