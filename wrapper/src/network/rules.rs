//! The rules of the packet filter for the default bridge, as text for iptables-restore. Pure.
//!
//! Each bridge has four chains of its own, which bear its name and stand at the beginning of the kernel's:
//!
//! ```text
//! MYDOCKER_F_BRIDGE   filter FORWARD                  who may reach whom
//! MYDOCKER_I_BRIDGE   filter INPUT                    nobody on the bridge reaches the host's loopback
//! MYDOCKER_D_BRIDGE   nat PREROUTING, OUTPUT          ports of the host lead to containers
//! MYDOCKER_S_BRIDGE   nat POSTROUTING                 whose address is hidden
//! ```
//!
//! They are written as a whole each time, which needs no look at what is there: declaring a chain empties it. Whether all is
//! there is seen by the number of rules and by what leads to the chains, for the filter does not tell rules as they were
//! written.

use super::netavark::PortMapping;
use super::record::{OF_THE_HOST, PREFIX};
use std::net::IpAddr;

/// netavark's chain with a rule for each bridge that other networks do not reach.
const ISOLATION: &str = "NETAVARK_ISOLATION_2";

/// What leads to the chains: table, the kernel's chain, condition, letter of the own chain.
const JUMPS: &[(&str, &str, &str, char)] = &[
    ("filter", "FORWARD", "", 'F'),
    ("filter", "INPUT", "", 'I'),
    ("nat", "PREROUTING", "-m addrtype --dst-type LOCAL ", 'D'),
    ("nat", "OUTPUT", "-m addrtype --dst-type LOCAL ", 'D'),
    ("nat", "POSTROUTING", "", 'S'),
];
const TABLES: &[(&str, &[char])] = &[("filter", &['F', 'I']), ("nat", &['D', 'S'])];

/// A port of the host, or a row of them, that leads to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    pub to: IpAddr,
    pub mapping: PortMapping,
}

/// What a bridge needs of the packet filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    pub bridge: String,
    pub subnet: String,
    pub published: Vec<Published>,
}

impl Rules {
    /// Whether all of it is in what iptables-save has told.
    pub(super) fn hold_in(&self, saved: &str) -> bool {
        let own =
            TABLES.iter().flat_map(|(table, letters)| letters.iter().map(move |letter| (table, letter)));
        let complete = own.into_iter().all(|(table, letter)| {
            let start = format!("-A {} ", chain(*letter, &self.bridge));
            let there = lines_of(saved, table).filter(|line| line.starts_with(&start)).count();
            there == self.rules(*letter).len()
        });
        complete && self.missing_jumps(saved).is_empty()
    }

    /// What iptables-restore makes all of it of, whatever of it is there.
    pub(super) fn mend(&self, saved: &str) -> String {
        let mut text = String::new();
        let missing = self.missing_jumps(saved);
        for (table, letters) in TABLES {
            text.push_str(&format!("*{table}\n"));
            if *table == "filter" && !has_chain(saved, table, ISOLATION) {
                text.push_str(&format!(":{ISOLATION} - [0:0]\n"));
            }
            for letter in *letters {
                text.push_str(&self.whole_chain(*letter));
            }
            for (_, into, condition, letter) in missing.iter().filter(|jump| jump.0 == *table) {
                text.push_str(&format!("-I {into} {condition}-j {}\n", chain(*letter, &self.bridge)));
            }
            text.push_str("COMMIT\n");
        }
        text
    }

    /// What iptables-restore makes of it the rules for ports of the host, without the others.
    pub(super) fn ports(&self) -> String {
        format!("*nat\n{}COMMIT\n", self.whole_chain('D'))
    }

    fn missing_jumps(&self, saved: &str) -> Vec<(&str, &str, &str, char)> {
        let is_missing = |(table, into, _, letter): &&(&str, &str, &str, char)| {
            !lines_of(saved, table).any(|line| is_jump(line, into, &chain(*letter, &self.bridge)))
        };
        JUMPS.iter().filter(is_missing).copied().collect()
    }

