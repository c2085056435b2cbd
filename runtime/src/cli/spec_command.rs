//! `spec`: writes a `config.json` to begin with.

use super::SpecArgs;
use crate::spec::{DefaultOptions, Spec, default_spec};
use mydocker_sys::fs::{AT_FDCWD, OFlag, fs_magic, open, openat, write_fully};
use mydocker_sys::{Errno, process};
use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use std::path::{Path, PathBuf};

/// The name of the configuration in a bundle.
const CONFIG: &str = "config.json";

/// The file system type of cgroup v2 (`statfs(2)`).
const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;

/// Why no configuration was written.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// There is one.
    #[error("File {} exists. Remove it first", .0.display())]
    Exists(PathBuf),
    /// The bundle directory cannot be opened.
    #[error("cannot open the bundle directory")]
    Bundle(#[source] mydocker_sys::Error),
    /// The file cannot be made or written.
    #[error("cannot write the configuration")]
    Write(#[source] mydocker_sys::Error),
    /// It cannot be put into JSON.
    #[error("cannot put the configuration into JSON")]
    Json(#[from] serde_json::Error),
}

impl SpecError {
    /// A stable name of the kind of error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exists(_) => "config-exists",
            Self::Bundle(_) => "bundle-unopenable",
            Self::Write(_) | Self::Json(_) => "config-unwritable",
        }
    }
}

/// Writes the configuration into the bundle; what is there already stays.
///
/// # Errors
/// [`SpecError`]; nothing is written if the file exists.
pub fn write_spec(args: &SpecArgs) -> Result<(), SpecError> {
    let options = DefaultOptions {
        cgroup2: is_cgroup2_alone(),
        rootless: args.rootless.then(|| (process::euid(), process::egid())),
    };
    let text = spec_text(&default_spec(options))?;
    let bundle = args.bundle.as_deref().unwrap_or(Path::new("."));
    let dir = open(bundle, OFlag::O_PATH | OFlag::O_DIRECTORY).map_err(SpecError::Bundle)?;
    // O_EXCL: also a file that appears in this moment, or a link that leads elsewhere, is not written to.
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let file = openat(&dir, Path::new(CONFIG), flags, 0o666).map_err(|error| match error.errno() {
        Errno::EEXIST => SpecError::Exists(args.bundle.as_deref().unwrap_or(Path::new("")).join(CONFIG)),
        _ => SpecError::Write(error),
    })?;
    write_fully(&file, &text).map_err(SpecError::Write)
}

/// The text as Go writes it with tabs: no line break at the end.
fn spec_text(spec: &Spec) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(4096);
    spec.serialize(&mut serde_json::Serializer::with_formatter(
        &mut text,
        PrettyFormatter::with_indent(b"\t"),
    ))?;
    Ok(text)
}

