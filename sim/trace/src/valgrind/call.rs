//! The lines of system calls: `SYSCALL[PID,THREAD](NUMBER) NAME ( ARGUMENTS )RESULT`.
//!
//! The result may stand on the same line, on the next, or much later on a line of its own.

/// The most arguments of a call.
const ARGUMENTS: usize = 6;

/// What came out of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It returned this.
    Success(u64),
    /// It failed with this error number.
    Failure(u64),
    /// It goes on while other threads run; the result comes later.
    Later,
    /// Nothing yet.
    Unsaid,
}

/// A call without its result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    /// Its name, without `sys_`.
    pub(super) name: String,
    args: [u64; ARGUMENTS],
    /// Numbers without `0x` are decimal, except where a call prints them bare in hexadecimal.
    bare_hex: [u64; ARGUMENTS],
    /// The text that a pointer points to, with the number of the argument.
    pub(super) texts: Vec<(usize, String)>,
}

impl Call {
    /// An argument; 0 if there are not so many.
    pub(super) fn arg(&self, at: usize) -> u64 {
        self.args.get(at).copied().unwrap_or(0)
    }

    /// An argument that is printed in hexadecimal without `0x`.
    pub(super) fn bare_hex(&self, at: usize) -> u64 {
        self.bare_hex.get(at).copied().unwrap_or(0)
    }

    /// An argument that is a file descriptor.
    pub(super) fn fd(&self, at: usize) -> i32 {
        self.arg(at) as u32 as i32
    }

    /// The string that an argument points to.
    pub(super) fn text(&self, at: usize) -> Option<&str> {
        self.texts.iter().find(|(arg, _)| *arg == at).map(|(_, text)| text.as_str())
    }
}

/// A line that begins with `SYSCALL[`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallLine {
    pub(super) pid: u32,
    /// Valgrind's number of the thread, from 1.
    pub(super) slot: u32,
    /// `None` if the line has only the result of a call that began before.
    pub(super) call: Option<Call>,
    pub(super) outcome: Outcome,
}

/// Reads a line that begins with `SYSCALL[`; `None` if it has another form.
pub(super) fn parse(line: &[u8]) -> Option<CallLine> {
    let line = String::from_utf8_lossy(line);
    let rest = line.strip_prefix("SYSCALL[")?;
    let (ids, rest) = rest.split_once("](")?;
    let (pid, slot) = ids.split_once(',')?;
    let (pid, slot) = (pid.parse().ok()?, slot.parse().ok()?);
    let (number, rest) = rest.split_once(')')?;
    let _: u32 = number.parse().ok()?;
    let rest = rest.trim_start();
    let outcome = outcome(rest);
    let call = if rest.starts_with("...") { None } else { Some(call(rest)) };
    Some(CallLine { pid, slot, call, outcome })
}

/// What a line, or a part of one, says about how a call ended.
pub(super) fn outcome(text: &str) -> Outcome {
    // A path in the arguments may look like a result; the result is the last.
    let number = |mark: &str| {
        let at = text.rfind(mark)? + mark.len();
        let digits = text[at..].split(')').next()?;
        u64::from_str_radix(digits, 16).ok()
    };
    match (number("> Success(0x"), number("] Success(0x"), number("Failure(0x")) {
        (Some(value), ..) | (None, Some(value), _) => Outcome::Success(value),
        (None, None, Some(error)) => Outcome::Failure(error),
        _ if text.contains("--> [async] ...") => Outcome::Later,
        _ => Outcome::Unsaid,
    }
}

/// `NAME ( ARGUMENTS )...`. Text that follows no such form gives a call without arguments.
fn call(text: &str) -> Call {
    let (name, rest) = text.split_once('(').unwrap_or((text, ""));
    let name = name.split('[').next().unwrap_or_default().trim();
    let name = name.strip_prefix("sys_").unwrap_or(name).split(' ').next().unwrap_or_default();
    let mut call = Call { name: name.to_owned(), ..Call::default() };
    let mut rest = rest.trim_start();
    for at in 0..ARGUMENTS {
        let digits = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        let (word, after) = rest.split_at(digits);
        let Some((value, bare_hex)) = number(word) else { break };
        (call.args[at], call.bare_hex[at]) = (value, bare_hex);
        rest = after;
        if let Some(inside) = after.strip_prefix('(') {
            // The text may hold anything; it ends where the next argument or the end of the arguments comes.
            let end = inside.find("), ").or_else(|| inside.find(") )")).or_else(|| inside.rfind(')'));
            let (string, after) = inside.split_at(end.unwrap_or(inside.len()));
            call.texts.push((at, string.to_owned()));
            rest = after.strip_prefix(')').unwrap_or(after);
        }
        let Some(next) = rest.trim_start().strip_prefix(',') else { break };
        rest = next.trim_start();
    }
    call
}

