//! Mounts: `-v`, `--mount` and `--tmpfs`.

use super::{RequestError, bad, bytes};
use crate::container::{Mount, MountKind};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// Words of `-v` that say how a bind propagates.
const PROPAGATIONS: &[&str] = &["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/// What docker has for hosts that share files with a virtual machine. Here there is none between, so that they are all the
/// same.
const CONSISTENCIES: &[&str] = &["default", "consistent", "cached", "delegated"];

/// Reads what `-v` takes: `HOST-PATH:PATH[:OPTIONS]`, `VOLUME:PATH[:OPTIONS]`, or `PATH` for an anonymous volume.
///
/// # Errors
/// [`RequestError::Value`].
pub fn volume(text: &str) -> Result<Mount, RequestError> {
    let wrong = |problem: &str| bad("volume", text, problem);
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, mode) = match *parts {
        [destination] => ("", destination, ""),
        [source, destination] => (source, destination, ""),
        [source, destination, mode] => (source, destination, mode),
        _ => return Err(wrong("it has more than SOURCE:PATH:OPTIONS; --mount can name paths with colons")),
    };
    let destination = absolute(destination)
        .ok_or_else(|| wrong("the path in the container is not absolute, or is the root itself"))?;
    if parts.len() > 1 && source.is_empty() {
        return Err(wrong("before the colon there is neither a path nor the name of a volume"));
    }
    let mut mount = if source.starts_with('/') {
        bind(source, destination)
    } else {
        named(source, destination).ok_or_else(|| wrong(VOLUME_NAME))?
    };
    mount.create_source = mount.kind == MountKind::Bind;
    apply(mode, &mut mount).map_err(|problem| wrong(&problem))?;
    Ok(mount)
}

/// The options of `-v`, of which none may say what another one denies.
fn apply(mode: &str, mount: &mut Mount) -> Result<(), String> {
    let words = || mode.split(',').filter(|word| !word.is_empty());
    let count = |among: &[&str]| words().filter(|word| among.contains(word)).count();
    if count(&["ro", "readonly", "rw"]) > 1 || count(PROPAGATIONS) > 1 {
        return Err("two of its options say different things about the same".to_owned());
    }
    mount.mode = mode.to_owned();
    let is_bind = mount.kind == MountKind::Bind;
    for word in words() {
        match word {
            "ro" | "readonly" => mount.writable = false,
            "rw" => {}
            word if CONSISTENCIES.contains(&word) => {}
            // What is not to be filled from the image.
            "nocopy" if !is_bind => mount.copy_up = false,
            // Labels of SELinux, which docker leaves out as well where that is off.
            "z" | "Z" => {}
            word if PROPAGATIONS.contains(&word) && is_bind => word.clone_into(&mut mount.propagation),
            "nosuid" | "nodev" | "noexec" | "suid" | "dev" | "exec" => mount.options.push(word.to_owned()),
            _ => {
                return Err(format!(
                    "the option {word:?} is not known; there are ro, rw, nocopy, z, Z, nosuid, nodev, noexec and the propagations"
                ));
            }
        }
    }
    Ok(())
}

const VOLUME_NAME: &str = "it is neither an absolute path nor the name of a volume; names begin with a letter or a digit, and letters, digits, '_', '.' and '-' follow";

/// Whether a volume may be called so.
#[must_use]
pub fn is_volume_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && name.len() > 1
        && name.len() <= 255
}

fn bind(source: &str, destination: PathBuf) -> Mount {
    Mount {
        source: PathBuf::from(source),
        propagation: "rprivate".to_owned(),
        ..empty(MountKind::Bind, destination)
    }
}

fn named(name: &str, destination: PathBuf) -> Option<Mount> {
    let volume = Mount { copy_up: true, ..empty(MountKind::Volume, destination) };
    match name {
        "" => Some(Mount { anonymous: true, ..volume }),
        name if is_volume_name(name) => Some(Mount { name: Some(name.to_owned()), ..volume }),
        _ => None,
    }
}

