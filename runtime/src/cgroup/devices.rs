//! The device filter: which device nodes a container may make, read and write.

use crate::spec::{Device, DeviceRule};
use std::fmt;

/// The kind of device a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    Any,
    Character,
    Block,
}

/// A set of accesses, with the bits of `struct bpf_cgroup_dev_ctx` (`BPF_DEVCG_ACC_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(pub u8);

impl Access {
    /// Making a node.
    pub const MAKE: Self = Self(1);
    /// Reading.
    pub const READ: Self = Self(2);
    /// Writing.
    pub const WRITE: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);

    fn parse(text: &str) -> Result<Self, DeviceError> {
        let bit = |letter| match letter {
            'm' => Ok(Self::MAKE.0),
            'r' => Ok(Self::READ.0),
            'w' => Ok(Self::WRITE.0),
            other => Err(DeviceError::Access(other)),
        };
        match text.chars().try_fold(0, |bits, letter| Ok(bits | bit(letter)?))? {
            0 => Err(DeviceError::NoAccess),
            bits => Ok(Self(bits)),
        }
    }

    const fn shares(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MAKE, "m")]
            .into_iter()
            .filter(|(bit, _)| self.shares(*bit))
            .try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// The devices that a rule is for, and what it allows or denies of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Whether it allows.
    pub allow: bool,
    /// The kind.
    pub kind: Kind,
    /// The major number; none for all.
    pub major: Option<u32>,
    /// The minor number; none for all.
    pub minor: Option<u32>,
    /// The accesses.
    pub access: Access,
}

/// Why a rule is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// It says nothing about access.
    #[error("the rule has no access; any of r, w and m (mknod) is needed")]
    NoAccess,
    /// An access that nobody knows.
    #[error("{0:?} is no access; any of r, w and m (mknod) is meant")]
    Access(char),
    /// A type that nobody knows.
    #[error("{0:?} is no type of devices; a (all), c or b is meant")]
    Kind(String),
    /// A number that no device can have.
    #[error("{0} is no device number (-1 means all)")]
    Number(i64),
    /// cgroup v1 cannot express it.
    #[error(
        "cgroup v1 cannot except {0} from a wider rule that comes before; order the rules so that none has to"
    )]
    Hole(String),
}

/// An ordered list of rules: of those that match, the last one that speaks of an access decides on it. What no rule
/// speaks of is denied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceFilter {
    /// The container's rules and then the default ones.
    pub rules: Vec<Rule>,
    /// How many of the rules are the container's.
    own: usize,
}

/// A filter as a list of what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Everything.
    Everything,
    /// What these rules say, all of kind `c` or `b`.
    Only(Vec<Rule>),
    /// It has exceptions, so that no list can say it.
    NoList,
}

/// A write to `devices.allow` or `devices.deny` of cgroup v1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1Rule {
    /// Which of the two.
    pub allow: bool,
    /// The text.
    pub text: String,
}

/// The devices that every container may use (config-linux.md, Default Devices), with the path of the node that the
/// runtime makes: the terminals have none, and neither has /dev/net/tun, which VPN images expect to be allowed
/// because runc has always done so.
const DEFAULT: [(&str, u32, Option<u32>); 9] = [
    ("/dev/null", 1, Some(3)),
    ("/dev/random", 1, Some(8)),
    ("/dev/full", 1, Some(7)),
    ("/dev/tty", 5, Some(0)),
    ("/dev/zero", 1, Some(5)),
    ("/dev/urandom", 1, Some(9)),
    ("", 136, None),
    ("", 5, Some(2)),
    ("", 10, Some(200)),
];

impl DeviceFilter {
    /// The filter of a container: `rules`, then the default ones, which a container cannot take away except by a
    /// node of its own at the path of a default device.
    ///
    /// # Errors
    /// The index of the rule and what is wrong with it.
    pub fn from_spec(rules: &[DeviceRule], nodes: &[Device]) -> Result<Self, (usize, DeviceError)> {
        let mut filter = Self { rules: Vec::with_capacity(rules.len() + DEFAULT.len() + 2), own: 0 };
        for (index, rule) in rules.iter().enumerate() {
            filter.rules.push(Rule::from_spec(rule).map_err(|error| (index, error))?);
        }
        filter.own = filter.rules.len();
        // Making a node gives nobody access to it, and images are unpacked in containers.
        for kind in [Kind::Character, Kind::Block] {
            filter.rules.push(Rule { allow: true, kind, major: None, minor: None, access: Access::MAKE });
        }
        let kept = DEFAULT.iter().filter(|(path, ..)| nodes.iter().all(|node| node.path != *path));
        filter.rules.extend(kept.map(|(_, major, minor)| Rule {
            allow: true,
            kind: Kind::Character,
            major: Some(*major),
            minor: *minor,
            access: Access::ALL,
        }));
        Ok(filter)
    }

