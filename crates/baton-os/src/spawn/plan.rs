//! What the parent tells the exec stub: numbers, then NUL-terminated texts that the stub can hand to `execve` as they
//! lie. Parent and stub are the same binary, so the form needs no version.

use crate::limits;
use baton_core::spec::{Ceiling, Resource, Rlimit};
use std::ffi::CStr;

/// Everything the stub does; the descriptors come beside it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan<'a> {
    /// Whether the first of the descriptors becomes 0; else that is `/dev/null`.
    pub(crate) stdin: bool,
    /// How many descriptors of the program come beside this: fewer would be an accident.
    pub(crate) descriptors: usize,
    /// Whether it must not run outside of its control group.
    pub(crate) confined: bool,
    /// For `/proc/self/oom_score_adj`.
    pub(crate) oom_score_adj: Option<i32>,
    /// Its niceness.
    pub(crate) nice: Option<i32>,
    /// RLIMIT_NOFILE, soft and hard.
    pub(crate) nofile: Option<(u64, u64)>,
    /// Its limits.
    pub(crate) limits: Vec<(Resource, Rlimit)>,
    /// User, group, groups.
    pub(crate) credentials: Option<(u32, u32, Vec<u32>)>,
    /// The variables that are to hold the number of the process.
    pub(crate) pid_variables: Vec<&'a CStr>,
    /// What to execute.
    pub(crate) program: &'a CStr,
    /// Where.
    pub(crate) cwd: &'a CStr,
    /// The arguments, the program's name first.
    pub(crate) argv: Vec<&'a CStr>,
    /// `NAME=value`.
    pub(crate) env: Vec<&'a CStr>,
}

impl<'a> Plan<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let texts = self.argv.iter().chain(&self.env).map(|text| text.count_bytes() + 1).sum::<usize>();
        let mut out = Vec::with_capacity(texts + 512);
        let mut int = |value: i64| out.extend_from_slice(&value.to_ne_bytes());
        int(self.stdin.into());
        int(self.descriptors.try_into().unwrap_or(i64::MAX));
        int(self.confined.into());
        optional(&mut int, self.oom_score_adj, i64::from);
        optional(&mut int, self.nice, i64::from);
        optional(&mut int, self.nofile.map(|pair| pair.0), u64::cast_signed);
        optional(&mut int, self.nofile.map(|pair| pair.1), u64::cast_signed);
        int(self.limits.len().try_into().unwrap_or(i64::MAX));
        for (resource, limit) in &self.limits {
            int(limits::number(*resource).into());
            for bound in [limit.soft, limit.hard] {
                optional(&mut int, bound.map(limits::raw), u64::cast_signed);
            }
        }
        let ids = self.credentials.as_ref();
        optional(&mut int, ids.map(|ids| ids.0), i64::from);
        optional(&mut int, ids.map(|ids| ids.1), i64::from);
        list(&mut int, ids.map_or(&[][..], |ids| &ids.2), |gid| (*gid).into());
        int(self.pid_variables.len().try_into().unwrap_or(i64::MAX));
        int(self.argv.len().try_into().unwrap_or(i64::MAX));
        int(self.env.len().try_into().unwrap_or(i64::MAX));
        for text in self.pid_variables.iter().chain(&[self.program, self.cwd]).chain(&self.argv).chain(&self.env) {
            out.extend_from_slice(text.to_bytes_with_nul());
        }
        out
    }

    /// The reverse; `None` for bytes that `encode` didn't make.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Plan<'a>> {
        let mut rest = Rest(bytes);
        let stdin = rest.int()? == 1;
        let descriptors = rest.small()?;
        let confined = rest.int()? == 1;
        let oom_score_adj = rest.optional()?.map(i32::try_from).transpose().ok()?;
        let nice = rest.optional()?.map(i32::try_from).transpose().ok()?;
        let nofile =
            rest.optional()?.zip(rest.optional()?).map(|(soft, hard)| (soft.cast_unsigned(), hard.cast_unsigned()));
        let count: usize = rest.small()?;
        let limits = (0..count).map(|_| rest.limit()).collect::<Option<_>>()?;
        let uid = rest.optional()?.map(u32::try_from).transpose().ok()?;
        let gid = rest.optional()?.map(u32::try_from).transpose().ok()?;
        let groups = rest.list()?;
        let credentials = uid.zip(gid).map(|(uid, gid)| (uid, gid, groups));
        let own_pids: usize = rest.small()?;
        let (argc, envc) = (rest.small::<usize>()?, rest.small::<usize>()?);
        let pid_variables = (0..own_pids).map(|_| rest.text()).collect::<Option<_>>()?;
        let (program, cwd) = (rest.text()?, rest.text()?);
        let argv = (0..argc).map(|_| rest.text()).collect::<Option<_>>()?;
        let env = (0..envc).map(|_| rest.text()).collect::<Option<_>>()?;
        Some(Plan {
            stdin,
            descriptors,
            confined,
            oom_score_adj,
            nice,
            nofile,
            limits,
            credentials,
            pid_variables,
            program,
            cwd,
            argv,
            env,
        })
    }
}

