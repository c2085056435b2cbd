//! Signatures of images, as cosign makes them.

use super::{Img, SampleImage};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const COSIGN: &str = "dev.cosignproject.cosign/signature";

/// Runs openssl, and returns what it prints.
///
/// # Panics
/// When it fails.
pub fn openssl(words: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(words).output().expect("openssl");
    assert!(output.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A pair of keys, by their files.
#[derive(Debug)]
pub struct Keys {
    private: PathBuf,
    /// The file with the public one, in PEM.
    pub public: PathBuf,
    is_ed25519: bool,
}

impl Keys {
    /// Keys of a kind that openssl knows by these words.
    ///
    /// # Panics
    /// When openssl cannot make them.
    #[must_use]
    pub fn new(img: &Img, name: &str, kind: &[&str]) -> Self {
        let (private, public) = (img.path(&format!("{name}.key")), img.path(&format!("{name}.pub")));
        let file = |path: &PathBuf| path.display().to_string();
        openssl(&[&["genpkey", "-out", &file(&private), "-algorithm"], kind].concat());
        openssl(&["pkey", "-in", &file(&private), "-pubout", "-out", &file(&public)]);
        Self { private, public, is_ed25519: kind == ["ed25519"] }
    }

    /// Keys of ECDSA on P-256.
    #[must_use]
    pub fn p256(img: &Img, name: &str) -> Self {
        Self::new(img, name, &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    }

    /// The signature of a message in base64.
    ///
    /// # Panics
    /// When openssl cannot make it.
    #[must_use]
    pub fn sign(&self, img: &Img, message: &[u8]) -> String {
        self.sign_with(img, message, "-sha256")
    }

    /// The same with another digest than SHA-256, unless it is a key that has its own.
    ///
    /// # Panics
    /// When openssl cannot make it.
    #[must_use]
    pub fn sign_with(&self, img: &Img, message: &[u8], digest: &str) -> String {
        let file = img.path("message");
        fs::write(&file, message).expect("room");
        let (key, file) = (self.private.display().to_string(), file.display().to_string());
        let signature = match self.is_ed25519 {
            true => openssl(&["pkeyutl", "-sign", "-rawin", "-inkey", &key, "-in", &file]),
            false => openssl(&["dgst", digest, "-sign", &key, &file]),
        };
        BASE64_STANDARD.encode(signature)
    }

    /// The name of the file with the public one.
    ///
    /// # Panics
    /// When it is no UTF-8.
    #[must_use]
    pub fn public(&self) -> &str {
        self.public.to_str().expect("UTF-8")
    }
}

/// What cosign signs of an image.
#[must_use]
pub fn payload(name: &str, digest: &str) -> Vec<u8> {
    json!({
        "critical": {
            "identity": { "docker-reference": name },
            "image": { "docker-manifest-digest": digest },
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string()
    .into_bytes()
}

/// An artifact with one layer.
#[must_use]
pub fn artifact(media_type: &str, content: Vec<u8>, annotations: Value) -> SampleImage {
    let mut image = SampleImage::new(&[b""]);
    image.layers = vec![content];
    let mut manifest = image.manifest_json();
    manifest["layers"][0]["mediaType"] = json!(media_type);
    manifest["layers"][0]["annotations"] = annotations;
    image.manifest = manifest.to_string().into_bytes();
    image
}

/// What cosign keeps of a signature in a registry.
#[must_use]
pub fn signature(img: &Img, keys: &Keys, payload: Vec<u8>) -> SampleImage {
    let text = keys.sign(img, &payload);
    signature_of(payload, &text)
}

/// The same of a signature in base64 that is there.
#[must_use]
pub fn signature_of(payload: Vec<u8>, text: &str) -> SampleImage {
    artifact("application/vnd.dev.cosign.simplesigning.v1+json", payload, json!({ COSIGN: text }))
}

/// The tag under which something about a digest is kept.
#[must_use]
pub fn tag(digest: &str, ending: &str) -> String {
    digest.replace(':', "-") + ending
}