    fn whole_chain(&self, letter: char) -> String {
        let name = chain(letter, &self.bridge);
        let rules = self.rules(letter);
        let lines = rules.iter().map(|rule| format!("-A {name} {rule}\n"));
        std::iter::once(format!(":{name} - [0:0]\n")).chain(lines).collect()
    }

    fn rules(&self, letter: char) -> Vec<String> {
        let Self { bridge, subnet, .. } = self;
        match letter {
            'F' => vec![
                // Answers, and what has come for a published port, from wherever.
                format!("-o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT"),
                format!("-i {bridge} -o {bridge} -j ACCEPT"),
                // By its own address a container is for its neighbours and the host alone.
                format!("-o {bridge} -j DROP"),
                format!("-i {bridge} -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT"),
                // The bridges of other homes, whose own rules may come later, and what netavark knows of.
                format!("-i {bridge} -o {PREFIX}+ -j DROP"),
                format!("-i {bridge} -o {OF_THE_HOST} -j DROP"),
                format!("-i {bridge} -j {ISOLATION}"),
                format!("-i {bridge} -j ACCEPT"),
            ],
            // The kernel takes them for martians but where a port is published on the host's loopback (`route_localnet`).
            'I' => vec![format!(
                "-i {bridge} -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP"
            )],
            'D' => self.published.iter().map(port_rule).collect(),
            _ => vec![
                // A container that asks for the host's port must not be answered past the host, which would go unnoticed;
                // and a container cannot answer to 127.0.0.1.
                format!("-s {subnet} -o {bridge} -m conntrack --ctstate DNAT -j MASQUERADE"),
                format!("-s 127.0.0.0/8 -o {bridge} -m conntrack --ctstate DNAT -j MASQUERADE"),
                format!("-s {subnet} ! -o {bridge} ! -d 224.0.0.0/4 -j MASQUERADE"),
            ],
        }
    }
}

/// What takes all rules of a bridge away of those that iptables-save has told; `None` if there are none.
pub(super) fn removal(bridge: &str, saved: &str) -> Option<String> {
    let mut text = String::new();
    for (table, letters) in TABLES {
        let chains = letters.iter().map(|letter| chain(*letter, bridge));
        let chains: Vec<String> = chains.filter(|name| has_chain(saved, table, name)).collect();
        if chains.is_empty() {
            continue;
        }
        text.push_str(&format!("*{table}\n"));
        let leads_there = |line: &&str| chains.iter().any(|name| line.ends_with(&format!(" -j {name}")));
        for line in lines_of(saved, table).filter(leads_there) {
            text.push_str(&line.replacen("-A ", "-D ", 1));
            text.push('\n');
        }
        text.extend(chains.iter().map(|name| format!("-F {name}\n-X {name}\n")));
        text.push_str("COMMIT\n");
    }
    (!text.is_empty()).then_some(text)
}

/// The name of a bridge's chain: at most 26 bytes, while the filter takes 28.
fn chain(letter: char, bridge: &str) -> String {
    format!("MYDOCKER_{letter}_{bridge}")
}

fn is_jump(line: &str, into: &str, chain: &str) -> bool {
    line.strip_prefix("-A ")
        .and_then(|line| line.strip_prefix(into))
        .is_some_and(|rest| rest.starts_with(' ') && rest.ends_with(&format!(" -j {chain}")))
}

fn has_chain(saved: &str, table: &str, name: &str) -> bool {
    let start = format!(":{name} ");
    lines_of(saved, table).any(|line| line.starts_with(&start))
}

/// The lines between `*TABLE` and `COMMIT`.
fn lines_of<'a>(saved: &'a str, table: &'a str) -> impl Iterator<Item = &'a str> {
    let is_start = move |line: &&str| line.strip_prefix('*') != Some(table);
    saved.lines().skip_while(is_start).skip(1).take_while(|line| *line != "COMMIT")
}