fn empty(kind: MountKind, destination: PathBuf) -> Mount {
    Mount {
        kind,
        name: None,
        anonymous: false,
        source: PathBuf::new(),
        destination,
        mode: String::new(),
        writable: true,
        propagation: String::new(),
        options: Vec::new(),
        copy_up: false,
        create_source: false,
        subpath: None,
        volume_options: BTreeMap::new(),
        volume_labels: BTreeMap::new(),
    }
}

/// An anonymous volume, as an image asks for it.
#[must_use]
pub fn anonymous(destination: &str) -> Option<Mount> {
    absolute(destination).and_then(|destination| named("", destination))
}

/// The path without `.`, `..` and doubled slashes, which is a matter of words alone; `None` for one that is not absolute,
/// or is the root.
fn absolute(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let plain = plain(path);
    (path.is_absolute() && plain.parent().is_some()).then_some(plain)
}

/// The same of a path that is absolute.
#[must_use]
pub fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            // Nothing is above the root.
            Component::ParentDir => drop(plain.pop()),
            _ => {}
        }
    }
    plain
}

/// Reads what `--tmpfs` takes: `PATH[:OPTIONS]`.
///
/// # Errors
/// [`RequestError::Value`].
pub fn tmpfs(text: &str) -> Result<Mount, RequestError> {
    let (path, mode) = text.split_once(':').unwrap_or((text, ""));
    let destination = absolute(path).ok_or_else(|| {
        bad("tmpfs", text, "the path in the container is not absolute, or is the root itself")
    })?;
    let mut mount = empty(MountKind::Tmpfs, destination);
    mount.mode = mode.to_owned();
    mount.options = ["noexec", "nosuid", "nodev"].map(str::to_owned).to_vec();
    for word in mode.split(',').filter(|word| !word.is_empty()) {
        let opposite = match word {
            "exec" => Some("noexec"),
            "suid" => Some("nosuid"),
            "dev" => Some("nodev"),
            _ => None,
        };
        mount.options.retain(|option| Some(&**option) != opposite && option != word);
        mount.options.push(word.to_owned());
        mount.writable &= word != "ro";
    }
    Ok(mount)
}

/// Reads what `--mount` takes: `type=bind,source=...,target=...`, fields in any order, in double quotes where they have
/// commas.
///
/// # Errors
/// [`RequestError::Value`].
pub fn mount(text: &str) -> Result<Mount, RequestError> {
    let wrong = |problem: String| bad("mount", text, problem);
    let mut given = Given::default();
    for field in fields(text) {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.trim().to_ascii_lowercase(), Some(value.to_owned())),
            None => (field.trim().to_ascii_lowercase(), None),
        };
        given.take(&key, value.as_deref()).map_err(wrong)?;
    }
    given.finish().map_err(wrong)
}

/// The fields of `--mount` as they come.
#[derive(Default)]
struct Given {
    kind: Option<MountKind>,
    source: String,
    target: String,
    readonly: bool,
    propagation: Option<String>,
    is_recursive: Option<bool>,
    is_readonly_below: bool,
    nocopy: bool,
    subpath: Option<PathBuf>,
    create_source: bool,
    options: Vec<String>,
    volume_options: BTreeMap<String, String>,
    volume_labels: BTreeMap<String, String>,
}