    /// The filter as writes to a cgroup v1 that has no process yet.
    ///
    /// v1 has one default and a set of exceptions from it, each for one device number or a wildcard.
    ///
    /// # Errors
    /// [`DeviceError::Hole`] with the index of the rule that would need an exception from an exception.
    pub fn to_v1(&self) -> Result<Vec<V1Rule>, (usize, DeviceError)> {
        self.state().map(|state| state.writes())
    }

    /// The filter as a list of what is allowed.
    #[must_use]
    pub fn allowed(&self) -> Allowed {
        match self.state() {
            Ok(state) if !state.allow => Allowed::Only(state.needed().copied().collect()),
            Ok(state) if state.exceptions.is_empty() => Allowed::Everything,
            _ => Allowed::NoList,
        }
    }

    fn state(&self) -> Result<V1State, (usize, DeviceError)> {
        let mut state = V1State { allow: false, exceptions: Vec::new() };
        for (index, rule) in self.rules.iter().enumerate() {
            let last = self.own.saturating_sub(1);
            state.apply(*rule).map_err(|error| (index.min(last), error))?;
        }
        Ok(state)
    }
}

impl Rule {
    fn from_spec(rule: &DeviceRule) -> Result<Self, DeviceError> {
        let kind = match rule.kind.as_str() {
            "" | "a" => Kind::Any,
            "c" => Kind::Character,
            "b" => Kind::Block,
            other => return Err(DeviceError::Kind(other.into())),
        };
        let number = |number: Option<i64>| match number {
            None | Some(-1) => Ok(None),
            Some(number) => u32::try_from(number).map(Some).map_err(|_| DeviceError::Number(number)),
        };
        let access = Access::parse(&rule.access)?;
        Ok(Self { allow: rule.allow, kind, major: number(rule.major)?, minor: number(rule.minor)?, access })
    }

    /// Whether it speaks of every access to every device.
    #[must_use]
    pub fn is_total(&self) -> bool {
        self.kind == Kind::Any && self.major.is_none() && self.minor.is_none() && self.access == Access::ALL
    }

    /// Whether every device of `other` is one of its devices; the kinds must be equal.
    fn covers_devices(&self, other: &Self) -> bool {
        let covers = |mine: Option<u32>, its: Option<u32>| mine.is_none() || mine == its;
        self.kind == other.kind && covers(self.major, other.major) && covers(self.minor, other.minor)
    }

    fn meets_devices(&self, other: &Self) -> bool {
        let meets = |one: Option<u32>, two: Option<u32>| one.is_none() || two.is_none() || one == two;
        self.kind == other.kind && meets(self.major, other.major) && meets(self.minor, other.minor)
    }