/// A number in decimal, or in hexadecimal after `0x`; and what it is if it is hexadecimal in any case.
fn number(word: &str) -> Option<(u64, u64)> {
    if let Some(hex) = word.strip_prefix("0x") {
        let value = u64::from_str_radix(hex, 16).ok()?;
        return Some((value, value));
    }
    if let Some(negative) = word.strip_prefix('-') {
        let value = negative.parse::<u64>().ok()?.wrapping_neg();
        return Some((value, value));
    }
    let hex = u64::from_str_radix(word, 16).ok()?;
    Some((word.parse().unwrap_or(hex), hex))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> (String, Vec<u64>, Vec<(usize, String)>, Outcome) {
        let parsed = parse(line.as_bytes()).unwrap();
        let call = parsed.call.unwrap_or_default();
        (call.name.clone(), call.args.to_vec(), call.texts, parsed.outcome)
    }

    #[test]
    fn lines_of_every_shape_are_understood() {
        let (name, args, texts, outcome) =
            of("SYSCALL[7,1](257) sys_openat ( 4294967196, 0x40290b1(/a (b)), 524288 ) --> [async] ... ");
        assert_eq!((name.as_str(), args[0] as u32 as i32, outcome), ("openat", -100, Outcome::Later));
        assert_eq!((args[1], &args[2..4], texts[0].1.as_str()), (0x402_90b1, &[524_288u64, 0][..], "/a (b)"));
        let (name, args, _, outcome) = of(
            "SYSCALL[7,2](9) sys_mmap ( 0x0, 8192, 3, 34, 4294967295, 0 ) --> [pre-success] Success(0x4835000) ",
        );
        assert_eq!((name.as_str(), &args[..5]), ("mmap", &[0, 8192, 3, 34, 0xffff_ffff][..]));
        assert_eq!(outcome, Outcome::Success(0x483_5000));
        let (name, args, _, outcome) =
            of("SYSCALL[7,1](72) sys_fcntl[ARG3=='arg'] ( 4, 0, 100 )[sync] --> Success(0x64) ");
        assert_eq!((name.as_str(), &args[..3], outcome), ("fcntl", &[4, 0, 100][..], Outcome::Success(100)));
        let (name, args, _, outcome) = of("SYSCALL[7,1](60) exit( 3 ) --> [pre-success] Success(0x0) ");
        assert_eq!((name.as_str(), args[0], outcome), ("exit", 3, Outcome::Success(0)));
        let (name, _, texts, outcome) =
            of("SYSCALL[7,1](21) sys_access ( 0x40(/x), 4 )[sync] --> Failure(0x2) ");
        assert_eq!((name.as_str(), texts[0].1.as_str(), outcome), ("access", "/x", Outcome::Failure(2)));
        let (name, _, _, outcome) =
            of("SYSCALL[7,1](334) unimplemented (by the kernel) syscall: 334! (ni_syscall)");
        assert_eq!((name.as_str(), outcome), ("unimplemented", Outcome::Unsaid));
        let (_, _, _, outcome) = of("SYSCALL[7,1](0) ... [async] --> Success(0x340) ");
        assert_eq!(outcome, Outcome::Success(0x340));
        let line = parse(b"SYSCALL[7,1](56) sys_clone ( 3d0f00, 0x523af70, 0x1, 0x2, 0x3 ) --> [pre-success] Success(0x5e40) --7--   SCHED[1]: x").unwrap();
        assert_eq!((line.call.unwrap().bare_hex(0), line.outcome), (0x3d_0f00, Outcome::Success(0x5e40)));
        let (name, _, _, outcome) =
            of("SYSCALL[7,1](56) sys_clone ( 1200011, 0x0 )   clone(fork): process 7 created child 8");
        assert_eq!((name.as_str(), outcome), ("clone", Outcome::Unsaid));
        assert_eq!(outcome_of_path(), Outcome::Later);
        assert!(parse(b"SYSCALL[7](3) x").is_none());
    }

    fn outcome_of_path() -> Outcome {
        of("SYSCALL[7,1](2) sys_open ( 0x1(/Success(0x7)), 0 ) --> [async] ... ").3
    }
}
