//! Mount options of `config.json` (config.md, Linux mount options) as typed data. Pure: no look at the host.
//!
//! As in runc, an option that is not in [`OPTIONS`] goes to the file system as data, in order, and of contradicting
//! options the later one wins.

use mydocker_sys::mount::{Clone, MountAttrFlags, MountPropagationFlags, MsFlags};

/// What one option does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// `defaults`: nothing.
    Nothing,
    /// Copies an existing tree instead of making a file system.
    Bind(Clone),
    /// Changes an existing mount.
    Remount,
    /// Adds an attribute to the mount.
    Set(Attribute),
    /// Takes an attribute from the mount.
    Clear(Attribute),
    /// Adds an attribute to the mount and all below it.
    SetRecursive(Attribute),
    /// Takes an attribute from the mount and all below it.
    ClearRecursive(Attribute),
    /// Sets a flag of the file system's superblock.
    SetSuperblock(MsFlags),
    /// Takes a flag from the file system's superblock.
    ClearSuperblock(MsFlags),
    /// Sets the propagation, of everything below too if `recursive`.
    Propagate {
        /// The type of propagation.
        kind: MountPropagationFlags,
        /// Whether everything below is meant too.
        recursive: bool,
    },
    /// Maps ids, of everything below too if true.
    IdMap(IdMap),
    /// `tmpcopyup`: fills a tmpfs with what its target held.
    CopyUp,
}

/// An attribute of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// An attribute of its own.
    Flag(MountAttrFlags),
    /// One of the three ways to keep access times, of which a mount has one.
    Atime(Atime),
}

/// How access times are kept; the values are bits of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Atime {
    /// When older than the modification time or a day; the kernel's default.
    Relative = 1,
    /// Never.
    Never = 2,
    /// At every access.
    Strict = 4,
}

/// Whether the ids of a mount are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdMap {
    /// Of this mount alone.
    One,
    /// Of everything below it too.
    Recursive,
}

const RO: Attribute = Attribute::Flag(MountAttrFlags::MOUNT_ATTR_RDONLY);
const NOSUID: Attribute = Attribute::Flag(MountAttrFlags::MOUNT_ATTR_NOSUID);
const NODEV: Attribute = Attribute::Flag(MountAttrFlags::MOUNT_ATTR_NODEV);
const NOEXEC: Attribute = Attribute::Flag(MountAttrFlags::MOUNT_ATTR_NOEXEC);
const NODIRATIME: Attribute = Attribute::Flag(MountAttrFlags::MOUNT_ATTR_NODIRATIME);
const NOSYMFOLLOW: Attribute = Attribute::Flag(MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW);
const RELATIME: Attribute = Attribute::Atime(Atime::Relative);
const NOATIME: Attribute = Attribute::Atime(Atime::Never);
const STRICTATIME: Attribute = Attribute::Atime(Atime::Strict);

const fn propagate(kind: MountPropagationFlags, recursive: bool) -> Effect {
    Effect::Propagate { kind, recursive }
}