impl Given {
    fn take(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let text = || {
            value
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| format!("{key} has no value"))
        };
        let truth = || {
            mydocker_cmdline::parse_bool(value.unwrap_or("true"))
                .map_err(|problem| format!("{key}: {problem}"))
        };
        match key {
            "type" => self.kind = Some(kind(&text()?)?),
            "source" | "src" => self.source = text()?,
            "target" | "destination" | "dst" => self.target = text()?,
            "readonly" | "ro" => self.readonly = truth()?,
            "bind-propagation" if PROPAGATIONS.contains(&&*text()?) => self.propagation = Some(text()?),
            "bind-propagation" => {
                return Err(format!("the propagation {:?} is none of {}", text()?, PROPAGATIONS.join(", ")));
            }
            "bind-recursive" => self.recursion(&text()?)?,
            "consistency" if CONSISTENCIES.contains(&&*text()?) => {}
            "consistency" => {
                return Err(format!("the consistency {:?} is none of {}", text()?, CONSISTENCIES.join(", ")));
            }
            "bind-nonrecursive" => self.is_recursive = Some(!truth()?),
            "bind-create-src" => self.create_source = truth()?,
            "volume-nocopy" => self.nocopy = truth()?,
            "volume-subpath" => self.subpath = Some(below(&text()?)?),
            "tmpfs-size" => {
                let size = bytes("mount", &text()?).map_err(|_| "tmpfs-size is no size, such as 64m")?;
                self.options.push(format!("size={size}"));
            }
            "tmpfs-mode" => {
                u32::from_str_radix(&text()?, 8)
                    .map_err(|_| "tmpfs-mode is no octal number, such as 1777")?;
                self.options.push(format!("mode={}", text()?));
            }
            "volume-opt" => pair(&text()?, &mut self.volume_options),
            "volume-label" => pair(&text()?, &mut self.volume_labels),
            "volume-driver" if value == Some("local") => {}
            _ => {
                return Err(format!(
                    "the field {key:?} is not known; there are type, source, target, readonly, bind-propagation, bind-recursive, bind-nonrecursive, bind-create-src, consistency, volume-nocopy, volume-subpath, volume-opt, volume-label, volume-driver, tmpfs-size and tmpfs-mode"
                ));
            }
        }
        Ok(())
    }

    /// What is mounted below the source comes as well, or does not, or is read-only like the source.
    fn recursion(&mut self, word: &str) -> Result<(), String> {
        match word {
            "enabled" | "writable" => self.is_recursive = Some(true),
            "readonly" => (self.is_recursive, self.is_readonly_below) = (Some(true), true),
            "disabled" => self.is_recursive = Some(false),
            _ => return Err("bind-recursive is none of enabled, disabled, writable and readonly".to_owned()),
        }
        Ok(())
    }

    fn finish(self) -> Result<Mount, String> {
        let destination =
            absolute(&self.target).ok_or("target is missing, or is not an absolute path below the root")?;
        let mut mount = match self.kind.unwrap_or(MountKind::Volume) {
            MountKind::Bind if self.source.starts_with('/') => bind(&self.source, destination),
            MountKind::Bind => return Err("source is missing, or is not an absolute path".to_owned()),
            MountKind::Volume => named(&self.source, destination).ok_or(VOLUME_NAME)?,
            MountKind::Tmpfs if self.source.is_empty() => {
                let mut mount = empty(MountKind::Tmpfs, destination);
                mount.options = ["noexec", "nosuid", "nodev"].map(str::to_owned).to_vec();
                mount
            }
            MountKind::Tmpfs => return Err("a tmpfs has no source".to_owned()),
        };
        self.check(mount.kind)?;
        if let Some(propagation) = self.propagation {
            mount.propagation = propagation;
        }
        if self.is_recursive == Some(false) {
            mount.options.push("bind".to_owned());
        }
        if self.is_readonly_below {
            mount.options.push("rro".to_owned());
        }
        mount.writable = !self.readonly;
        // What is a part of a volume is there already.
        mount.copy_up &= !self.nocopy && self.subpath.is_none();
        mount.subpath = self.subpath;
        mount.create_source = self.create_source;
        mount.options.extend(self.options);
        mount.volume_options = self.volume_options;
        mount.volume_labels = self.volume_labels;
        Ok(mount)
    }

    fn check(&self, kind: MountKind) -> Result<(), String> {
        let has_bind = self.propagation.is_some() || self.is_recursive.is_some() || self.create_source;
        let has_volume = self.nocopy
            || self.subpath.is_some()
            || !self.volume_options.is_empty()
            || !self.volume_labels.is_empty();
        let misfit = match kind {
            MountKind::Bind => has_volume || !self.options.is_empty(),
            MountKind::Volume => has_bind || !self.options.is_empty(),
            MountKind::Tmpfs => has_bind || has_volume,
        };
        if self.is_readonly_below && !self.readonly {
            return Err("bind-recursive=readonly goes with readonly".to_owned());
        }
        if kind == MountKind::Volume && self.subpath.is_some() && self.source.is_empty() {
            return Err("volume-subpath needs source: a volume without a name is new and empty".to_owned());
        }
        if misfit {
            Err(format!("there are fields that a mount of type {kind:?} does not have").to_lowercase())
        } else {
            Ok(())
        }
    }
}

