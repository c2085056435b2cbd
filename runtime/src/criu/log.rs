//! The errors in criu's log, which is all that it says of why it failed.

/// How many errors are worth repeating: the first is the cause, the others follow from it.
const MOST: usize = 3;

/// The first errors of a log, in one line; empty where there is none.
#[must_use]
pub fn errors_in(log: &str) -> String {
    let errors = log.lines().filter_map(|line| {
        let at = line.find("Error")?;
        // After the time of day comes `Error (file:line): text`.
        let text = line[at..].split_once("): ").map_or(&line[at..], |(_, text)| text);
        // What criu kept until its log was open may end in zeros.
        Some(text.trim_end_matches('\0').trim().to_owned())
    });
    errors.take(MOST).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_errors_are_told_without_the_place_in_criu() {
        let log = "(00.1) Warn  (criu/a.c:1): all is well\n\
                   (00.2) Error (criu/vdso.c:381): vdso: Unexpected rt vDSO area bounds\n\
                   Error (criu/kerndat.c:1615): second\nError (x:1): third\nError (x:2): fourth\n";
        assert_eq!(errors_in(log), "vdso: Unexpected rt vDSO area bounds; second; third");
        assert_eq!(errors_in("Error (criu/vdso.c:381): vdso: Un\0\0\0"), "vdso: Un");
        assert_eq!(errors_in("nothing"), "");
    }
}