/// Every option that the runtime itself understands, sorted by name; the list that `features` prints.
///
/// `acl` and `noacl` are not here: what they mean differs between file systems, so they go to them.
pub const OPTIONS: &[(&str, Effect)] = &[
    ("async", Effect::ClearSuperblock(MsFlags::MS_SYNCHRONOUS)),
    ("atime", Effect::Clear(NOATIME)),
    ("bind", Effect::Bind(Clone::One)),
    ("defaults", Effect::Nothing),
    ("dev", Effect::Clear(NODEV)),
    ("diratime", Effect::Clear(NODIRATIME)),
    ("dirsync", Effect::SetSuperblock(MsFlags::MS_DIRSYNC)),
    ("exec", Effect::Clear(NOEXEC)),
    ("idmap", Effect::IdMap(IdMap::One)),
    ("iversion", Effect::SetSuperblock(MsFlags::MS_I_VERSION)),
    ("lazytime", Effect::SetSuperblock(MsFlags::MS_LAZYTIME)),
    ("loud", Effect::ClearSuperblock(MsFlags::MS_SILENT)),
    ("mand", Effect::SetSuperblock(MsFlags::MS_MANDLOCK)),
    ("noatime", Effect::Set(NOATIME)),
    ("nodev", Effect::Set(NODEV)),
    ("nodiratime", Effect::Set(NODIRATIME)),
    ("noexec", Effect::Set(NOEXEC)),
    ("noiversion", Effect::ClearSuperblock(MsFlags::MS_I_VERSION)),
    ("nolazytime", Effect::ClearSuperblock(MsFlags::MS_LAZYTIME)),
    ("nomand", Effect::ClearSuperblock(MsFlags::MS_MANDLOCK)),
    ("norelatime", Effect::Clear(RELATIME)),
    ("nostrictatime", Effect::Clear(STRICTATIME)),
    ("nosuid", Effect::Set(NOSUID)),
    ("nosymfollow", Effect::Set(NOSYMFOLLOW)),
    ("private", propagate(MountPropagationFlags::PRIVATE, false)),
    ("ratime", Effect::ClearRecursive(NOATIME)),
    ("rbind", Effect::Bind(Clone::Recursive)),
    ("rdev", Effect::ClearRecursive(NODEV)),
    ("rdiratime", Effect::ClearRecursive(NODIRATIME)),
    ("relatime", Effect::Set(RELATIME)),
    ("remount", Effect::Remount),
    ("rexec", Effect::ClearRecursive(NOEXEC)),
    ("ridmap", Effect::IdMap(IdMap::Recursive)),
    ("rnoatime", Effect::SetRecursive(NOATIME)),
    ("rnodev", Effect::SetRecursive(NODEV)),
    ("rnodiratime", Effect::SetRecursive(NODIRATIME)),
    ("rnoexec", Effect::SetRecursive(NOEXEC)),
    ("rnorelatime", Effect::ClearRecursive(RELATIME)),
    ("rnostrictatime", Effect::ClearRecursive(STRICTATIME)),
    ("rnosuid", Effect::SetRecursive(NOSUID)),
    ("rnosymfollow", Effect::SetRecursive(NOSYMFOLLOW)),
    ("ro", Effect::Set(RO)),
    ("rprivate", propagate(MountPropagationFlags::PRIVATE, true)),
    ("rrelatime", Effect::SetRecursive(RELATIME)),
    ("rro", Effect::SetRecursive(RO)),
    ("rrw", Effect::ClearRecursive(RO)),
    ("rshared", propagate(MountPropagationFlags::SHARED, true)),
    // The kernel's word for a slave is "downstream" in these bindings.
    ("rslave", propagate(MountPropagationFlags::DOWNSTREAM, true)),
    ("rstrictatime", Effect::SetRecursive(STRICTATIME)),
    ("rsuid", Effect::ClearRecursive(NOSUID)),
    ("rsymfollow", Effect::ClearRecursive(NOSYMFOLLOW)),
    ("runbindable", propagate(MountPropagationFlags::UNBINDABLE, true)),
    ("rw", Effect::Clear(RO)),
    ("shared", propagate(MountPropagationFlags::SHARED, false)),
    ("silent", Effect::SetSuperblock(MsFlags::MS_SILENT)),
    ("slave", propagate(MountPropagationFlags::DOWNSTREAM, false)),
    ("strictatime", Effect::Set(STRICTATIME)),
    ("suid", Effect::Clear(NOSUID)),
    ("symfollow", Effect::Clear(NOSYMFOLLOW)),
    ("sync", Effect::SetSuperblock(MsFlags::MS_SYNCHRONOUS)),
    ("tmpcopyup", Effect::CopyUp),
    ("unbindable", propagate(MountPropagationFlags::UNBINDABLE, false)),
];

