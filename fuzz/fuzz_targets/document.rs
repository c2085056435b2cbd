//! Manifests, indexes and configurations: what is accepted is written as what is read again, and is never two things at once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mydocker_img::image::{Document, ImageConfig, Kind, MediaType};
use mydocker_img::plan::layer_jobs;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let kinds =
        [MediaType::OCI_MANIFEST, MediaType::OCI_INDEX, MediaType::DOCKER_MANIFEST, MediaType::DOCKER_LIST];
    let announced = kinds.map(|kind| Some(MediaType::new(kind)));
    let documents: Vec<Document> = announced
        .iter()
        .chain([&None])
        .filter_map(|announced| Document::parse(bytes, announced.as_ref()).ok())
        .collect();
    let indexes = documents.iter().filter(|document| matches!(document, Document::Index(_))).count();
    assert!(indexes == 0 || indexes == documents.len(), "a manifest and an index at once");
    let config = ImageConfig::parse(bytes).ok();
    if let Some(config) = &config {
        assert_eq!(config.rootfs.stacked().len(), config.rootfs.diff_ids.len());
    }
    // What is read of a number with a point is not always what was written.
    if serde_json::from_slice::<Value>(bytes).is_ok_and(|value| has_fraction(&value)) {
        return;
    }
    for document in &documents {
        check(document, config.as_ref());
    }
    if let Some(config) = config {
        let text = serde_json::to_vec(&config).expect("a configuration can be written");
        assert_eq!(ImageConfig::parse(&text).expect("what was written can be read"), config);
    }
});

fn check(document: &Document, config: Option<&ImageConfig>) {
    let kind = document.media_type(None).kind();
    let text = match document {
        Document::Manifest(manifest) => {
            assert_eq!(kind, Kind::Manifest);
            if let Some(Ok(jobs)) = config.map(|config| layer_jobs(manifest, config)) {
                assert_eq!(jobs.len(), manifest.layers.len());
            }
            serde_json::to_vec(manifest)
        }
        Document::Index(index) => {
            assert_eq!(kind, Kind::Index);
            serde_json::to_vec(index)
        }
    };
    let text = text.expect("a document can be written");
    let again =
        Document::parse(&text, Some(&document.media_type(None))).expect("what was written can be read");
    assert_eq!(again, *document);
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(values) => values.iter().any(has_fraction),
        Value::Object(fields) => fields.values().any(has_fraction),
        _ => false,
    }
}