/// Whether all controllers are in cgroup v2: then it is mounted where v1's directories are else.
fn is_cgroup2_alone() -> bool {
    let magic = openat(AT_FDCWD, Path::new("/sys/fs/cgroup"), OFlag::O_PATH, 0).and_then(fs_magic);
    magic == Ok(CGROUP2_SUPER_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::fs;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = PathBuf::from(format!("/tmp/mydocker-spec-test-{}-{name}", std::process::id()));
            fs::create_dir(&path).expect("a new directory");
            Self(path)
        }

        fn config(&self) -> PathBuf {
            self.0.join(CONFIG)
        }

        fn write(&self, rootless: bool) -> Result<(), SpecError> {
            write_spec(&SpecArgs { bundle: Some(self.0.clone()), rootless })
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).expect("removable");
        }
    }

    fn value(options: DefaultOptions) -> Value {
        serde_json::to_value(default_spec(options)).expect("JSON")
    }

    #[test]
    fn the_text_is_gos_with_tabs() {
        let text = String::from_utf8(spec_text(&default_spec(DefaultOptions::default())).expect("JSON"));
        let text = text.expect("UTF-8");
        assert!(
            text.starts_with("{\n\t\"ociVersion\": \"1.3.0\",\n\t\"process\": {\n\t\t\"terminal\": true,")
        );
        assert!(text.ends_with("\n}"));
        let user =
            "\"user\": {\n\t\t\t\"uid\": 0,\n\t\t\t\"gid\": 0\n\t\t},\n\t\t\"args\": [\n\t\t\t\"sh\"\n\t\t],";
        assert!(text.contains(user), "{text}");
    }

    #[test]
    fn what_is_written_can_be_read_back() {
        let directory = Directory::new("written");
        directory.write(false).expect("written");
        let bytes = fs::read(directory.config()).expect("readable");
        let options = DefaultOptions { cgroup2: is_cgroup2_alone(), rootless: None };
        assert_eq!(crate::spec::parse(&bytes).expect("valid"), default_spec(options));
    }

    #[test]
    fn an_existing_file_or_link_stays_and_is_refused_in_runcs_words() {
        let directory = Directory::new("exists");
        fs::write(directory.config(), "mine").expect("writable");
        let error = directory.write(false).expect_err("refused");
        let path = directory.config();
        assert_eq!(error.to_string(), format!("File {} exists. Remove it first", path.display()));
        assert_eq!(fs::read(&path).expect("readable"), b"mine");
        fs::remove_file(&path).expect("removable");
        std::os::unix::fs::symlink("elsewhere", &path).expect("a link");
        assert!(matches!(directory.write(false), Err(SpecError::Exists(_))));
        assert!(!directory.0.join("elsewhere").exists());
    }

    #[test]
    fn a_bundle_that_is_not_there_is_named() {
        let args = SpecArgs { bundle: Some("/no/such/bundle".into()), rootless: false };
        let error = write_spec(&args).expect_err("refused");
        assert!(std::error::Error::source(&error).is_some_and(|e| e.to_string().contains("/no/such/bundle")));
    }

    #[test]
    fn cgroup_v2_gives_a_cgroup_namespace() {
        let types =
            |cgroup2| value(DefaultOptions { cgroup2, rootless: None })["linux"]["namespaces"].clone();
        assert_eq!(types(false).as_array().map(Vec::len), Some(5));
        assert_eq!(types(true)[5], json!({"type": "cgroup"}));
    }

    #[test]
    fn an_ordinary_user_gets_a_user_namespace_and_nothing_that_needs_root() {
        let spec = value(DefaultOptions { cgroup2: false, rootless: Some((1000, 100)) });
        let linux = &spec["linux"];
        assert_eq!(linux["uidMappings"], json!([{"containerID": 0, "hostID": 1000, "size": 1}]));
        assert_eq!(linux["gidMappings"], json!([{"containerID": 0, "hostID": 100, "size": 1}]));
        assert_eq!(linux["namespaces"].as_array().map(Vec::len), Some(5));
        assert_eq!(linux["namespaces"][4], json!({"type": "user"}));
        assert_eq!(linux.get("resources"), None);
        assert!(!spec.to_string().contains("gid=5"));
        assert_eq!(spec["mounts"][5]["options"][0], "rbind");
    }

    /// Debian's runc 1.1.5 as the oracle.
    #[test]
    fn privileged_the_default_is_that_of_runc_but_for_the_version() {
        for rootless in [false, true] {
            let directory = Directory::new(if rootless { "oracle-rootless" } else { "oracle" });
            let mut runc = std::process::Command::new("runc");
            runc.arg("spec").args(rootless.then_some("--rootless")).current_dir(&directory.0);
            assert!(runc.status().expect("runc is installed").success());
            let bytes = fs::read(directory.config()).expect("readable");
            let mut theirs: Value = serde_json::from_slice(&bytes).expect("JSON");
            theirs["ociVersion"] = json!("1.3.0");
            let options = DefaultOptions {
                cgroup2: is_cgroup2_alone(),
                rootless: rootless.then(|| (process::euid(), process::egid())),
            };
            assert_eq!(value(options), theirs);
        }
    }
}