/// Attributes to set and to clear, as `mount_setattr(2)` takes them; a cleared attribute was asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// `MOUNT_ATTR_*`: a single value at most of `MOUNT_ATTR__ATIME`.
    pub set: u64,
    /// `MOUNT_ATTR_*`: all of `MOUNT_ATTR__ATIME` where access times were spoken of, as the kernel demands.
    pub clear: u64,
}

impl Attributes {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// Mount options, understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountOptions {
    /// `bind` or `rbind`; `rbind` stays when `bind` follows.
    pub bind: Option<Clone>,
    /// `remount`.
    pub remount: bool,
    /// Attributes of the mount itself.
    pub attributes: Attributes,
    /// Attributes of the mount and all below it (Linux 5.12).
    pub recursive: Attributes,
    /// Propagation changes, in order: each is a call of its own.
    pub propagation: Vec<Propagation>,
    /// `MS_SYNCHRONOUS`, `MS_DIRSYNC`, `MS_MANDLOCK`, `MS_LAZYTIME`, `MS_SILENT`, `MS_I_VERSION`.
    pub superblock: u64,
    /// Such flags that were taken back by name.
    pub superblock_clear: u64,
    /// Options for the file system: `key` or `key=value`.
    pub data: Vec<String>,
    /// `idmap` or `ridmap`.
    pub id_map: Option<IdMap>,
    /// What follows `idmap=` or `ridmap=`: mappings as crun takes them (`uids=0-1000-10;gids=0-1000-10`).
    pub id_mappings: Option<String>,
    /// `tmpcopyup`.
    pub tmpcopyup: bool,
}

/// One change of propagation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Propagation {
    /// `MS_SHARED`, `MS_PRIVATE`, `MS_SLAVE` or `MS_UNBINDABLE`.
    pub kind: MountPropagationFlags,
    /// Whether everything below is meant too.
    pub recursive: bool,
}

impl MountOptions {
    /// Understands `options`; never fails, for what is unknown is the file system's.
    #[must_use]
    pub fn parse<T: AsRef<str>>(options: &[T]) -> Self {
        let mut parsed = Parser::default();
        for option in options {
            let option = option.as_ref();
            match OPTIONS.binary_search_by_key(&option, |(name, _)| name) {
                Ok(at) => parsed.apply(OPTIONS[at].1),
                Err(_) => parsed.take_value(option),
            }
        }
        parsed.finish()
    }

    /// The superblock flags as the words that `fsconfig(2)` takes with `FSCONFIG_SET_FLAG` (Linux
    /// `fs/fs_context.c`). `silent` and `iversion` have no such word: only `mount(2)` can set them.
    pub fn superblock_words(&self) -> impl Iterator<Item = &'static str> {
        const WORDS: [(MsFlags, &str); 4] = [
            (MsFlags::MS_SYNCHRONOUS, "sync"),
            (MsFlags::MS_DIRSYNC, "dirsync"),
            (MsFlags::MS_MANDLOCK, "mand"),
            (MsFlags::MS_LAZYTIME, "lazytime"),
        ];
        let flags = self.superblock;
        WORDS.into_iter().filter(move |(flag, _)| flags & flag.bits() != 0).map(|(_, word)| word)
    }

    /// The mount is read-only.
    #[must_use]
    pub fn is_readonly(&self) -> bool {
        self.attributes.set & u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits()) != 0
    }
}

/// Options so far; access times stay a set until the end, as the flags of `mount(2)` do.
#[derive(Default)]
struct Parser {
    options: MountOptions,
    atime: AtimeSet,
    recursive_atime: AtimeSet,
}

impl Parser {
    /// An option that is not in the table.
    fn take_value(&mut self, option: &str) {
        let options = &mut self.options;
        let (id_map, mappings) = match option.split_once('=') {
            Some(("idmap", mappings)) => (IdMap::One, mappings),
            Some(("ridmap", mappings)) => (IdMap::Recursive, mappings),
            _ => return options.data.push(option.to_owned()),
        };
        (options.id_map, options.id_mappings) = (Some(id_map), Some(mappings.to_owned()));
    }

