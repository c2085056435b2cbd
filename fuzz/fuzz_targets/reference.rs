//! Names of images: what is accepted is written as what is read again, and can be put into a URL or a path as it is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mydocker_img::reference::Reference;

fuzz_target!(|text: &str| {
    let reference = match Reference::parse(text) {
        Ok(reference) => reference,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(Reference::parse(&reference.to_string()).as_ref(), Ok(&reference));
    assert_eq!(Reference::parse(&reference.familiar()).as_ref(), Ok(&reference));
    let or_latest = reference.clone().or_latest();
    assert_eq!(or_latest.clone().or_latest(), or_latest);
    let mut parts = reference.repository().split('/');
    assert!(parts.all(|part| !part.is_empty() && !part.starts_with('.')), "{reference}");
    assert!(!reference.version().contains('/') && !reference.version().starts_with('.'), "{reference}");
    assert!(reference.to_string().bytes().all(|byte| byte.is_ascii_graphic()), "{reference}");
});
