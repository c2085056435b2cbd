//! libseccomp, asked through a small C program.

use mydocker_runtime::seccomp::Arch;
use mydocker_runtime::spec::{Seccomp, SeccompAction, SeccompArg, SeccompOperator};
use mydocker_sys::seccomp::Instruction;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// `SCMP_ARCH_X32`: the only token that is not the kernel's.
const TOKEN_X32: u32 = 0x4000_003e;

/// A running oracle.
pub struct Oracle {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    tables: BTreeMap<Arch, BTreeMap<String, i64>>,
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // The oracle ends with its input, but a failed test may leave it in the middle of an answer.
        let ended = self.child.kill().and_then(|()| self.child.wait());
        assert!(std::thread::panicking() || ended.is_ok(), "{ended:?}");
    }
}

impl Oracle {
    /// Compiles the C program into `dir` and starts it.
    ///
    /// # Panics
    /// Where `cc` or libseccomp's header and library (Debian: `libseccomp-dev`) are missing.
    #[must_use]
    pub fn start(dir: &Path) -> Self {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/c/oracle.c");
        let binary = dir.join("oracle");
        let compiled = Command::new("cc")
            .args(["-O2", "-Wall", "-Werror", "-o"])
            .arg(&binary)
            .args([source, "-lseccomp"])
            .output()
            .expect("this test needs the program cc (Debian: gcc)");
        let message = String::from_utf8_lossy(&compiled.stderr);
        assert!(
            compiled.status.success(),
            "this test needs seccomp.h and -lseccomp (Debian: libseccomp-dev): {message}"
        );
        let mut child = Command::new(&binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the oracle starts");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, stdin, stdout, tables: BTreeMap::new() }
    }

    fn ask(&mut self, commands: &str) -> String {
        self.stdin.write_all(commands.as_bytes()).expect("the oracle reads");
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).expect("the oracle answers");
        assert!(answer.ends_with('\n'), "the oracle died");
        answer.trim_end().to_owned()
    }

    /// Its version: major, minor.
    pub fn version(&mut self) -> (u32, u32) {
        let answer = self.ask("version\n");
        let mut numbers = answer.split('.').map(|number| number.parse().expect("a number"));
        (numbers.next().expect("major"), numbers.next().expect("minor"))
    }

    /// The architectures that it knows.
    pub fn archs(&mut self) -> Vec<Arch> {
        let recent = self.version() >= (2, 6);
        let later = [Arch::LoongArch64, Arch::M68k, Arch::Sh, Arch::ShEb];
        Arch::ALL.into_iter().filter(|arch| recent || !later.contains(arch)).collect()
    }

    /// The calls of an architecture by name; negative where only `socketcall` or `ipc` make them.
    pub fn names(&mut self, arch: Arch) -> BTreeMap<String, i64> {
        if let Some(table) = self.tables.get(&arch) {
            return table.clone();
        }
        let answer = self.ask(&format!("names {:x}\n", token(arch)));
        let words: Vec<&str> = answer.split_whitespace().collect();
        let mut table = BTreeMap::new();
        for pair in words.chunks_exact(2) {
            let number: i64 = pair[0].parse().expect("a number");
            // The number of a call that has one is worth more than its pseudo number.
            let known = table.entry(pair[1].to_owned()).or_insert(number);
            *known = number.max(*known);
        }
        correct(arch, &mut table);
        self.tables.insert(arch, table.clone());
        table
    }

    /// The filter that runc makes of a profile with libseccomp, before it adds its own prologue.
    ///
    /// # Errors
    /// libseccomp's error number.
    pub fn compile(&mut self, profile: &Seccomp, native: Arch) -> Result<Vec<Instruction>, i32> {
        let answer = self.ask(&commands(profile, native));
        if let Some(code) = answer.strip_prefix("error ") {
            return Err(code.parse().expect("a number"));
        }
        let numbers: Vec<u32> =
            answer.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        let returned = returned(profile);
        Ok(numbers.chunks_exact(4).map(|words| instruction(words, native, &returned)).collect())
    }
}

/// libseccomp writes a program in the byte order of the machine that will run it, except for some of the values
/// that it returns: those are told by what the profile can return.
fn instruction(words: &[u32], native: Arch, returned: &[u32]) -> Instruction {
    const RETURN: u16 = 0x06;
    let (code, jt, jf, k) = (words[0] as u16, words[1] as u8, words[2] as u8, words[3]);
    if !native.is_big_endian() {
        return Instruction { code, jt, jf, k };
    }
    let code = code.swap_bytes();
    let plain = code == RETURN && returned.contains(&k);
    Instruction { code, jt, jf, k: if plain { k } else { k.swap_bytes() } }
}

