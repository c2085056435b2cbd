//! Names for containers that were given none.

/// What they are like.
const QUALITIES: &[&str] = &[
    "amber", "ample", "apt", "bold", "brave", "brief", "bright", "brisk", "calm", "clear", "clever", "cosy",
    "crisp", "deft", "eager", "early", "fair", "fine", "firm", "fleet", "fond", "frank", "free", "fresh",
    "gentle", "glad", "grand", "green", "happy", "hardy", "honest", "humble", "jolly", "keen", "kind",
    "lively", "loyal", "lucid", "mellow", "merry", "mild", "neat", "nimble", "noble", "patient", "plain",
    "polite", "proud", "quick", "quiet", "rapid", "ready", "sharp", "silent", "smart", "solid", "spry",
    "steady", "stout", "sunny", "swift", "tidy", "warm", "wise",
];

/// What they are: things that carry or hold.
const THINGS: &[&str] = &[
    "anchor", "barge", "barrel", "basin", "basket", "beaker", "boat", "bottle", "bowl", "box", "bucket",
    "cabin", "canoe", "carafe", "cart", "case", "casket", "chest", "coffer", "crate", "cup", "cutter",
    "ferry", "flask", "galley", "goblet", "hamper", "harbour", "hull", "jar", "jug", "junk", "kayak", "keel",
    "kettle", "ketch", "locker", "lugger", "mug", "pail", "pannier", "parcel", "pier", "pitcher", "pot",
    "pouch", "punt", "quay", "raft", "rig", "sack", "satchel", "schooner", "skiff", "sloop", "tanker",
    "tray", "trunk", "tub", "tug", "urn", "vat", "wagon", "yawl",
];

/// A name such as `calm_kettle`, chosen by `number`; after some thousands of them they have a number as well.
#[must_use]
pub fn name(number: u64) -> String {
    let pick = |words: &[&'static str], number: u64| {
        usize::try_from(number % words.len() as u64)
            .ok()
            .and_then(|at| words.get(at).copied())
            .unwrap_or("box")
    };
    let (quality, rest) = (pick(QUALITIES, number), number / QUALITIES.len() as u64);
    let (thing, rest) = (pick(THINGS, rest), rest / THINGS.len() as u64 % 100);
    if rest == 0 { format!("{quality}_{thing}") } else { format!("{quality}_{thing}{rest}") }
}
