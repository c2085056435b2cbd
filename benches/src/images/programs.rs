//! Who takes part, and in what.

/// A program, or programs that do the work of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The image tool of this project.
    Ours,
    /// podman.
    Podman,
    /// containerd, through ctr.
    Containerd,
    /// skopeo for the registry, umoci for the layers.
    SkopeoAndUmoci,
    /// curl, sha256sum, igzip and tar in a pipe for each layer: no store, and nothing that is checked.
    Pipe,
}

impl Program {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "mydocker-img",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::SkopeoAndUmoci => "skopeo and umoci",
            Self::Pipe => "curl, igzip, tar",
        }
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// `pull` into an empty store, layers unpacked.
    Pull,
    /// `pull` of what is there.
    Again,
    /// `commit` of 100 MB of changes.
    Commit,
    /// The list of a store with a thousand tags.
    List,
    /// `pull` of a layer with one very large file, and of one with ten thousand.
    Huge,
}

impl Task {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 5] = [Self::Pull, Self::Again, Self::Commit, Self::List, Self::Huge];

    /// What it is, in words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Pull => "pull into an empty store, layers unpacked",
            Self::Again => "pull of what is there",
            Self::Commit => "commit of 100 MB of changes",
            Self::List => "list of a store with 1,000 tags",
            Self::Huge => "pull of a layer with a file of 5 GB, and of one with 10,000 files",
        }
    }

    /// How often it is done when `iterations` are asked for: memory is what the large layer is for, not time.
    pub fn iterations(self, iterations: u32) -> u32 {
        if self == Self::Huge { 1 } else { iterations }
    }

    /// Who can do it.
    pub fn programs(self) -> &'static [Program] {
        use Program::{Containerd, Ours, Pipe, Podman, SkopeoAndUmoci};
        match self {
            Self::Pull => &[Ours, Podman, Containerd, SkopeoAndUmoci, Pipe],
            Self::Again => &[Ours, Podman, Containerd],
            Self::Commit => &[Ours, Podman],
            Self::List | Self::Huge => &[Ours],
        }
    }
}