/// The path of a part of a volume.
fn below(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let is_below = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let plain: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    if path.components().all(is_below) && !plain.as_os_str().is_empty() {
        return Ok(plain);
    }
    Err(format!("volume-subpath {text:?} is no path below the volume, such as 'cache/web'"))
}

fn pair(text: &str, pairs: &mut BTreeMap<String, String>) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    pairs.insert(name.to_owned(), value.to_owned());
}

fn kind(text: &str) -> Result<MountKind, String> {
    match &*text.to_ascii_lowercase() {
        "bind" => Ok(MountKind::Bind),
        "volume" => Ok(MountKind::Volume),
        "tmpfs" => Ok(MountKind::Tmpfs),
        _ => Err(format!("the type {text:?} is none of bind, volume and tmpfs")),
    }
}

/// The fields of a line of comma-separated values (RFC 4180).
fn fields(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    for c in text.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            c => {
                if let Some(field) = fields.last_mut() {
                    field.push(c);
                }
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_those_of_docker() {
        let mount = volume("/srv/a:/data:ro,rslave").expect("a bind");
        assert_eq!((mount.kind, mount.writable, &*mount.propagation), (MountKind::Bind, false, "rslave"));
        assert_eq!((mount.source, mount.destination), ("/srv/a".into(), "/data".into()));
        let mount = volume("cache:/var//cache/.").expect("a volume");
        assert_eq!(
            (mount.kind, mount.name.as_deref(), mount.copy_up),
            (MountKind::Volume, Some("cache"), true)
        );
        assert_eq!(mount.destination, Path::new("/var/cache"));
        assert!(volume("/data").expect("an anonymous one").anonymous);
        assert_eq!(volume("/a:/b/../../c").expect("a bind").destination, Path::new("/c"));
        assert!(volume("/a:/b:cached,ro").is_ok() && volume("vol:/b:cached").is_ok());
        for text in [
            "data",
            "a:b",
            ":/a",
            "a:/",
            "../x:/a",
            "/a:/b:c",
            "/a:/b/..",
            "/a:/b:ro,rw",
            "/a:/b:slave,shared",
            "/a:/b:ro:x",
            "a b:/c",
            "/a:/b:nocopy",
        ] {
            assert!(volume(text).is_err(), "{text}");
        }
    }

    #[test]
    fn mounts_are_those_of_docker() {
        let bind = mount("type=bind,\"source=/a,b\",dst=/c,readonly").expect("a bind");
        assert_eq!((bind.kind, bind.writable, &*bind.source), (MountKind::Bind, false, Path::new("/a,b")));
        let memory = mount("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1777").expect("a tmpfs");
        assert!(memory.options.ends_with(&["size=1048576".to_owned(), "mode=1777".to_owned()]));
        assert!(mount("target=/t,src=vol").expect("a volume").copy_up);
        let part = mount("src=vol,dst=/b,volume-subpath=./c/d").expect("a part of a volume");
        assert_eq!((part.subpath.as_deref(), part.copy_up), (Some(Path::new("c/d")), false));
        assert!(mount("type=BIND,src=/a,dst=/b,consistency=cached").is_ok());
        let below = mount("type=bind,src=/a,dst=/b,ro,bind-recursive=readonly").expect("a bind");
        assert_eq!(below.options, ["rro"]);
        for text in [
            "",
            "type=bind,target=/a",
            "type=nfs,target=/a",
            "type=tmpfs,target=/a,volume-nocopy",
            "target=a",
            "type=bind,src=a,dst=/b",
            "target=/a,colour=red",
            "type=tmpfs,target=/a,tmpfs-mode=9",
            "type=bind,src=/a,dst=/b,consistency=none",
            "type=bind,src=/a,dst=/b,volume-subpath=c",
            "dst=/b,volume-subpath=c",
            "src=vol,dst=/b,volume-subpath=../c",
            "src=vol,dst=/b,volume-subpath=/c",
            "src=vol,dst=/b,volume-subpath=.",
            "type=bind,src=/a,dst=/b,bind-recursive=never",
            "type=bind,src=/a,dst=/b,bind-recursive=readonly",
        ] {
            assert!(mount(text).is_err(), "{text}");
        }
    }
}