/// Every value that the filter of a profile can return.
fn returned(profile: &Seccomp) -> Vec<u32> {
    let rules = profile.syscalls.iter().map(|rule| ret(rule.action, rule.errno_ret));
    rules.chain([0, ret(profile.default_action, profile.default_errno_ret)]).collect()
}

/// Numbers that libseccomp 2.5 lacks or has wrong, as later versions and the kernel's tables have them.
fn correct(arch: Arch, table: &mut BTreeMap<String, i64>) {
    let late: &[(&str, i64)] = match arch {
        Arch::Parisc | Arch::Parisc64 => &[("cacheflush", 356)],
        Arch::Riscv64 | Arch::S390 | Arch::S390X => &[("memfd_secret", 447)],
        Arch::X32 => &[("map_shadow_stack", 0x4000_0000 + 453)],
        _ => &[],
    };
    table.extend(late.iter().map(|(name, nr)| ((*name).to_owned(), *nr)));
    if arch == Arch::Parisc64 {
        table.remove("_llseek");
    }
}

/// The calls for which the filters of libseccomp 2.5 are wrong accordingly, and one of ppc64 that it loses on the way
/// from x86-64, as its pseudo number (-10191) is that of `switch_endian` too.
pub const CORRECTED: [&str; 5] =
    ["cacheflush", "memfd_secret", "map_shadow_stack", "_llseek", "sys_debug_setcontext"];

/// What a filter returns for an action.
#[must_use]
pub fn ret(action: SeccompAction, errno: Option<u32>) -> u32 {
    let errno = errno.unwrap_or(1);
    match action {
        SeccompAction::Kill | SeccompAction::KillThread => 0,
        SeccompAction::KillProcess => 0x8000_0000,
        SeccompAction::Trap => 0x0003_0000,
        SeccompAction::Errno => 0x0005_0000 | errno,
        SeccompAction::Notify => 0x7fc0_0000,
        SeccompAction::Trace => 0x7ff0_0000 | errno,
        SeccompAction::Log => 0x7ffc_0000,
        SeccompAction::Allow => 0x7fff_0000,
    }
}

fn token(arch: Arch) -> u32 {
    if arch == Arch::X32 { TOKEN_X32 } else { arch.audit() }
}

fn commands(profile: &Seccomp, native: Arch) -> String {
    let default = ret(profile.default_action, profile.default_errno_ret);
    let optimize = u8::from(profile.syscalls.iter().map(|rule| rule.names.len()).sum::<usize>() > 32);
    let mut text = format!("filter {default:x} {optimize} {:x}\n", token(native));
    for name in &profile.architectures {
        let arch = Arch::from_name(name).expect("a known architecture");
        text.push_str(&format!("arch {:x}\n", token(arch)));
    }
    for rule in &profile.syscalls {
        let action = ret(rule.action, rule.errno_ret);
        if action == default {
            continue;
        }
        for name in &rule.names {
            for args in alternatives(&rule.args) {
                text.push_str(&format!("rule {action:x} {name} {}", args.len()));
                for arg in args {
                    let op = operator(arg.op);
                    text.push_str(&format!(" {} {op} {} {}", arg.index, arg.value, arg.value_two));
                }
                text.push('\n');
            }
        }
    }
    text + "export\n"
}

/// runc makes every condition a rule of its own where two of them look at one argument.
#[must_use]
pub fn alternatives(args: &[SeccompArg]) -> Vec<Vec<SeccompArg>> {
    let mut seen = [0; 6];
    args.iter().for_each(|arg| seen[arg.index as usize] += 1);
    if seen.iter().any(|count| *count > 1) {
        args.iter().map(|arg| vec![*arg]).collect()
    } else {
        vec![args.to_vec()]
    }
}

/// `enum scmp_compare`
fn operator(operator: SeccompOperator) -> u32 {
    match operator {
        SeccompOperator::NotEqual => 1,
        SeccompOperator::LessThan => 2,
        SeccompOperator::LessOrEqual => 3,
        SeccompOperator::Equal => 4,
        SeccompOperator::GreaterOrEqual => 5,
        SeccompOperator::GreaterThan => 6,
        SeccompOperator::MaskedEqual => 7,
    }
}