fn port_rule(published: &Published) -> String {
    let PortMapping { protocol, host_ip, host_port, container_port, range } = &published.mapping;
    let address = if host_ip.is_empty() { String::new() } else { format!("-d {host_ip}/32 ") };
    let last = |first: &u16| first.saturating_add(range.saturating_sub(1));
    let (from, to) = match range {
        0 | 1 => (host_port.to_string(), container_port.to_string()),
        // Behind the slash stands where the row of the host begins, so that the second leads to the second.
        _ => (
            format!("{host_port}:{}", last(host_port)),
            format!("{container_port}-{}/{host_port}", last(container_port)),
        ),
    };
    format!(
        "-p {protocol} {address}-m {protocol} --dport {from} -j DNAT --to-destination {}:{to}",
        published.to
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(published: Vec<Published>) -> Rules {
        Rules { bridge: "md0".to_owned(), subnet: "10.90.0.0/22".to_owned(), published }
    }

    fn published(host_ip: &str, range: u16) -> Published {
        let mapping = PortMapping {
            protocol: "tcp".to_owned(),
            host_ip: host_ip.to_owned(),
            host_port: 8080,
            container_port: 80,
            range,
        };
        Published { to: "10.90.0.2".parse().expect("an address"), mapping }
    }

    /// What iptables-save would tell after iptables-restore got this, with rules of others around.
    fn saved(text: &str) -> String {
        let mut lines: Vec<String> = vec!["# Generated".to_owned()];
        for line in text.lines() {
            lines.push(line.replacen("-I ", "-A ", 1));
            if line.starts_with('*') {
                lines.push(":OTHER - [0:0]".to_owned());
                lines.push("-A FORWARD -j OTHER".to_owned());
            }
        }
        lines.join("\n")
    }

    #[test]
    fn what_was_made_holds_until_a_part_of_it_goes() {
        let rules = rules(vec![published("", 1)]);
        assert!(!rules.hold_in(""));
        let made = saved(&rules.mend(""));
        assert!(rules.hold_in(&made), "{made}");
        for line in made.lines().filter(|line| line.contains("MYDOCKER_") && line.starts_with("-A ")) {
            let without = made.replace(&format!("{line}\n"), "");
            assert!(!rules.hold_in(&without), "without {line}");
            let mended = rules.mend(&without);
            assert_eq!(mended.contains("-I "), !line.starts_with("-A MYDOCKER_"), "{mended}");
        }
        let other = Rules { bridge: "md00".to_owned(), ..rules.clone() };
        assert!(!other.hold_in(&made) && !rules.hold_in(&saved(&other.mend(""))));
    }

    #[test]
    fn the_chain_of_others_is_made_and_never_emptied() {
        let mended = rules(Vec::new()).mend("*filter\n:NETAVARK_ISOLATION_2 - [0:0]\nCOMMIT\n");
        assert!(!mended.contains(":NETAVARK"), "{mended}");
        assert!(rules(Vec::new()).mend("").contains(":NETAVARK_ISOLATION_2 - [0:0]\n"));
    }

    #[test]
    fn everything_is_taken_away_and_nothing_of_others() {
        let made = saved(&rules(vec![published("", 1)]).mend(""));
        let text = removal("md0", &made).expect("there is something");
        assert_eq!(text.matches("-D ").count(), JUMPS.len());
        assert_eq!(text.matches("-X MYDOCKER_").count(), 4);
        assert!(text.contains("-D PREROUTING -m addrtype --dst-type LOCAL -j MYDOCKER_D_md0\n"), "{text}");
        assert!(!text.contains("OTHER") && !text.contains("NETAVARK"), "{text}");
        assert_eq!(removal("md1", &made), None);
        assert_eq!(removal("md0", ""), None);
    }

    #[test]
    fn ports_lead_to_the_container() {
        let text = rules(vec![published("", 1), published("127.0.0.1", 3)]).ports();
        let lines: Vec<&str> = text.lines().collect();
        let to = "-j DNAT --to-destination 10.90.0.2";
        assert_eq!(lines[..2], ["*nat", ":MYDOCKER_D_md0 - [0:0]"]);
        assert_eq!(lines[2], format!("-A MYDOCKER_D_md0 -p tcp -m tcp --dport 8080 {to}:80"));
        assert_eq!(
            lines[3],
            format!("-A MYDOCKER_D_md0 -p tcp -d 127.0.0.1/32 -m tcp --dport 8080:8082 {to}:80-82/8080")
        );
    }
}