    fn v1_text(&self) -> String {
        let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
        let kind = if self.kind == Kind::Block { 'b' } else { 'c' };
        format!("{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

/// What a v1 devices cgroup holds.
struct V1State {
    /// What holds for a device without an exception.
    allow: bool,
    /// Of kind `c` or `b` only, all contrary to `allow`.
    exceptions: Vec<Rule>,
}

impl V1State {
    fn apply(&mut self, rule: Rule) -> Result<(), DeviceError> {
        if rule.is_total() {
            *self = Self { allow: rule.allow, exceptions: Vec::new() };
            return Ok(());
        }
        // v1 reads "a" as everything, whatever else the line says; both kinds are what was meant.
        match rule.kind {
            Kind::Any => [Kind::Character, Kind::Block]
                .into_iter()
                .try_for_each(|kind| self.apply(Rule { kind, ..rule })),
            _ if rule.allow == self.allow => self.take_back(&rule),
            _ => {
                self.add(rule);
                Ok(())
            }
        }
    }

    fn add(&mut self, rule: Rule) {
        match self
            .exceptions
            .iter_mut()
            .find(|known| known.covers_devices(&rule) && rule.covers_devices(known))
        {
            Some(known) => known.access = Access(known.access.0 | rule.access.0),
            None => self.exceptions.push(rule),
        }
    }

    /// Takes accesses out of the exceptions. The kernel silently ignores a request to take out a part of one.
    fn take_back(&mut self, rule: &Rule) -> Result<(), DeviceError> {
        for known in &mut self.exceptions {
            if !known.meets_devices(rule) || !known.access.shares(rule.access) {
                continue;
            }
            if !rule.covers_devices(known) {
                return Err(DeviceError::Hole(rule.v1_text()));
            }
            known.access = known.access.without(rule.access);
        }
        self.exceptions.retain(|known| known.access != Access(0));
        Ok(())
    }

    fn writes(&self) -> Vec<V1Rule> {
        let exceptions = self.needed().map(|rule| V1Rule { allow: rule.allow, text: rule.v1_text() });
        [V1Rule { allow: self.allow, text: "a".into() }].into_iter().chain(exceptions).collect()
    }

    /// The exceptions that no wider one holds.
    fn needed(&self) -> impl Iterator<Item = &Rule> {
        self.exceptions.iter().enumerate().filter_map(|(index, rule)| {
            let covered = self.exceptions.iter().enumerate().any(|(other, wider)| {
                other != index && wider.covers_devices(rule) && wider.access.contains(rule.access)
            });
            (!covered).then_some(rule)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(allow: bool, kind: &str, major: i64, minor: i64, access: &str) -> DeviceRule {
        DeviceRule { allow, kind: kind.into(), major: Some(major), minor: Some(minor), access: access.into() }
    }

    const DENY_ALL: fn() -> DeviceRule =
        || DeviceRule { allow: false, kind: String::new(), major: None, minor: None, access: "rwm".into() };

    fn writes(rules: &[DeviceRule]) -> Result<Vec<String>, (usize, DeviceError)> {
        let rules = DeviceFilter::from_spec(rules, &[])?.to_v1()?;
        Ok(rules.iter().map(|rule| format!("{} {}", if rule.allow { "+" } else { "-" }, rule.text)).collect())
    }

    const DEFAULTS: [&str; 12] = [
        "- a",
        "+ c *:* m",
        "+ b *:* m",
        "+ c 1:3 rwm",
        "+ c 1:8 rwm",
        "+ c 1:7 rwm",
        "+ c 5:0 rwm",
        "+ c 1:5 rwm",
        "+ c 1:9 rwm",
        "+ c 136:* rwm",
        "+ c 5:2 rwm",
        "+ c 10:200 rwm",
    ];

    #[test]
    fn without_rules_the_default_devices_are_allowed_and_nothing_else() {
        assert_eq!(writes(&[]).unwrap(), DEFAULTS);
        assert_eq!(writes(&[DENY_ALL()]).unwrap(), DEFAULTS);
    }

    #[test]
    fn rules_before_a_total_one_do_not_count() {
        assert_eq!(writes(&[rule(true, "b", 8, 0, "rwm"), DENY_ALL()]).unwrap(), DEFAULTS);
    }

    #[test]
    fn what_docker_writes_becomes_one_write_for_each_device() {
        let rules = [
            DENY_ALL(),
            rule(true, "c", 1, 5, "rwm"),
            rule(true, "c", 1, 3, "rwm"),
            rule(false, "c", 10, 229, "rwm"),
            rule(true, "b", -1, -1, "m"),
            rule(true, "c", 10, 232, "r"),
        ];
        let written = writes(&rules).unwrap();
        assert_eq!(written.iter().filter(|text| text.contains("1:5")).count(), 1);
        assert!(written.contains(&"+ c 10:232 r".to_owned()));
        assert_eq!(written.len(), DEFAULTS.len() + 1);
    }

    #[test]
    fn a_privileged_container_gets_everything_in_one_write() {
        let all = DeviceRule { allow: true, ..DENY_ALL() };
        assert_eq!(writes(&[all]).unwrap(), ["+ a"]);
    }

    #[test]
    fn a_wide_denial_takes_the_narrow_permissions_before_it_back() {
        let written = writes(&[rule(true, "b", 8, 0, "rw"), rule(false, "b", 8, -1, "w")]).unwrap();
        assert!(written.contains(&"+ b 8:0 r".to_owned()), "{written:?}");
    }

    #[test]
    fn a_hole_in_a_wildcard_is_refused_on_v1_and_named() {
        let rules = [rule(true, "b", 8, -1, "rw"), rule(false, "b", 8, 1, "w")];
        assert_eq!(writes(&rules), Err((1, DeviceError::Hole("b 8:1 w".into()))));
    }

    #[test]
    fn all_kinds_of_one_number_are_that_number_of_both_kinds_and_not_everything() {
        let written = writes(&[rule(true, "a", 10, 229, "rw")]).unwrap();
        assert_eq!(written[1..3], ["+ c 10:229 rw", "+ b 10:229 rw"]);
    }

    #[test]
    fn a_permission_that_a_wider_one_holds_is_not_written() {
        let written = writes(&[rule(true, "c", 1, -1, "rwm")]).unwrap();
        assert!(!written.contains(&"+ c 1:3 rwm".to_owned()), "{written:?}");
    }

    #[test]
    fn a_node_of_one_s_own_at_a_default_path_takes_the_default_s_place() {
        let nodes = serde_json::from_str::<Vec<Device>>(r#"[{"path":"/dev/random","type":"c"}]"#).unwrap();
        let written = DeviceFilter::from_spec(&[], &nodes).unwrap().to_v1().unwrap();
        assert!(written.iter().all(|rule| rule.text != "c 1:8 rwm"));
    }

    #[test]
    fn what_is_no_rule_is_refused_with_its_index() {
        let error = |wrong: DeviceRule| DeviceFilter::from_spec(&[DENY_ALL(), wrong], &[]).unwrap_err();
        assert_eq!(error(rule(true, "c", 1, 1, "")), (1, DeviceError::NoAccess));
        assert_eq!(error(rule(true, "c", 1, 1, "rx")), (1, DeviceError::Access('x')));
        assert_eq!(error(rule(true, "p", 1, 1, "r")), (1, DeviceError::Kind("p".into())));
        assert_eq!(error(rule(true, "c", -2, 1, "r")), (1, DeviceError::Number(-2)));
        assert_eq!(error(rule(true, "c", 1, 1 << 40, "r")), (1, DeviceError::Number(1 << 40)));
    }
}
