//! Images that a test makes, in memory.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The digest of `bytes`, with its algorithm.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A tar with one file of `content` (POSIX.1-1988, "ustar").
///
/// # Panics
/// When the name is longer than 99 bytes.
#[must_use]
pub fn tar_of_one_file(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    assert!(name.len() < 100);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    tar
}

/// An image of one platform with layers that are not compressed.
#[derive(Debug, Clone)]
pub struct SampleImage {
    /// The layers, the lowest first.
    pub layers: Vec<Vec<u8>>,
    /// The configuration.
    pub config: Vec<u8>,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// Its media type.
    pub media_type: String,
    /// What it runs on.
    pub platform: (String, String),
}

impl SampleImage {
    /// An image for linux/amd64 with a layer for each text; the texts are the content of the files `/0`, `/1`, ...
    #[must_use]
    pub fn new(texts: &[&[u8]]) -> Self {
        Self::for_platform("linux", "amd64", texts)
    }

    /// The same for another platform.
    ///
    /// # Panics
    /// Never: what it writes is JSON.
    #[must_use]
    pub fn for_platform(os: &str, architecture: &str, texts: &[&[u8]]) -> Self {
        let layers: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(number, text)| tar_of_one_file(&number.to_string(), text))
            .collect();
        let diff_ids: Vec<_> = layers.iter().map(|layer| sha256(layer)).collect();
        let config = json!({
            "architecture": architecture,
            "os": os,
            "config": { "Cmd": ["/bin/true"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
        let mut image = Self {
            layers,
            config: config.to_string().into_bytes(),
            manifest: Vec::new(),
            media_type,
            platform: (os.to_owned(), architecture.to_owned()),
        };
        image.manifest = image.manifest_json().to_string().into_bytes();
        image
    }

    /// The same with a configuration that is changed.
    ///
    /// # Panics
    /// When its configuration is no JSON.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut config = serde_json::from_slice(&self.config).expect("JSON");
        change(&mut config);
        self.config = config.to_string().into_bytes();
        self.manifest = self.manifest_json().to_string().into_bytes();
        self
    }

    /// Its manifest, to be changed.
    #[must_use]
    pub fn manifest_json(&self) -> Value {
        let descriptor = |media_type: &str, bytes: &[u8]| json!({ "mediaType": media_type, "digest": sha256(bytes), "size": bytes.len() });
        let layers: Vec<_> = self
            .layers
            .iter()
            .map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer))
            .collect();
        json!({
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &self.config),
            "layers": layers,
        })
    }

    /// The digest of its manifest.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256(&self.manifest)
    }

    /// An index of several images.
    #[must_use]
    pub fn index(images: &[&Self]) -> Vec<u8> {
        let entries: Vec<_> = images
            .iter()
            .map(|image| {
                json!({
                    "mediaType": image.media_type,
                    "digest": image.digest(),
                    "size": image.manifest.len(),
                    "platform": { "os": image.platform.0, "architecture": image.platform.1 },
                })
            })
            .collect();
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": entries,
        })
        .to_string()
        .into_bytes()
    }
}