    fn apply(&mut self, effect: Effect) {
        let options = &mut self.options;
        match effect {
            Effect::Nothing => {}
            Effect::Bind(clone) => {
                let recursive = options.bind == Some(Clone::Recursive);
                options.bind = Some(if recursive { Clone::Recursive } else { clone });
            }
            Effect::Remount => options.remount = true,
            Effect::Set(attribute) => change(&mut options.attributes, &mut self.atime, attribute, true),
            Effect::Clear(attribute) => change(&mut options.attributes, &mut self.atime, attribute, false),
            Effect::SetRecursive(attribute) => {
                change(&mut options.recursive, &mut self.recursive_atime, attribute, true);
            }
            Effect::ClearRecursive(attribute) => {
                change(&mut options.recursive, &mut self.recursive_atime, attribute, false);
            }
            Effect::SetSuperblock(flag) => {
                switch(&mut options.superblock, &mut options.superblock_clear, flag.bits());
            }
            Effect::ClearSuperblock(flag) => {
                switch(&mut options.superblock_clear, &mut options.superblock, flag.bits());
            }
            Effect::Propagate { kind, recursive } => {
                options.propagation.push(Propagation { kind, recursive });
            }
            Effect::IdMap(id_map) => (options.id_map, options.id_mappings) = (Some(id_map), None),
            Effect::CopyUp => options.tmpcopyup = true,
        }
    }

    fn finish(mut self) -> MountOptions {
        self.atime.finish(&mut self.options.attributes);
        self.recursive_atime.finish(&mut self.options.recursive);
        self.options
    }
}

/// Adds bits to one set and takes them from the other.
fn switch(to: &mut u64, from: &mut u64, bits: u64) {
    *to |= bits;
    *from &= !bits;
}

fn change(attributes: &mut Attributes, atime: &mut AtimeSet, attribute: Attribute, on: bool) {
    match attribute {
        Attribute::Atime(mode) => atime.change(mode, on),
        Attribute::Flag(flag) => {
            let bits = u64::from(flag.bits());
            let Attributes { set, clear } = attributes;
            if on { switch(set, clear, bits) } else { switch(clear, set, bits) }
        }
    }
}

/// Ways to keep access times that are asked for, and whether any was spoken of.
#[derive(Default)]
struct AtimeSet {
    modes: u8,
    spoken: bool,
}

impl AtimeSet {
    fn change(&mut self, mode: Atime, on: bool) {
        self.spoken = true;
        if on { self.modes |= mode as u8 } else { self.modes &= !(mode as u8) }
    }