fn optional<T>(int: &mut impl FnMut(i64), value: Option<T>, as_int: impl Fn(T) -> i64) {
    int(value.is_some().into());
    int(value.map_or(0, as_int));
}

fn list<T>(int: &mut impl FnMut(i64), values: &[T], as_int: impl Fn(&T) -> i64) {
    int(values.len().try_into().unwrap_or(i64::MAX));
    values.iter().for_each(|value| int(as_int(value)));
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn int(&mut self) -> Option<i64> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(i64::from_ne_bytes(*head))
    }

    fn small<T: TryFrom<i64>>(&mut self) -> Option<T> {
        T::try_from(self.int()?).ok()
    }

    fn optional(&mut self) -> Option<Option<i64>> {
        let (is_some, value) = (self.int()?, self.int()?);
        Some((is_some == 1).then_some(value))
    }

    fn limit(&mut self) -> Option<(Resource, Rlimit)> {
        let resource = limits::numbered(self.small()?)?;
        Some((resource, Rlimit { soft: self.bound()?, hard: self.bound()? }))
    }

    fn bound(&mut self) -> Option<Option<Ceiling>> {
        Some(self.optional()?.map(|raw| limits::ceiling(raw.cast_unsigned())))
    }

    fn list<T: TryFrom<i64>>(&mut self) -> Option<Vec<T>> {
        let count = self.small::<usize>()?;
        (0..count).map(|_| self.small()).collect()
    }

    fn text(&mut self) -> Option<&'a CStr> {
        let text = CStr::from_bytes_until_nul(self.0).ok()?;
        self.0 = self.0.get(text.count_bytes() + 1..)?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan<'static> {
        Plan {
            stdin: false,
            descriptors: 3,
            confined: true,
            oom_score_adj: Some(-5),
            nice: Some(-20),
            nofile: Some((1024, u64::MAX)),
            limits: vec![
                (Resource::As, Rlimit { soft: Some(Ceiling::At(u64::MAX - 1)), hard: Some(Ceiling::Unlimited) }),
                (Resource::Stack, Rlimit { soft: None, hard: Some(Ceiling::At(0)) }),
            ],
            credentials: Some((1000, 100, vec![100, 4_294_967_294])),
            pid_variables: vec![c"LISTEN_PID", c"WATCHDOG_PID"],
            program: c"/bin/x",
            cwd: c"/",
            argv: vec![c"x", c"", c"\xff"],
            env: vec![c"A=1", c"B="],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for plan in [
            plan(),
            Plan { nofile: None, credentials: None, stdin: true, pid_variables: vec![], env: vec![], ..plan() },
            Plan { nice: None, limits: vec![], oom_score_adj: None, confined: false, ..plan() },
        ] {
            assert_eq!(Plan::decode(&plan.encode()).as_ref(), Some(&plan));
        }
    }

    #[test]
    fn anything_cut_is_refused() {
        let bytes = plan().encode();
        for end in 0..bytes.len() {
            assert_eq!(Plan::decode(&bytes[..end]), None, "{end}");
        }
    }
}