    /// The kernel's order of precedence for `mount(2)` (`do_mount`): strict, then never, else relative.
    fn finish(self, attributes: &mut Attributes) {
        if !self.spoken {
            return;
        }
        attributes.clear |= u64::from(MountAttrFlags::MOUNT_ATTR__ATIME.bits());
        let mode = if self.modes & Atime::Strict as u8 != 0 {
            MountAttrFlags::MOUNT_ATTR_STRICTATIME
        } else if self.modes & Atime::Never as u8 != 0 {
            MountAttrFlags::MOUNT_ATTR_NOATIME
        } else {
            MountAttrFlags::MOUNT_ATTR_RELATIME
        };
        attributes.set |= u64::from(mode.bits());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // From <linux/mount.h>, so that a slip in a table row cannot hide behind the constant that it uses.
    const RDONLY: u64 = 1;
    const NOSUID: u64 = 2;
    const NODEV: u64 = 4;
    const NOEXEC: u64 = 8;
    const ATIME: u64 = 0x70;
    const NOATIME: u64 = 0x10;
    const STRICTATIME: u64 = 0x20;
    const NODIRATIME: u64 = 0x80;
    const NOSYMFOLLOW: u64 = 0x20_0000;
    const MS_UNBINDABLE: u32 = 1 << 17;
    const MS_PRIVATE: u32 = 1 << 18;
    const MS_SLAVE: u32 = 1 << 19;
    const MS_SHARED: u32 = 1 << 20;

    fn parse(options: &[&str]) -> MountOptions {
        MountOptions::parse(options)
    }

    fn attributes(set: u64, clear: u64) -> Attributes {
        Attributes { set, clear }
    }

    /// `Some((set, clear))` of the attribute that an option speaks of, without a leading `r`.
    fn expected_attributes(name: &str) -> Option<(u64, u64)> {
        Some(match name {
            "ro" => (RDONLY, 0),
            "rw" => (0, RDONLY),
            "nosuid" => (NOSUID, 0),
            "suid" => (0, NOSUID),
            "nodev" => (NODEV, 0),
            "dev" => (0, NODEV),
            "noexec" => (NOEXEC, 0),
            "exec" => (0, NOEXEC),
            "nodiratime" => (NODIRATIME, 0),
            "diratime" => (0, NODIRATIME),
            "nosymfollow" => (NOSYMFOLLOW, 0),
            "symfollow" => (0, NOSYMFOLLOW),
            "noatime" => (NOATIME, ATIME),
            "strictatime" => (STRICTATIME, ATIME),
            "relatime" | "atime" | "norelatime" | "nostrictatime" => (0, ATIME),
            _ => return None,
        })
    }

    /// `(set, clear)` of the superblock's flags, as in <linux/fs.h>.
    fn expected_superblock(name: &str) -> Option<(u64, u64)> {
        Some(match name {
            "sync" => (1 << 4, 0),
            "async" => (0, 1 << 4),
            "mand" => (1 << 6, 0),
            "nomand" => (0, 1 << 6),
            "dirsync" => (1 << 7, 0),
            "silent" => (1 << 15, 0),
            "loud" => (0, 1 << 15),
            "iversion" => (1 << 23, 0),
            "noiversion" => (0, 1 << 23),
            "lazytime" => (1 << 25, 0),
            "nolazytime" => (0, 1 << 25),
            _ => return None,
        })
    }

    fn expected_propagation(name: &str) -> Option<u32> {
        Some(match name {
            "private" => MS_PRIVATE,
            "shared" => MS_SHARED,
            "slave" => MS_SLAVE,
            "unbindable" => MS_UNBINDABLE,
            _ => return None,
        })
    }

    /// What a single option must give, told independently of the table.
    fn expected(name: &str) -> MountOptions {
        let mut wanted = MountOptions::default();
        let stripped = name.strip_prefix('r').unwrap_or_default();
        if let Some((set, clear)) = expected_attributes(name) {
            wanted.attributes = attributes(set, clear);
        } else if let Some((set, clear)) = expected_superblock(name) {
            (wanted.superblock, wanted.superblock_clear) = (set, clear);
        } else if let Some(kind) = expected_propagation(name).or_else(|| expected_propagation(stripped)) {
            let kind = MountPropagationFlags::from_bits_retain(kind);
            wanted.propagation = vec![Propagation { kind, recursive: !stripped.is_empty() }];
        } else if let Some((set, clear)) = expected_attributes(stripped) {
            wanted.recursive = attributes(set, clear);
        } else {
            match name {
                "defaults" => {}
                "bind" => wanted.bind = Some(Clone::One),
                "rbind" => wanted.bind = Some(Clone::Recursive),
                "remount" => wanted.remount = true,
                "idmap" => wanted.id_map = Some(IdMap::One),
                "ridmap" => wanted.id_map = Some(IdMap::Recursive),
                "tmpcopyup" => wanted.tmpcopyup = true,
                other => panic!("a row that no test knows: {other}"),
            }
        }
        wanted
    }

    #[test]
    fn every_row_does_what_its_name_says() {
        for (name, _) in OPTIONS {
            assert_eq!(parse(&[name]), expected(name), "{name}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_has_every_option_of_the_specification() {
        assert!(OPTIONS.is_sorted_by(|(a, _), (b, _)| a < b));
        let specified = "async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime \
            nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private \
            ratime rbind rdev rdiratime relatime remount rexec rnoatime rnodev rnodiratime rnoexec rnorelatime \
            rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid \
            rsymfollow runbindable rw shared silent slave strictatime suid symfollow sync tmpcopyup unbindable \
            idmap ridmap";
        for name in specified.split_whitespace() {
            assert!(OPTIONS.iter().any(|(known, _)| *known == name), "{name}");
        }
        assert_eq!(specified.split_whitespace().count(), OPTIONS.len());
    }

    #[test]
    fn the_later_of_two_contradicting_options_wins() {
        assert_eq!(parse(&["ro", "rw"]).attributes, attributes(0, RDONLY));
        assert_eq!(parse(&["rw", "ro"]).attributes, attributes(RDONLY, 0));
        assert_eq!(parse(&["rro", "rrw"]).recursive, attributes(0, RDONLY));
        assert_eq!(parse(&["noatime", "atime"]).attributes, attributes(0, ATIME));
        let sync = parse(&["async", "sync"]);
        assert_eq!((sync.superblock, sync.superblock_clear), (1 << 4, 0));
        assert_eq!(parse(&["ridmap", "idmap"]).id_map, Some(IdMap::One));
    }

    #[test]
    fn a_mount_has_one_way_to_keep_access_times() {
        for options in [["strictatime", "noatime"], ["noatime", "strictatime"], ["relatime", "strictatime"]] {
            assert_eq!(parse(&options).attributes, attributes(STRICTATIME, ATIME), "{options:?}");
        }
        assert_eq!(parse(&["relatime", "noatime"]).attributes, attributes(NOATIME, ATIME));
        assert_eq!(parse(&["rnoatime", "rstrictatime"]).recursive, attributes(STRICTATIME, ATIME));
    }

    #[test]
    fn mappings_may_follow_the_options_that_map_ids() {
        let options = parse(&["idmap=uids=0-1-2", "idmapped=1"]);
        assert_eq!((options.id_map, options.id_mappings.as_deref()), (Some(IdMap::One), Some("uids=0-1-2")));
        assert_eq!(options.data, ["idmapped=1"]);
        let options = parse(&["ridmap=gids=0-1-2"]);
        assert_eq!(
            (options.id_map, options.id_mappings.as_deref()),
            (Some(IdMap::Recursive), Some("gids=0-1-2"))
        );
    }

    #[test]
    fn rbind_stays_recursive() {
        assert_eq!(parse(&["rbind", "bind"]).bind, Some(Clone::Recursive));
        assert_eq!(parse(&["bind", "rbind"]).bind, Some(Clone::Recursive));
    }

    #[test]
    fn propagation_keeps_its_order() {
        let kinds: Vec<_> = parse(&["rslave", "shared"]).propagation.iter().map(|p| p.recursive).collect();
        assert_eq!(kinds, [true, false]);
    }

    #[test]
    fn what_is_unknown_is_the_file_systems() {
        let options = parse(&["mode=755", "nosuid", "acl", "size=65536k", "RO", "loop", ""]);
        assert_eq!(options.data, ["mode=755", "acl", "size=65536k", "RO", "loop", ""]);
        assert_eq!(options.attributes, attributes(NOSUID, 0));
        assert!(!options.is_readonly());
    }

    #[test]
    fn superblock_flags_have_their_words() {
        let options = parse(&["sync", "lazytime", "silent", "dirsync", "mand", "nomand"]);
        assert_eq!(options.superblock_words().collect::<Vec<_>>(), ["sync", "dirsync", "lazytime"]);
    }
}
